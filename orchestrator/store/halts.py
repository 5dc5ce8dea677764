"""Journeys held up by operators: paused, going on, cancelled; nobody in them is lost or met twice.

A pause is one row. A turn reads it under a lock, leaves whoever is in that journey where they are,
still due, and marks them held, so that no claim meets them again. To go on, the row is deleted,
which waits for the turns that have read it; then whoever is held is let go. A crash in between
loses nobody: sweeps let go whoever is held without a pause.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import asyncpg

from orchestrator.core.scene import Halt
from orchestrator.store import lives

BATCH = 2000

# Which journeys are held up. Until this transaction ends, no pause that it saw can end.
READ = "SELECT journey, kind FROM halts FOR KEY SHARE"

# The same for somebody who only looks.
LOOK = "SELECT journey, kind, at FROM halts ORDER BY journey"

# The journey is held up, from now on or already.
HALT = """
INSERT INTO halts AS h (journey, kind, at) VALUES ($1, $2, $3)
ON CONFLICT (journey) DO UPDATE SET kind = excluded.kind, at = excluded.at
WHERE h.kind <> excluded.kind
RETURNING journey
"""

# The journey goes on.
END = "DELETE FROM halts WHERE journey = $1 RETURNING kind"

# Some of those who are held without a pause are let go; those in a turn's hands are passed over.
RELEASE = """
UPDATE enrollments e SET held = false
FROM (SELECT subscriber_id, journey FROM enrollments
      WHERE held AND journey NOT IN (SELECT journey FROM halts WHERE kind = 'paused')
      LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED) held
WHERE e.subscriber_id = held.subscriber_id AND e.journey = held.journey
"""

# The next of those who are still in a journey.
STILL_IN = """
SELECT subscriber_id FROM enrollments
WHERE subscriber_id > $2 AND journey = $1 AND ended_at IS NULL
ORDER BY subscriber_id LIMIT $3
"""

# These subscribers, locked as turns lock them and in the same order.
LOCK = "SELECT id FROM subscribers WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE"

# They leave the journey. Who was held out stays known as such.
LEAVE = """
UPDATE enrollments SET status = CASE WHEN status = 'control' THEN 'control' ELSE 'left' END,
    step = NULL, due_at = NULL, waiting = NULL, held = false, tries = 0, ended_at = $3,
    reason = 'cancelled'
WHERE subscriber_id = ANY($2::bigint[]) AND journey = $1 AND ended_at IS NULL
"""

# Some of its queued messages that no gateway has are dropped.
DROP_QUEUED = """
WITH free AS (
    SELECT id FROM attempts WHERE claimed_by IS NULL AND id IN (
        SELECT a.id FROM attempts a JOIN messages m ON m.attempt_id = a.id
        WHERE a.claimed_by IS NULL AND m.journey = $1 AND m.state = 'queued' LIMIT $3)
    ORDER BY id FOR UPDATE
)
UPDATE messages m SET state = 'suppressed', reason = 'cancelled', ended_at = $2
WHERE m.attempt_id IN (SELECT id FROM free) AND m.journey = $1 AND m.state = 'queued'
"""

# How many stand in a journey, and how many of its messages wait for a gateway.
COUNT = """
SELECT
    (SELECT count(*) FROM enrollments
     WHERE journey = $1 AND ended_at IS NULL AND status = 'active') AS standing,
    (SELECT count(*) FROM attempts a JOIN messages m ON m.attempt_id = a.id
     WHERE a.claimed_by IS NULL AND m.journey = $1 AND m.state = 'queued') AS queued
"""


async def read(connection: asyncpg.Connection) -> Mapping[str, Halt]:
    """Which journeys are held up, for this transaction to go by."""
    return {row["journey"]: row["kind"] for row in await connection.fetch(READ)}


async def look(connection: asyncpg.Connection) -> Mapping[str, tuple[Halt, datetime]]:
    """Which journeys are held up, and since when."""
    rows = await connection.fetch(LOOK)
    return {row["journey"]: (row["kind"], row["at"]) for row in rows}


async def count(connection: asyncpg.Connection, journey: str) -> tuple[int, int]:
    """How many people stand in a journey, and how many of its messages are queued."""
    row = await connection.fetchrow(COUNT, journey)
    return row["standing"], row["queued"]


async def pause(connection: asyncpg.Connection, journey: str, now: datetime) -> bool:
    """Nobody in the journey moves, but for turns under way; False if it was paused already."""
    return await connection.fetchval(HALT, journey, "paused", now) is not None


async def resume(
    connection: asyncpg.Connection, journey: str
) -> Literal["", "paused", "cancelled"]:
    """The journey goes on with whoever is in it; returns how it was held up. Not in a transaction:
    people are let go batch by batch. Safe to repeat."""
    ended = await end(connection, journey)
    await release(connection)
    return ended


async def end(connection: asyncpg.Connection, journey: str) -> Literal["", "paused", "cancelled"]:
    """The journey is not held up any more; returns how it was. Who is held is still to be
    released, by the caller or by the next sweep."""
    ended: Literal["paused", "cancelled"] | None = await connection.fetchval(END, journey)
    return ended or ""


async def release(connection: asyncpg.Connection) -> int:
    """Whoever is held without a pause is let go, and due as before; returns how many. Those in a
    turn's hands are left to the next call."""
    released = 0
    while freed := _changed(await connection.execute(RELEASE, BATCH)):
        released += freed
    return released


async def close(connection: asyncpg.Connection, journey: str, now: datetime) -> None:
    """Nobody enters the journey any more, and whoever is in it is to leave: see `cancel`."""
    await connection.execute(HALT, journey, "cancelled", now)


async def cancel(connection: asyncpg.Connection, journey: str, now: datetime) -> tuple[int, int]:
    """Nobody is in the journey and nobody enters; its queued messages are dropped, except those
    that a gateway has. Returns how many people left and how many messages were dropped. Not in a
    transaction; safe to repeat."""
    await close(connection, journey, now)
    left, last = 0, 0
    while ids := [row[0] for row in await connection.fetch(STILL_IN, journey, last, BATCH)]:
        async with connection.transaction():
            await connection.execute(LOCK, ids)
            left += _changed(await connection.execute(LEAVE, journey, ids, now))
            await lives.add_enrollments(connection, ids, now, journey)
        last = ids[-1]
    dropped = 0
    while gone := _changed(await connection.execute(DROP_QUEUED, journey, now, BATCH)):
        dropped += gone
    return left, dropped


def _changed(status: str) -> int:
    return int(status.split()[-1])
