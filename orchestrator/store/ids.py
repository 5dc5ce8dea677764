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
        self._ms = 0
        self._number = 0
        self._ahead = (0, 0)

    def draw(self, at: datetime) -> int:
        """A new id for something made at `at`."""
        first, number = self.begin(at)
        self._number += 1
        return first + (number >> 12 << 22) + (number & 0xFFF)

    def begin(self, at: datetime) -> tuple[int, int]:
        """What the next ids for `at` begin with, and the number of the next one: that of number
        `n` is the first, `n >> 12 << 22` and `n & 0xFFF` together. Whoever makes some so says how
        many by `made`."""
        first = first_id(at)
        ms = first >> 22
        if ms != self._ms:
            # What was made ahead of its time is not made again when that has come.
            if self._number >> 12:
                self._ahead = self._ms, self._ms + (self._number >> 12)
            since, until = self._ahead
            ahead = until - ms if since <= ms <= until else 0
            self._ms, self._number = ms, ahead << 12 | self._number & 0xFFF
        return first | self._process, self._number

    def made(self, count: int) -> None:
        """So many more are taken since `begin`."""
        self._number += count
