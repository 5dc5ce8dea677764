"""Journeys that have a pace: their messages are claimed no faster than that, whoever claims them.

Their attempts are kept apart. A claim first takes the journey's time, one row that all gateways and
channels share, by PostgreSQL's clock; whoever gets it may claim one lot, and for so long as the lot
stands for nobody claims more. Nothing is saved up, so nothing ever comes in a burst.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg

from orchestrator.core.grammar import Pace
from orchestrator.store.columns import columns

# Of these journeys, those that have something to go on this channel now.
WAITING = """
SELECT w.journey FROM unnest($1::text[]) AS w (journey)
WHERE EXISTS (
    SELECT FROM attempts a
    WHERE a.paced = w.journey AND a.channel = $2 AND a.claimed_by IS NULL
      AND a.not_before <= $3 AND a.priority <= $4)
"""

# Journeys' time is taken, of those whose last lot's has passed. Two who ask at once wait for each
# other, and the second sees what the first took.
TAKE_TIME = """
INSERT INTO paces AS p (journey, every, taken_at)
SELECT w.journey, w.every, clock_timestamp()
FROM unnest($1::text[], $2::interval[]) AS w (journey, every) ORDER BY w.journey
ON CONFLICT (journey) DO UPDATE SET every = excluded.every, taken_at = clock_timestamp()
WHERE p.taken_at + excluded.every <= clock_timestamp()
RETURNING journey
"""

# How long it is until the first of these journeys' time comes that have something to go.
TIME_LEFT = """
SELECT min(coalesce(p.taken_at + w.every, clock_timestamp())) - clock_timestamp()
FROM unnest($1::text[], $2::interval[]) AS w (journey, every)
LEFT JOIN paces p USING (journey)
WHERE EXISTS (
    SELECT FROM attempts a
    WHERE a.paced = w.journey AND a.channel = $3 AND a.claimed_by IS NULL
      AND a.not_before <= $4 AND a.priority <= $5)
"""

# The first so many messages of a journey's attempts on a channel come into an attempt that is
# claimed. Which attempts they are from is told by their sizes, which are never too small.
CLAIM_LOT = """
WITH ahead AS MATERIALIZED (
    SELECT id, priority, sum(size) OVER (ORDER BY priority, id) - size AS before
    FROM (SELECT id, priority, size FROM attempts
          WHERE paced = $1 AND channel = $2 AND claimed_by IS NULL AND not_before <= $5
            AND priority <= $6
          ORDER BY priority, id LIMIT $7 FOR UPDATE) a
), chosen AS MATERIALIZED (
    SELECT id, priority FROM ahead WHERE before < $7
), lot AS MATERIALIZED (
    SELECT m.subscriber_id, m.id FROM chosen JOIN messages m ON m.attempt_id = chosen.id
    WHERE m.state = 'queued' ORDER BY chosen.priority, chosen.id, m.id LIMIT $7
), fresh AS (
    INSERT INTO attempts (channel, priority, not_before, paced, size, claimed_by, lease_until)
    SELECT $2, max(priority), $5, $1, $7, $3, $4 FROM chosen
    WHERE EXISTS (SELECT FROM lot) HAVING count(*) > 0
    RETURNING id
), taken AS (
    UPDATE messages m SET attempt_id = fresh.id FROM fresh, lot
    WHERE m.subscriber_id = lot.subscriber_id AND m.id = lot.id AND m.state = 'queued'
    RETURNING m.id
)
SELECT (SELECT id FROM fresh) AS attempt_id, (SELECT count(*) FROM taken) AS taken,
    ARRAY(SELECT id FROM chosen) AS chosen
"""

# Attempts that a lot was taken from are as large as what is left in them; empty ones are over.
TRIM = """
WITH rest AS (
    SELECT u.id, count(m.id) AS size FROM unnest($1::bigint[]) AS u (id)
    LEFT JOIN messages m ON m.attempt_id = u.id AND m.state = 'queued' GROUP BY u.id
), emptied AS (
    DELETE FROM attempts a USING rest WHERE a.id = rest.id AND rest.size = 0
)
UPDATE attempts a SET size = rest.size FROM rest WHERE a.id = rest.id AND rest.size > 0
"""

# Messages that came with others, before their journey had a pace or after a carrier did not take
# them, wait in attempts of their journeys.
PUT_APART = """
WITH fresh AS (
    INSERT INTO attempts (channel, priority, not_before, paced, size)
    SELECT $1, $2, $3, u.journey, count(*) FROM unnest($6::text[]) AS u (journey) GROUP BY u.journey
    RETURNING id, paced
)
UPDATE messages m SET attempt_id = fresh.id
FROM unnest($4::bigint[], $5::bigint[], $6::text[]) AS u (subscriber_id, id, journey)
JOIN fresh ON fresh.paced = u.journey
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id AND m.state = 'queued'
"""

# Some waiting messages of journeys that have outlived their hours.
OUTLIVED = """
SELECT m.subscriber_id, m.id, m.attempt_id FROM attempts a JOIN messages m ON m.attempt_id = a.id
WHERE a.paced = ANY($1::text[]) AND a.channel = $2 AND a.claimed_by IS NULL
  AND m.state = 'queued' AND m.valid_until <= $3
