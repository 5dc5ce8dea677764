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
    millisecond to make one twice; the primary key would then refuse it."""

    def __init__(self) -> None:
        # Several in one process always differ.
        self._process = (next(_makers) & 0x3FF) << 12
        self._count = 0

    def draw(self, at: datetime) -> int:
        """A new id for something made at `at`."""
        self._count = (self._count + 1) & 0xFFF
        return first_id(at) | self._process | self._count
