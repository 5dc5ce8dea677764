"""Lists of numbers: do-not-disturb registers, blacklists, whom a trigger is for.

A list in force is a version: rows of `listed`, which queries join, and the same numbers as one
bitmap, which a process keeps in memory. A telephone number is an integer: +8613… is 8613….
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import cast

import asyncpg
from msgspec import Struct
from pyroaring import BitMap64

from orchestrator.core.errors import OutreachError
from orchestrator.core.telephone import number_of

# One load of a list at a time, for as long as this connection holds it.
LOCK = "SELECT pg_try_advisory_lock(0x6c697374, hashtext($1))"

# The list may be loaded again.
UNLOCK = "SELECT pg_advisory_unlock(0x6c697374, hashtext($1))"

# The number of a new version.
NEW_VERSION = "SELECT nextval('list_versions')"

# Which version is in force; nobody else changes that until this transaction ends.
IN_FORCE = "SELECT version FROM lists WHERE name = $1 FOR UPDATE"

# From now on the list is this version.
PUT_IN_FORCE = """
INSERT INTO lists (name, version, numbers, source, loaded_at, expires_at, bitmap)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (name) DO UPDATE SET version = excluded.version, numbers = excluded.numbers,
    source = excluded.source, loaded_at = excluded.loaded_at, expires_at = excluded.expires_at,
    expired = false, bitmap = excluded.bitmap
"""

# There is no such list any more.
DROP = "DELETE FROM lists WHERE name = $1 RETURNING version, numbers"

# Numbers of a version that is over.
FORGET = "DELETE FROM listed WHERE version = $1"

# Lists that nobody may rely on from now on.
EXPIRE = "UPDATE lists SET expired = true WHERE expires_at <= $1 AND NOT expired RETURNING name"

# Each of these lists that has not expired, when it was loaded, and those of the numbers that are
# on it.
LOAD = """
SELECT l.name, l.loaded_at, ARRAY(
    SELECT n.number FROM listed n WHERE n.version = l.version AND n.number = ANY($2::bigint[]))
FROM lists l WHERE l.name = ANY($1::text[]) AND (l.expires_at IS NULL OR l.expires_at > $3)
"""

# Every list that has not expired.
READ = "SELECT name, version FROM lists WHERE expires_at IS NULL OR expires_at > $1"

# A list's version and numbers; those that came without a bitmap one by one.
NUMBERS = """
SELECT version, bitmap, CASE WHEN bitmap IS NULL THEN
    ARRAY(SELECT n.number FROM listed n WHERE n.version = l.version) END
FROM lists l WHERE name = $1
"""

# The bitmap that a version's numbers make.
KEEP_BITMAP = "UPDATE lists SET bitmap = $2 WHERE version = $1 AND bitmap IS NULL"

# All lists.
SHOW = "SELECT name, version, numbers, source, loaded_at, expires_at FROM lists ORDER BY name"

ROWS = 50_000
"""Numbers that are handed to PostgreSQL at once."""


class NumberList(Struct, frozen=True):
    """A list as it is in force: how many numbers it has, from which file, since when, until when
    (None: until it is loaded again)."""

    name: str
    version: int
    numbers: int
    source: str
    loaded_at: datetime
    expires_at: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether nobody may rely on it any more."""
        return self.expires_at is not None and self.expires_at <= now


