"""Callbacks that wait for an answer: each can carry one message back, at no cost."""

from __future__ import annotations

import asyncio
from collections import deque

_REMEMBERED = 2_000


class Seat:
    """One callback held open. `take` puts a text into it; whoever holds the callback answers with
    `text` and says by `written` whether that was written."""

    def __init__(self) -> None:
        self.text: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class Seats:
    """The callbacks that are held, by who said something with them."""

    def __init__(self) -> None:
        self._free: dict[str, deque[Seat]] = {}
        self._answered: dict[str, str] = {}

    def open(self, address: str) -> Seat:
        """A seat for a message to this address."""
        seat = Seat()
        self._free.setdefault(address, deque()).append(seat)
        return seat

    def close(self, address: str, seat: Seat) -> None:
        """Nothing more can be put into it."""
        waiting = self._free.get(address)
        if waiting is not None and seat in waiting:
            waiting.remove(seat)
            if not waiting:
                del self._free[address]

    async def take(self, address: str, text: str) -> bool:
        """Whether the text went out by a callback that was waiting. False: it was not written."""
        waiting = self._free.get(address)
        if not waiting:
            return False
        seat = waiting[0]
        self.close(address, seat)
        seat.text.set_result(text)
        return await seat.written

    def remember(self, source_id: str, text: str) -> None:
        """So this callback was answered; '' for nothing."""
        self._answered[source_id] = text
        if len(self._answered) > _REMEMBERED:
            del self._answered[next(iter(self._answered))]

    def answered(self, source_id: str) -> str | None:
        """How it was answered when it came before; None if it did not."""
        return self._answered.get(source_id)
