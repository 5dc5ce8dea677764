"""What the database says about the installation's health, cheaply enough to ask every few seconds.

Nothing here reads a whole table: ages are the first entry of an index, what waits is counted by
its partial index and only up to `MOST`, and the ledger is looked through a slice at a time.
"""

from __future__ import annotations

from datetime import datetime

import asyncpg
from msgspec import Struct

from orchestrator.store.ids import instant_of

MOST = 100_000
"""Counting stops here: a figure this high means so many or more."""

# How late the latest due enrollment is: the first of each shard in its index.
DUE_SINCE = """
SELECT min(first.due_at) FROM generate_series(0, 63) AS shards (shard) CROSS JOIN LATERAL (
    SELECT e.due_at FROM enrollments e
    WHERE e.shard = shards.shard AND e.due_at IS NOT NULL AND NOT e.held
    ORDER BY e.due_at LIMIT 1) first
"""

# The oldest event that may have its turn now, by its id: the first of each shard in its index.
EVENT_SINCE = """
SELECT min(first.id) FROM generate_series(0, 63) AS shards (shard) CROSS JOIN LATERAL (
    SELECT e.id FROM events e
    WHERE e.shard = shards.shard AND e.taken_at IS NULL
      AND (e.not_before IS NULL OR e.not_before <= $1)
    ORDER BY e.id LIMIT 1) first
"""

# What waits for gateways and what they have in hand, by attempt; receipts for nothing we know;
# messages that may have been sent twice; turns that failed.
COUNTS = """
SELECT
    (SELECT count(*) FROM (SELECT FROM attempts a JOIN messages m ON m.attempt_id = a.id
        WHERE a.claimed_by IS NULL AND m.state = 'queued' LIMIT $1) q) AS queued,
    (SELECT count(*) FROM (SELECT FROM attempts a JOIN messages m ON m.attempt_id = a.id
        WHERE a.claimed_by IS NOT NULL AND m.state = 'queued' LIMIT $1) q) AS submitting,
    (SELECT count(*) FROM (SELECT FROM parked_receipts LIMIT $1) q) AS parked_receipts,
    (SELECT count(*) FROM (SELECT FROM messages WHERE may_duplicate LIMIT $1) q) AS may_duplicate,
    (SELECT count(*) FROM (SELECT FROM failures WHERE at >= $2 LIMIT $1) q) AS failures_24h
"""

# The next members after one, and whether their figures are those of their entries and lots.
AUDIT = """
SELECT a.subscriber_id, (a.balance_points, a.held_points, a.spent_points, a.expired_points,
        a.earned_points) = (e.available, e.held, e.spent, e.expired, e.issued)
    AND a.balance_points = l.points AS right
FROM (SELECT * FROM accounts WHERE subscriber_id > $1 ORDER BY subscriber_id LIMIT $2) a
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(points * ((credit = 'available')::int - (debit = 'available')::int)), 0)
            AS available,
        coalesce(sum(points * ((credit = 'held')::int - (debit = 'held')::int)), 0) AS held,
        coalesce(sum(points * ((credit = 'spent')::int - (debit = 'spent')::int)), 0) AS spent,
        coalesce(sum(points * ((credit = 'expired')::int - (debit = 'expired')::int)), 0)
            AS expired,
        coalesce(sum(points * ((debit = 'issued')::int - (credit = 'issued')::int)), 0) AS issued
    FROM entries WHERE subscriber_id = a.subscriber_id) e
CROSS JOIN LATERAL (
    SELECT coalesce(sum(points), 0) AS points FROM lots
    WHERE subscriber_id = a.subscriber_id) l
ORDER BY a.subscriber_id
"""


class Pulse(Struct, frozen=True):
    """Ages in seconds of domain time, 0 if nothing is due; counts up to `MOST`."""

    due_lag_s: float
    event_lag_s: float
    queued: int
    submitting: int
    parked_receipts: int
    may_duplicate: int
    failures_24h: int


async def feel(connection: asyncpg.Connection, now: datetime, since: datetime) -> Pulse:
    """How the installation is at `now`; failures are counted from `since`."""
    due_at = await connection.fetchval(DUE_SINCE)
    event_id = await connection.fetchval(EVENT_SINCE, now)
    happened_at = None if event_id is None else instant_of(event_id)
    counts = await connection.fetchrow(COUNTS, MOST, since)
    return Pulse(_late(due_at, now), _late(happened_at, now), **dict(counts))


class Audit:
    """Goes through all members' points, a slice per look, and begins again at the end."""

    def __init__(self, slice_size: int = 200) -> None:
        self.wrong: set[int] = set()
        """Members whose points did not add up when last looked at."""
        self.members = 0
        """How many looks at a member there were."""
        self._size = slice_size
        self._last = 0

    async def look(self, connection: asyncpg.Connection) -> None:
        """The next slice has been looked at."""
        rows = await connection.fetch(AUDIT, self._last, self._size)
        for subscriber_id, right in rows:
            (self.wrong.discard if right else self.wrong.add)(subscriber_id)
        self.members += len(rows)
        self._last = rows[-1][0] if len(rows) == self._size else 0


def _late(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0
