"""Pictures for the channels of a process: read once, kept while there is room."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from time import monotonic

import asyncpg

from orchestrator.core.media import Media, MediaError
from orchestrator.store import media

MOST_OCTETS = 32 * 1024 * 1024
_MOST_NAMES = 1_000
_SAME_FOR_S = 5.0
"""A name may mean another picture, once another project is applied."""


class Gallery:
    """The pictures by the names that templates give them. A few megabytes of them stay at hand."""

    def __init__(self, pool: asyncpg.Pool, most_octets: int = MOST_OCTETS) -> None:
        self._pool = pool
        self._most_octets = most_octets
        self._names: dict[str, tuple[str, float]] = {}
        self._kept: OrderedDict[str, Media] = OrderedDict()
        self._octets = 0
        self._reading = asyncio.Lock()

    async def find(self, name: str) -> Media:
        """The picture of this name. MediaError if there is none."""
        found = self._at_hand(name)
        if found is None:
            async with self._reading:
                found = self._at_hand(name) or await self._read(name)
        return found

    def _at_hand(self, name: str) -> Media | None:
        digest, until = self._names.get(name, ("", 0.0))
        if until <= monotonic() or digest not in self._kept:
            return None
        self._kept.move_to_end(digest)
        return self._kept[digest]

    async def _read(self, name: str) -> Media:
        async with self._pool.acquire() as connection:
            digest = await media.meaning(connection, name)
            found = self._kept.get(digest or "")
            if digest is not None and found is None:
                found = await media.read(connection, digest)
        if digest is None or found is None:
            raise MediaError("there is no picture of this name", "apply a project that has it")
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names[name] = digest, monotonic() + _SAME_FOR_S
        if digest not in self._kept:
            self._kept[digest] = found
            self._octets += len(found.octets)
        while self._octets > self._most_octets and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._octets -= len(gone.octets)
        return found
