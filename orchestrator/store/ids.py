"""Ids ordered by time, drawn by each process for itself."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from itertools import count

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_makers = count(secrets.randbits(10))


def first_id(at: datetime) -> int:
    """The smallest id that anything made at `at` or later can have."""
    return max(0, (at - _EPOCH) // _MS) << 22


def instant_of(identifier: int) -> datetime:
    """When the thing of this id was made, to the millisecond."""
    return _EPOCH + (identifier >> 22) * _MS


class Ids:
    """Makes ids: 41 bits of milliseconds since 2020, 10 of this process, 12 of a counter. Two
    processes would have to draw the same 10 bits and write about the same subscriber in the same
    millisecond to make one twice; the primary key would then refuse it. What is drawn for one
    instant is in order: when the counter begins again, the next millisecond is taken."""

    def __init__(self) -> None:
        # Several in one process always differ.
        self._process = (next(_makers) & 0x3FF) << 12
        self._count = 0
        self._last: datetime | None = None
        self._ahead = timedelta()

    def draw(self, at: datetime) -> int:
        """A new id for something made at `at`."""
        self._count = (self._count + 1) & 0xFFF
        if at != self._last:
            self._last, self._ahead = at, timedelta()
        elif self._count == 0:
            self._ahead += _MS
        return first_id(at + self._ahead) | self._process | self._count
