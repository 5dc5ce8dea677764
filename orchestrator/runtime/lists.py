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
        found = await lists.read(connection, {*self._versions.values()}, now)
        versions = {name: version for name, (version, _) in found.items()}
        if versions == self._versions:
            return False
        for name in self.keys() - found.keys():
            del self[name]
        for name, (_, numbers) in found.items():
            if numbers is not None:
                self[name] = numbers
        self._versions = versions
        return True
