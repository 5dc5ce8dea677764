"""What a channel is about to send, so that it can end in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class UnderWay:
    """Batches that have begun and not ended."""

    def __init__(self) -> None:
        self._count = 0
        self._ended = asyncio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A batch is under way until the block ends."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            self._ended.set()

    async def end(self) -> None:
        """Nothing is under way."""
        while self._count:
            self._ended.clear()
            await self._ended.wait()
