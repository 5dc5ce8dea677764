"""The lists of numbers in force, in the memory of a process."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import datetime

import asyncpg

from orchestrator.store import lists


class Lists(dict[str, Container[int]]):
    """The numbers on each list that has not expired, by its name, as last followed. Whoever holds
    this sees newer versions as they come: each takes the place of the old one in one step."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: Mapping[str, int] = {}

    async def follow(self, connection: asyncpg.Connection, now: datetime) -> bool:
        """These are the lists in force now; whether one was not before, or is no longer. One small
        query while nothing changes."""
        found = await lists.versions(connection, now)
        if found == self._versions:
            return False
        read: dict[str, Container[int]] = {}
        for name, _ in found.items() - self._versions.items():
            now_it_is = await lists.numbers(connection, name)
            if now_it_is is None:
                del found[name]
            else:
                found[name], read[name] = now_it_is
        for name in self.keys() - found.keys():
            del self[name]
        self.update(read)
        self._versions = found
        return True
