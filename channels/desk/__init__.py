"""Channels whose carrier is a person: at a counter, or with a list of calls to make."""
