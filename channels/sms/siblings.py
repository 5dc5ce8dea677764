"""The parts of long messages: on record is the last one's id alone, and a recall needs them all."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 20_000
"""Messages whose parts are known: those that went out last."""


class Siblings:
    """What the carrier calls the parts before the last one, by what it calls that. Of messages
    that went out before this process began, nothing is known."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._earlier: dict[str, tuple[str, ...]] = {}

    def keep(self, ids: Sequence[str]) -> None:
        """The carrier took a message whose parts it calls so, in their order."""
        if len(ids) < 2 or not all(ids):
            return
        self._earlier[ids[-1]] = tuple(ids[:-1])
        if len(self._earlier) > self._most:
            del self._earlier[next(iter(self._earlier))]

    def of(self, last: str) -> tuple[str, ...]:
        """The parts before that one, as far as they are known."""
        return self._earlier.get(last, ())
