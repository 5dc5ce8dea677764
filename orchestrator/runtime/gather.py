"""Many small calls gathered into few large ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")

IN_VAIN, AGAIN_S = 4, 1.0
"""Whoever rested so often, and one call only came of it, does not rest for so long: somebody who
adds one thing after the other would only wait."""


class Gathering(Generic[Item]):
    """Hands items that came while the last batch was under way to `work` as one batch. After each
    it rests, `rest_s` for every item of it, `longest_rest_s` at most, so that the next one is
    larger.

    `add` returns once its items' batch is done, or raises what `work` raised for it.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[None]],
        most: int = 500,
        rest_s: float = 0.0,
        longest_rest_s: float = 0.0,
    ) -> None:
        self._work = work
        self._most = most
        self._rest_s, self._longest_rest_s = rest_s, longest_rest_s
        self._rested_until = self._rests_from = float("-inf")
        self._in_vain = 0
        self._waiting: list[tuple[Sequence[Item], asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, items: Sequence[Item]) -> None:
        """The items have been worked on."""
        if not items:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, done))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            await done
        except asyncio.CancelledError:  # nobody waits for what was not begun
            self._waiting = [entry for entry in self._waiting if entry[1] is not done]
            raise

    async def _run(self) -> None:
        try:
            while self._waiting:
                if (rest_s := self._rested_until - time.monotonic()) > 0:
                    await asyncio.sleep(rest_s)
                taken, count = 0, 0
                for items, _ in self._waiting:
                    if taken and count + len(items) > self._most:
                        break
                    taken, count = taken + 1, count + len(items)
                batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
                if batch:  # else whoever waited has gone meanwhile
                    await self._hand_over(batch)
                    self._rest(count, rest_s > 0 and taken == 1)
        finally:
            self._task = None

    def _rest(self, count: int, in_vain: bool) -> None:
        """After so many items, before the next batch."""
        now = time.monotonic()
        self._in_vain = self._in_vain + 1 if in_vain else 0
        if self._in_vain >= IN_VAIN:
            self._in_vain, self._rests_from = 0, now + AGAIN_S
        if now >= self._rests_from:
            self._rested_until = now + min(self._longest_rest_s, self._rest_s * count)

    async def _hand_over(
        self, batch: Sequence[tuple[Sequence[Item], asyncio.Future[None]]]
    ) -> None:
        error: BaseException | None = None
        try:
            await self._work([item for items, _ in batch for item in items])
        except BaseException as raised:
            error = raised
        for _, done in batch:
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
        if error is not None and not isinstance(error, Exception):
            raise error
