"""Things to do a little later, thousands of them, on one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any


class Agenda:
    """Calls what was put in once its delay has passed, in order, several at one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0  # uvloop's handles of what is due already do not know it

    def put(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """`call(*arguments)` happens after the delay, unless `clear` comes first."""
        due = self._loop.time() + delay_s
        heappush(self._heap, (due, next(self._order), call, arguments))
        self._wake()

    def clear(self) -> None:
        """Nothing is left to do."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        heap, now = self._heap, self._loop.time() + 0.001
        while heap and heap[0][0] <= now:
            _, _, call, arguments = heappop(heap)
            call(*arguments)
        self._wake()

    def _wake(self) -> None:
        """There is a wake-up when the first is due; what a call puts in may be due after others."""
        if not self._heap:
            return
        due = self._heap[0][0]
        if self._timer is None or due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at = self._loop.call_at(due, self._run), due
