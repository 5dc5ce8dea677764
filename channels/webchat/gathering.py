"""Many hand in one thing each; they are stored together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST = 500


class Gathering(Generic[T]):
    """While one `store` call is under way, what comes in waits for the next, up to 500 at a time.

    `put` returns once `store` has. If a batch fails, each of it is tried alone, so that only the
    one that is at fault fails; `store` must therefore know what it has stored before.
    """

    def __init__(self, store: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._store = store
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def put(self, item: T) -> None:
        """`item` is stored. Raises what `store` raises for it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await done

    async def finish(self) -> None:
        """What was put before is stored, or has failed."""
        if self._running is not None:
            await asyncio.wait({self._running})

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            if not await self._stored(batch, last=len(batch) == 1):
                for one in batch:
                    await self._stored([one], last=True)
        self._running = None

    async def _stored(self, batch: list[tuple[T, asyncio.Future[None]]], last: bool) -> bool:
        failure: Exception | None = None
        try:
            await self._store([item for item, _ in batch])
        except Exception as error:
            if not last:
                return False
            failure = error
        for _, done in batch:
            if done.done():
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)
        return True
