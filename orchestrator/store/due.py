"""What is due: shards with work, and segments whose schedule has come."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from orchestrator.core import calendar
from orchestrator.core.project import Project
from orchestrator.store import usage
from orchestrator.store.ids import Ids

# Shards in which a timer, an event or an expiry waits for a turn.
DUE_SHARDS = """
SELECT shard FROM generate_series(0, 63) AS shard WHERE
    EXISTS (SELECT FROM enrollments e WHERE e.shard = shard.shard AND e.due_at <= $1
            AND NOT e.held)
    OR EXISTS (SELECT FROM events e WHERE e.shard = shard.shard AND e.taken_at IS NULL
               AND (e.not_before IS NULL OR e.not_before <= $1))
    OR EXISTS (SELECT FROM accounts a WHERE a.shard = shard.shard AND a.due_at <= $1)
"""

# When a segment entry runs next; the first time it is only noted.
SCHEDULE = """
INSERT INTO schedules AS s (journey, entry, next_at) VALUES ($1, $2, $3)
ON CONFLICT (journey, entry) DO UPDATE SET next_at = s.next_at
RETURNING next_at
"""

# A segment entry's time has come: whoever moves it on is the one to run it.
RUN = """
UPDATE schedules SET next_at = $4 WHERE journey = $1 AND entry = $2 AND next_at = $3
RETURNING next_at
"""

# Nobody is erased meanwhile: an event would be left for somebody who is gone.
LOCK_ERASING = "SELECT pg_advisory_xact_lock_shared($1)"

# Everyone in a segment gets the event that lets them enter a journey; their ids are those that
# store.ids would draw. The placeholders are who there is, as store.usage tells it, and the
# segment's condition, made by core.expression from whitelisted nodes, both with their values as
# parameters.
ENTER_SEGMENT = """
INSERT INTO events (id, subscriber_id, shard, kind, name, properties, at, source, source_id)
SELECT $1 + (n >> 12 << 22) + (n & 4095), id, shard, 'entered', $3, '{{}}', $4, 'segment', $5
FROM (
    SELECT s.id, s.shard, $2::bigint + row_number() OVER () - 1 AS n
    FROM ({people}) s WHERE {condition}
) AS inside
"""

ENTERING = 0x656E746572
"""Advisory lock that segments being brought in share, and that an erasure has for itself."""


async def due_shards(connection: asyncpg.Connection, now: datetime) -> list[int]:
    """Shards with something due."""
    return [row["shard"] for row in await connection.fetch(DUE_SHARDS, now)]


async def enter_segments(
    connection: asyncpg.Connection, project: Project, now: datetime, ids: Ids
) -> int:
    """Everyone in a segment whose schedule has come waits to enter its journey; returns how many.
    Run by several at once, each scheduled time is run by one of them."""
    tz = calendar.zone(project.timezone) or calendar.UTC_ZONE
    count = 0
    for journey in project.journeys.values():
        for entry in journey.enter:
            if entry.segment is None or entry.every is None:
                continue
            name = f"{entry.segment} {entry.every.unit} {entry.every.on} {entry.every.time}"
            following = calendar.next_run(now, entry.every, tz)
            at = await connection.fetchval(SCHEDULE, journey.name, name, following)
            if at > now or not await connection.fetchval(RUN, journey.name, name, at, following):
                continue
            segment = project.segments[entry.segment]
            condition = segment.sql(6, project.areas)
            people, more = await usage.people(
                connection, segment.names(), project, now, 6 + len(condition.parameters)
            )
            await connection.execute(LOCK_ERASING, ENTERING)
            status = await connection.execute(
                ENTER_SEGMENT.format(people=people, condition=condition.text),
                *ids.begin(now), journey.name, now, f"{name}:{at.isoformat()}",
                *condition.parameters, *more,
            )  # fmt: skip
            entered = int(status.split()[-1])
            ids.made(entered)
            count += entered
    return count
