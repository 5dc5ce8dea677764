"""Lists of numbers that the contact policy looks at: do-not-disturb registers, blacklists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
from msgspec import Struct

from orchestrator.core.errors import OutreachError

# One load of a list at a time, for as long as this connection holds it.
LOCK = "SELECT pg_try_advisory_lock(0x6c697374, hashtext($1))"

# The list may be loaded again.
UNLOCK = "SELECT pg_advisory_unlock(0x6c697374, hashtext($1))"

# The number of a new version.
NEW_VERSION = "SELECT nextval('list_versions')"

# Numbers of a version that is not in force yet.
ADD = """
INSERT INTO listed (list, version, address) SELECT $1, $2, unnest($3::text[])
ON CONFLICT DO NOTHING
"""

# How many numbers a version has.
COUNT = "SELECT count(*) FROM listed WHERE list = $1 AND version = $2"

# From now on the list is this version.
PUT_IN_FORCE = """
INSERT INTO lists (name, version, numbers, source, loaded_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET version = excluded.version, numbers = excluded.numbers,
    source = excluded.source, loaded_at = excluded.loaded_at
"""

# Numbers of versions that are over, or never came into force.
FORGET = "DELETE FROM listed WHERE list = $1 AND version <> $2"

# Each of these lists, when it was loaded, and those of the addresses that are on it.
LOAD = """
SELECT l.name, l.loaded_at, ARRAY(
    SELECT n.address FROM listed n
    WHERE n.list = l.name AND n.version = l.version AND n.address = ANY($2::text[]))
FROM lists l WHERE l.name = ANY($1::text[])
"""

# All lists.
SHOW = "SELECT name, version, numbers, source, loaded_at FROM lists ORDER BY name"


class NumberList(Struct, frozen=True):
    """A list as it is in force: how many numbers it has, from which file, since when."""

    name: str
    version: int
    numbers: int
    source: str
    loaded_at: datetime


class Loading:
    """A new version of a list, being filled. It changes nothing until it is put in force."""

    def __init__(self, connection: asyncpg.Connection, name: str, version: int) -> None:
        self._connection = connection
        self._name = name
        self._version = version

    async def add(self, addresses: Sequence[str]) -> None:
        """These are on the new version; the same one twice is once."""
        await self._connection.execute(ADD, self._name, self._version, addresses)

    async def put_in_force(self, source: str, now: datetime) -> NumberList:
        """The list is this version, for every turn that begins after this. The old one is gone."""
        connection, name, version = self._connection, self._name, self._version
        async with connection.transaction():
            numbers: int = await connection.fetchval(COUNT, name, version)
            await connection.execute(PUT_IN_FORCE, name, version, numbers, source, now)
        await connection.execute(FORGET, name, version)
        return NumberList(name, version, numbers, source, now)


@asynccontextmanager
async def loading(connection: asyncpg.Connection, name: str) -> AsyncIterator[Loading]:
    """A new version of the list to be filled. Raises OutreachError while somebody else does so.
    What an interrupted load left is forgotten by the next."""
    if not await connection.fetchval(LOCK, name):
        raise OutreachError(f"the list {name} is being loaded", "wait until that has ended")
    try:
        yield Loading(connection, name, await connection.fetchval(NEW_VERSION))
    finally:
        await connection.execute(UNLOCK, name)


async def load(
    connection: asyncpg.Connection, names: Iterable[str], addresses: Iterable[str]
) -> tuple[Mapping[str, datetime], Mapping[str, frozenset[str]]]:
    """When each of these lists was loaded, and which of them each address is on; one query."""
    loaded_at: dict[str, datetime] = {}
    found: dict[str, set[str]] = {}
    for name, at, on_it in await connection.fetch(LOAD, [*names], [*addresses]):
        loaded_at[name] = at
        for address in on_it:
            found.setdefault(address, set()).add(name)
    return loaded_at, {address: frozenset(lists) for address, lists in found.items()}


async def show(connection: asyncpg.Connection) -> list[NumberList]:
    """Every list in force."""
    return [NumberList(*row) for row in await connection.fetch(SHOW)]