LIMIT 2000 FOR UPDATE OF m SKIP LOCKED
"""

# Journeys that have no pace any more are as all others.
FREE = """
UPDATE attempts SET paced = NULL
WHERE paced IS NOT NULL AND claimed_by IS NULL AND paced <> ALL ($1::text[])
"""

# How many messages wait for their journeys' paces.
COUNT = """
SELECT a.paced, count(*) FROM attempts a JOIN messages m ON m.attempt_id = a.id
WHERE a.paced IS NOT NULL AND a.claimed_by IS NULL AND m.state = 'queued'
GROUP BY a.paced ORDER BY a.paced
"""

MOST_EMPTY = 100
"""Attempts whose messages were all dropped are passed over; so many times in one claim."""


async def claim(
    connection: asyncpg.Connection,
    paces: Mapping[str, Pace],
    channel: str,
    gateway: str,
    lease_until: datetime,
    now: datetime,
    priority: int,
) -> list[int] | None:
    """One lot of each of these journeys whose time has come is this gateway's, in order: its
    attempts. None if nothing of any of them waits."""
    waiting = [row[0] for row in await connection.fetch(WAITING, [*paces], channel, now, priority)]
    if not waiting:
        return None
    every = [paces[journey].every for journey in waiting]
    granted = [row[0] for row in await connection.fetch(TAKE_TIME, waiting, every)]
    attempts: list[int] = []
    for journey in granted:
        for _ in range(MOST_EMPTY):
            lot = await connection.fetchrow(
                CLAIM_LOT, journey, channel, gateway, lease_until, now, priority,
                paces[journey].at_once,
            )  # fmt: skip
            if lot["chosen"]:
                await trim(connection, lot["chosen"])
            if lot["attempt_id"] is not None:
                attempts.append(lot["attempt_id"])
            if lot["taken"] or not lot["chosen"]:
                break
    return attempts


async def time_left(
    connection: asyncpg.Connection,
    paces: Mapping[str, Pace],
    channel: str,
    now: datetime,
    priority: int,
) -> timedelta | None:
    """How long it is until more of these journeys may go; None if nothing of them waits."""
    every = [pace.every for pace in paces.values()]
    left: timedelta | None = await connection.fetchval(
        TIME_LEFT, [*paces], every, channel, now, priority
    )
    return left


async def put_apart(
    connection: asyncpg.Connection,
    channel: str,
    priority: int,
    now: datetime,
    messages: Sequence[tuple[int, int, str]],
) -> None:
    """These messages (subscriber id, id, journey) wait for their journeys' paces."""
    await connection.execute(PUT_APART, channel, priority, now, *columns(messages))


async def outlived(
    connection: asyncpg.Connection, journeys: Sequence[str], channel: str, now: datetime
) -> list[tuple[int, int, int]]:
    """Some of what waits for these paces and has outlived its hours, locked: subscriber id, id and
    attempt. It need not wait for its turn to be put off."""
    return [tuple(row) for row in await connection.fetch(OUTLIVED, journeys, channel, now)]


async def trim(connection: asyncpg.Connection, attempts: Iterable[int]) -> None:
    """Attempts from which messages went are as large as what is left in them; empty ones are
    over."""
    await connection.execute(TRIM, [*attempts])


async def free(connection: asyncpg.Connection, paces: Mapping[str, Pace]) -> None:
    """Nothing waits for the pace of a journey that has none any more."""
    await connection.execute(FREE, [*paces])


async def count(connection: asyncpg.Connection) -> dict[str, int]:
    """How many messages wait for their journeys' paces, by journey."""
    return {row["paced"]: row["count"] for row in await connection.fetch(COUNT)}
