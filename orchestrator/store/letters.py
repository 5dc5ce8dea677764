"""Dead letters: events and timers whose turn failed too often, and what failed lately."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg
from msgspec import Struct

# Events and timers that were given up, or wait for another try, the latest failure of their
# subscriber beside them, oldest first; of one subscriber if `$2` says so.
LIST = """
SELECT s.id AS subscriber_id, s.key, s.shard, e.id, e.kind, e.name, coalesce(e.at, f.at) AS at,
    e.tries, e.given_up, e.not_before, coalesce(f.error, '') AS error
FROM (SELECT subscriber_id, id, kind, name, at, tries, taken_at IS NOT NULL AS given_up, not_before
      FROM events WHERE tries >= 5
      UNION ALL
      SELECT subscriber_id, id, kind, name, at, tries, taken_at IS NOT NULL, not_before
      FROM events WHERE taken_at IS NULL AND tries BETWEEN 1 AND 4
      UNION ALL
      SELECT subscriber_id, 0, 'timer', concat_ws('/', journey, step), ran_at, tries,
          due_at IS NULL, due_at
      FROM enrollments WHERE tries > 0 AND ended_at IS NULL
      UNION ALL
      SELECT subscriber_id, 0, 'timer', 'points', NULL, tries, due_at IS NULL, due_at
      FROM accounts WHERE tries > 0) e
JOIN subscribers s ON s.id = e.subscriber_id
LEFT JOIN LATERAL (
    SELECT error, at FROM failures WHERE subscriber_id = e.subscriber_id
    ORDER BY at DESC LIMIT 1) f ON true
WHERE $2::bigint IS NULL OR s.id = $2
ORDER BY e.id LIMIT $1
"""

# The latest failures of turns, whatever they were about.
LATEST = """
SELECT s.key, f.at, f.what, f.error FROM failures f JOIN subscribers s ON s.id = f.subscriber_id
WHERE f.at >= $1 ORDER BY f.at DESC LIMIT $2
"""

# These events, given up or put off, wait for a turn again, as if never tried.
REVIVE = """
UPDATE events SET tries = 0, taken_at = NULL, not_before = NULL
WHERE subscriber_id = $1 AND id = ANY($2::bigint[]) AND tries > 0
"""

# Timers of a subscriber, given up or put off, are due again, as if never tried.
REVIVE_TIMERS = """
WITH points AS (
    UPDATE accounts SET tries = 0, due_at = $2
    WHERE subscriber_id = $1 AND tries > 0
    RETURNING subscriber_id
), steps AS (
    UPDATE enrollments SET tries = 0, due_at = $2
    WHERE subscriber_id = $1 AND tries > 0 AND ended_at IS NULL RETURNING subscriber_id
)
SELECT (SELECT count(*) FROM points) + (SELECT count(*) FROM steps)
"""

# Why the last turn of a subscriber failed.
LAST_ERROR = "SELECT error FROM failures WHERE subscriber_id = $1 ORDER BY id DESC LIMIT 1"


class Letter(Struct, frozen=True):
    """An event or a timer (whose `id` is 0, and `at` the last time it was tried) whose turn failed
    `tries` times: given up, or tried again from `not_before`."""

    subscriber_id: int
    key: str
    shard: int
    id: int
    kind: str
    name: str
    at: datetime
    tries: int
    given_up: bool
    not_before: datetime | None
    error: str


class Failure(Struct, frozen=True):
    """One failed turn: `what` failed, and with which error."""

    key: str
    at: datetime
    what: str
    error: str


async def letters(
    connection: asyncpg.Connection, most: int, subscriber_id: int | None = None
) -> list[Letter]:
    """Events whose turns failed, oldest first, at most `most`; of one subscriber or of all."""
    return [Letter(**dict(row)) for row in await connection.fetch(LIST, most, subscriber_id)]


async def latest(connection: asyncpg.Connection, since: datetime, most: int) -> list[Failure]:
    """The latest `most` failed turns since then, newest first."""
    return [Failure(**dict(row)) for row in await connection.fetch(LATEST, since, most)]


async def revive(
    connection: asyncpg.Connection, subscriber_id: int, ids: Sequence[int], now: datetime
) -> int:
    """The letters of these ids (0: timers) of a subscriber wait for a turn again; returns how many.
    Safe to repeat: what has had its turn meanwhile is not touched."""
    status = await connection.execute(REVIVE, subscriber_id, [*ids])
    timers = await connection.fetchval(REVIVE_TIMERS, subscriber_id, now) if 0 in ids else 0
    return int(status.split()[-1]) + int(timers)


async def last_error(connection: asyncpg.Connection, subscriber_id: int) -> str:
    """Why the last turn of this subscriber that failed did so, or ''."""
    return await connection.fetchval(LAST_ERROR, subscriber_id) or ""
