"""Reports of events that could not be taken: kept until somebody has looked at them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

import asyncpg
from msgspec import Struct

# Reports are set aside; one that is known, by all that it says, is only given today's reason.
ADD = """
INSERT INTO set_aside_events (at, source, name, source_id, who, reason, body, digest)
SELECT DISTINCT ON (u.digest) $8, u.source, u.name, u.source_id, u.who, u.reason, u.body, u.digest
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
    AS u (source, name, source_id, who, reason, body, digest)
ORDER BY u.digest
ON CONFLICT (digest) DO UPDATE SET reason = excluded.reason
"""

# The first of those after an id.
READ = """
SELECT id, at, source, name, source_id, who, reason, body FROM set_aside_events
WHERE id > $1 ORDER BY id LIMIT $2
"""

# How many there are of which event, and the first of each reason.
COUNT = """
SELECT name, count(*), min(at) AS since, min(reason) AS reason, max(id) AS last
FROM set_aside_events GROUP BY name ORDER BY count(*) DESC, name
"""

# These have been taken after all.
DELETE = "DELETE FROM set_aside_events WHERE id = ANY($1::bigint[])"

# Those up to an id go.
DROP = "DELETE FROM set_aside_events WHERE id <= $1"


class NewAside(Struct, frozen=True):
    """A report that cannot be taken, and why not; see `runtime.reports.Broken`."""

    source: str
    name: str
    source_id: str
    who: str
    body: str
    reason: str


class Aside(Struct, frozen=True):
    """A report that was set aside `at`, and why."""

    id: int
    at: datetime
    source: str
    name: str
    source_id: str
    who: str
    reason: str
    body: str


class Kind(Struct, frozen=True):
    """How many reports of one event are set aside, since when, a reason that one of them has, and
    the id of the last. The name is '' where it could not be told."""

    name: str
    count: int
    since: datetime
    reason: str
    last: int


async def add(connection: asyncpg.Connection, news: Sequence[NewAside], now: datetime) -> None:
    """These reports are set aside. Safe to repeat: the same one is kept once."""
    columns = [
        [it.source for it in news],
        [it.name for it in news],
        [it.source_id for it in news],
        [it.who for it in news],
        [it.reason for it in news],
        [it.body for it in news],
        [sha256(it.body.encode("utf-8", "replace")).digest() for it in news],
    ]
    await connection.execute(ADD, *columns, now)


async def read(connection: asyncpg.Connection, after: int, most: int) -> list[Aside]:
    """Those after an id, oldest first, at most `most`."""
    return [Aside(**dict(row)) for row in await connection.fetch(READ, after, most)]


async def count(connection: asyncpg.Connection) -> list[Kind]:
    """How many there are of which event, most first."""
    return [Kind(**dict(row)) for row in await connection.fetch(COUNT)]


async def delete(connection: asyncpg.Connection, ids: Sequence[int]) -> None:
    """These are not set aside any more."""
    await connection.execute(DELETE, [*ids])


async def drop(connection: asyncpg.Connection, up_to: int) -> int:
    """Nobody will take those up to this id: how many there were."""
    return int((await connection.execute(DROP, up_to)).rpartition(" ")[2])
