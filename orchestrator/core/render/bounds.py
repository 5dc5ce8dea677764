"""What one rendering may cost. Every loop, filter, operator and output spends from one purse, so
that no template, however written, runs for more than some milliseconds."""

from __future__ import annotations

import threading

from orchestrator.core.errors import RenderError

UNITS = 100_000
"""Of work per rendering: about one per character handled and per node run in a loop."""

MOST_CHARACTERS = 20_000
"""Of one text, whether sent or in between."""


class _Purse(threading.local):
    left = 0


_purse = _Purse()


def refill() -> None:
    """The next rendering in this thread may spend `UNITS`."""
    _purse.left = UNITS


def spend(units: int) -> None:
    """So much is used up; RenderError once nothing is left."""
    _purse.left = left = _purse.left - units
    if left < 0:
        raise RenderError("this takes too much work", "shorten its loops and texts")


def made(text: str) -> str:
    """The text, paid for; RenderError if it is too long."""
    size = len(text)
    if size > MOST_CHARACTERS:
        raise RenderError(
            f"a text of {size:,} characters is too long",
            f"at most {MOST_CHARACTERS:,} characters are allowed",
        )
    spend(size + 1)
    return text