class Loading:
    """A new version of a list, being filled. It changes nothing until it is put in force."""

    def __init__(self, connection: asyncpg.Connection, name: str, version: int) -> None:
        self._connection = connection
        self._name = name
        self._version = version
        self._numbers = BitMap64()
        self._fresh: list[int] = []

    def add(self, numbers: Iterable[int]) -> None:
        """These are on the new version; the same one twice is once."""
        self._fresh += numbers
        if len(self._fresh) >= ROWS:  # many at once cost a third of what they do few by few
            self._settle()

    @property
    def size(self) -> int:
        """How many numbers it has so far."""
        self._settle()
        return len(self._numbers)

    def _settle(self) -> None:
        self._numbers.update(self._fresh)
        self._fresh.clear()

    async def put_in_force(
        self,
        source: str,
        now: datetime,
        expires_at: datetime | None = None,
        tell: Callable[[int], None] = lambda written: None,
    ) -> NumberList:
        """The list is this version, for every turn that begins after this. The old one is gone.
        `tell` hears how many numbers have been written so far."""
        self._settle()
        connection, name, version, numbers = (
            self._connection, self._name, self._version, self._numbers,
        )  # fmt: skip
        numbers.run_optimize()
        async with connection.transaction():
            await connection.copy_to_table(
                "listed", source=_rows(version, numbers, tell), columns=["version", "number"]
            )
            old = await connection.fetchval(IN_FORCE, name)
            await connection.execute(
                PUT_IN_FORCE, name, version, len(numbers), source, now, expires_at,
                numbers.serialize(),
            )  # fmt: skip
            await connection.execute(FORGET, old)
        return NumberList(name, version, len(numbers), source, now, expires_at)


async def _rows(
    version: int, numbers: BitMap64, tell: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """The rows of a version, ascending, so that its index grows at its end."""
    everyone = numbers.to_array()
    between = f"\n{version}\t"
    for begin in range(0, len(everyone), ROWS):
        some = everyone[begin : begin + ROWS]
        yield f"{between[1:]}{between.join(map(str, some))}\n".encode()
        tell(begin + len(some))


@asynccontextmanager
async def loading(connection: asyncpg.Connection, name: str) -> AsyncIterator[Loading]:
    """A new version of the list to be filled. Raises OutreachError while somebody else does so.
    An interrupted load leaves nothing."""
    if not await connection.fetchval(LOCK, name):
        raise OutreachError(f"the list {name} is being loaded", "wait until that has ended")
    try:
        yield Loading(connection, name, await connection.fetchval(NEW_VERSION))
    finally:
        await connection.execute(UNLOCK, name)


async def drop(connection: asyncpg.Connection, name: str) -> int | None:
    """There is no such list any more: how many numbers it had, or None if there was none."""
    async with connection.transaction():
        row = await connection.fetchrow(DROP, name)
        if row is None:
            return None
        await connection.execute(FORGET, row["version"])
        numbers: int = row["numbers"]
        return numbers


async def expire(connection: asyncpg.Connection, now: datetime) -> list[str]:
    """Lists whose time is over have expired: their names, each told once."""
    return [row["name"] for row in await connection.fetch(EXPIRE, now)]


async def load(
    connection: asyncpg.Connection, names: Iterable[str], addresses: Iterable[str], now: datetime
) -> tuple[Mapping[str, datetime], Mapping[str, frozenset[str]]]:
    """When each of these lists was loaded, unless it has expired, and which of them each address
    is on; one query."""
    loaded_at: dict[str, datetime] = {}
    found: dict[str, set[str]] = {}
    # Others than telephones may have addresses that look like numbers.
    telephones = (it for it in addresses if it.startswith("+"))
    numbers = {number: it for it in telephones if (number := number_of(it)) is not None}
    for name, at, on_it in await connection.fetch(LOAD, [*names], [*numbers], now):
        loaded_at[name] = at
        for number in on_it:
            found.setdefault(numbers[number], set()).add(name)
    return loaded_at, {address: frozenset(lists) for address, lists in found.items()}


async def versions(connection: asyncpg.Connection, now: datetime) -> dict[str, int]:
    """The version of every list that has not expired."""
    return dict(map(tuple, await connection.fetch(READ, now)))


async def numbers(connection: asyncpg.Connection, name: str) -> tuple[int, Container[int]] | None:
    """A list's version and numbers, as it is now; None if it has been dropped."""
    row = await connection.fetchrow(NUMBERS, name)
    if row is None:
        return None
    version, octets, one_by_one = row
    if octets is not None:
        return version, cast(Container[int], BitMap64.deserialize(octets))
    found = BitMap64(one_by_one)
    await connection.execute(KEEP_BITMAP, version, found.serialize())
    return version, cast(Container[int], found)


async def show(connection: asyncpg.Connection) -> list[NumberList]:
    """Every list in force, and those that have expired."""
    return [NumberList(*row) for row in await connection.fetch(SHOW)]
