"""How much there is of what: for a status line, for the phone wall, for whoever watches."""

from __future__ import annotations

from datetime import datetime

import asyncpg
from msgspec import Struct

from orchestrator.store.ids import first_id

# What waits now, counted by the partial indexes of what waits.
WAITING = """
SELECT
    (SELECT count(*) FROM generate_series(0, 63) AS shards (shard)
        JOIN enrollments e ON e.shard = shards.shard AND e.due_at <= $1 AND NOT e.held)
        AS due,
    (SELECT count(*) FROM events WHERE taken_at IS NULL) AS events,
    (SELECT count(*) FROM attempts a JOIN messages m ON m.attempt_id = a.id
        WHERE m.state = 'queued' AND a.claimed_by IS NULL) AS queued,
    (SELECT count(*) FROM attempts a JOIN messages m ON m.attempt_id = a.id
        WHERE m.state = 'queued' AND a.claimed_by IS NOT NULL) AS submitting,
    (SELECT count(*) FROM parked_receipts) AS parked_receipts,
    (SELECT count(*) FROM enrollments WHERE held) AS held
"""

# Messages made since an id, by state. Reads the whole table: not for every second.
MESSAGES = "SELECT state, count(*) FROM messages WHERE id >= $1 GROUP BY state ORDER BY state"

# Turns that failed since.
FAILURES = "SELECT count(*) FROM failures WHERE at >= $1"

# What has come of everything so far, for a wall.
FACTS = """
SELECT
    (SELECT count(DISTINCT subscriber_id) FROM enrollments WHERE status <> 'control') AS enrolled,
    (SELECT count(*) FROM messages) AS messages,
    (SELECT count(*) FROM messages WHERE state = 'delivered') AS delivered,
    (SELECT count(*) FROM events WHERE kind = 'reply') AS replies,
    (SELECT count(DISTINCT subscriber_id) FROM consent_records WHERE NOT granted) AS opted_out,
    (SELECT count(*) FROM holds WHERE state = 'sold') AS redeemed
"""

# Who is under way in a journey, by step and version; those it holds out stand at no step.
STANDING = """
SELECT coalesce(step, '') AS step, version, count(*) FROM enrollments
WHERE journey = $1 AND ended_at IS NULL AND status IN ('active', 'control')
GROUP BY 1, 2 ORDER BY 1, 2
"""


class Waiting(Struct, frozen=True):
    """What is there to be done: due enrollments, events no turn has looked at, messages queued and
    submitting, receipts that no message is known for, enrollments that a pause holds."""

    due: int
    events: int
    queued: int
    submitting: int
    parked_receipts: int
    held: int


class Facts(Struct, frozen=True):
    """What has come of everything so far."""

    enrolled: int
    messages: int
    delivered: int
    replies: int
    opted_out: int
    redeemed: int


async def waiting(connection: asyncpg.Connection, now: datetime) -> Waiting:
    """What is there to be done at `now`."""
    return Waiting(**dict(await connection.fetchrow(WAITING, now)))


async def messages(connection: asyncpg.Connection, since: datetime) -> dict[str, int]:
    """How many messages made since then are in each state."""
    rows = await connection.fetch(MESSAGES, first_id(since))
    return {row["state"]: row["count"] for row in rows}


async def failures(connection: asyncpg.Connection, since: datetime) -> int:
    """How many turns have failed since then."""
    count: int = await connection.fetchval(FAILURES, since)
    return count


async def facts(connection: asyncpg.Connection) -> Facts:
    """The figures for a wall."""
    return Facts(**dict(await connection.fetchrow(FACTS)))


async def standing(connection: asyncpg.Connection, journey: str) -> dict[str, dict[str, int]]:
    """How many people stand at each step of a journey, by version. Under '' are those held out."""
    found: dict[str, dict[str, int]] = {}
    for row in await connection.fetch(STANDING, journey):
        found.setdefault(row["step"], {})[row["version"]] = row["count"]
    return found
