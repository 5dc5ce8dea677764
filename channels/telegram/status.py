"""What became of a message, by what the Bot API or the network said."""

from __future__ import annotations

import httpx
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from orchestrator.core.delivery import Outcome

_NOT_WRITTEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

GONE = frozenset({"blocked", "deactivated"})
"""The codes of people who cannot be written to any more, until they open the bot again."""

PICTURE = "picture"
"""The code of what Telegram refuses for its picture's sake."""

_REFUSALS = (
    ("blocked by the user", "blocked", "they have blocked the bot"),
    ("user is deactivated", "deactivated", "their account is gone"),
    ("can't initiate conversation", "not_started", "they have not opened the bot"),
    ("bot was kicked", "kicked", "the bot was removed from the chat"),
    ("chat not found", "chat_not_found", "there is no such chat, or they have not opened the bot"),
    ("user not found", "chat_not_found", "there is no such person"),
    ("peer_id_invalid", "chat_not_found", "there is no such person"),
    ("message is too long", "too_long", "its text is too long"),
    ("caption is too long", "too_long", "its picture's text is too long"),
    ("text is empty", "empty", "it has no words"),
    ("text must be non-empty", "empty", "it has no words"),
    ("button_data_invalid", "button", "a button says more than Telegram allows"),
    ("failed to get http url content", PICTURE, "Telegram cannot fetch the picture"),
    ("wrong type of the web page content", PICTURE, "its picture is none"),
    ("wrong file identifier", PICTURE, "Telegram does not know the picture"),
    ("wrong remote file identifier", PICTURE, "Telegram does not know the picture"),
    ("image_process_failed", PICTURE, "Telegram cannot use the picture"),
    ("photo_", PICTURE, "Telegram cannot use the picture"),
    ("file is too big", PICTURE, "the picture is too large"),
    ("file must be non-empty", PICTURE, "the picture is empty"),
    ("not enough rights to send", PICTURE, "they take no pictures"),
)


def judged(message_id: int, error: TelegramError) -> Outcome:
    """The outcome of a message that was answered with `error`. Only an answer that says so, or a
    connection that never was, makes it unsent; whatever else went wrong on the way is unknown."""
    match error:
        case RetryAfter():
            return _unsent(message_id, "429", "Telegram wants us to be slower")
        case Forbidden() | BadRequest() | ChatMigrated():
            return _refused(message_id, error)
        case InvalidToken():
            return _unsent(message_id, "401", "Telegram does not know the bot's token")
        case Conflict():
            return _unsent(message_id, "409", "Telegram is busy with another of our requests")
        case _ if isinstance(error.__cause__, _NOT_WRITTEN):
            return _unsent(message_id, "not_connected", "the Bot API cannot be reached")
        case TimedOut():
            return Outcome(message_id, "unknown", code="no_answer", reason="no answer in time")
        case _:
            return Outcome(message_id, "unknown", code="broken", reason="the answer was none")


def _refused(message_id: int, error: TelegramError) -> Outcome:
    said = error.message.lower()
    for words, code, reason in _REFUSALS:
        if words in said:
            return Outcome(message_id, "rejected", code=code, reason=reason)
    code = "403" if isinstance(error, Forbidden) else "400"
    return Outcome(message_id, "rejected", code=code, reason="Telegram refused it")


def _unsent(message_id: int, code: str, reason: str) -> Outcome:
    return Outcome(message_id, "unsent", code=code, reason=reason, retry="later")
