"""Telegram: a bot, spoken to over the Bot API."""
