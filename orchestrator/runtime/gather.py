"""Many small calls gathered into few large ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Gathering(Generic[Item]):
    """Hands items that came while the last batch was under way to `work` as one batch.

    `add` returns once its items' batch is done, or raises what `work` raised for it.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[None]], most: int = 500) -> None:
        self._work = work
        self._most = most
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
                taken, count = 0, 0
                for items, _ in self._waiting:
                    if taken and count + len(items) > self._most:
                        break
                    taken, count = taken + 1, count + len(items)
                batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
                await self._hand_over(batch)
        finally:
            self._task = None

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
