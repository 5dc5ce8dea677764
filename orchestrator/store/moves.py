"""People in flight, counted and moved to another version of their journey, batch by batch.

A batch locks its people as turns do and passes over those whom a turn has in hand, so that no turn
and no batch ever sees the other's half. It never waits while it holds a lock. Until somebody is
moved they go on in the version they stand in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.journey import InFlight
from orchestrator.core.model import Enrollment, Waiting
from orchestrator.store import json, lives
from orchestrator.store.columns import columns

BATCH = 2000

# Who stands where, in flight: one pass over the open enrollments, however many groups there are.
COUNT = """
SELECT journey, version, coalesce(step, '') AS step, status, waiting IS NOT NULL AS waiting,
    count(*) AS people, count(*) FILTER (WHERE due_at <= $1) AS due
FROM enrollments WHERE ended_at IS NULL
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""

# When those entered who stand at some places, as finely as a time of day on a day of their journey
# needs: people of one time zone who entered in the same quarter of an hour entered on the same day.
TIMES = """
SELECT e.version, e.step, e.waiting IS NOT NULL AS waiting, s.timezone,
    date_bin('15 minutes', e.entered_at, '2000-01-01 00:00:00Z') AS entered_at, e.ran_step,
    date_trunc('minute', e.ran_at) AS ran_at, count(*) AS people
FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[])
    AS u (journey, version, step, waiting)
JOIN enrollments e ON e.journey = u.journey AND e.version = u.version AND e.step = u.step
    AND (e.waiting IS NOT NULL) = u.waiting
JOIN subscribers s ON s.id = e.subscriber_id
WHERE e.ended_at IS NULL AND e.status = 'active'
GROUP BY 1, 2, 3, 4, 5, 6, 7
"""

# The versions in which somebody is under way in a journey, without counting them: from one to the
# next in the index.
VERSIONS_IN_FLIGHT = """
WITH RECURSIVE found AS (
    SELECT min(version) AS version FROM enrollments WHERE journey = $1 AND ended_at IS NULL
    UNION ALL
    SELECT (SELECT min(e.version) FROM enrollments e
            WHERE e.journey = $1 AND e.ended_at IS NULL AND e.version > found.version)
    FROM found WHERE found.version IS NOT NULL
)
SELECT version FROM found WHERE version IS NOT NULL
"""

# A journey's people are to follow.
BEGIN = """
INSERT INTO moves (project_id, journey, version, sources, rule, planned, begun_at)
SELECT (SELECT max(id) FROM projects), $1, $2, $3::text[], $4::jsonb, $5, $6
"""

# The moves of the project that runs; without a project that followed, they are over.
CURRENT = """
SELECT project_id, journey, version, sources, rule, planned, moved, begun_at, done_at
FROM moves WHERE project_id = (SELECT max(id) FROM projects) ORDER BY journey
"""

# All moves there ever were, in order.
EVERY = """
SELECT project_id, journey, version, sources, rule, planned, moved, begun_at, done_at
FROM moves ORDER BY project_id, journey
"""

# This move is ours for a batch, if its project is still the newest and nobody else is at it.
TAKE = """
SELECT journey FROM moves
WHERE project_id = $1 AND journey = $2 AND project_id = (SELECT max(id) FROM projects)
FOR NO KEY UPDATE SKIP LOCKED
"""

# The next of those who stand in a version of a journey, at one of these steps or held out.
NEXT = """
SELECT subscriber_id FROM enrollments
WHERE journey = $1 AND version = $2 AND ended_at IS NULL AND subscriber_id > $3
  AND (status = 'control' OR step = ANY($4::text[]))
ORDER BY subscriber_id LIMIT $5
"""

# These people, locked as turns lock them; those in a turn's hands are passed over.
LOCK = """
SELECT id, timezone FROM subscribers WHERE id = ANY($1::bigint[])
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

# How many of these there are at all.
EXISTING = "SELECT count(*) FROM subscribers WHERE id = ANY($1::bigint[])"

# Where they stand, now that they are locked.
STANDING = """
SELECT subscriber_id, run, status, step, due_at, entered_at, waiting, ran_at, ran_step, goal_at
FROM enrollments
WHERE subscriber_id = ANY($1::bigint[]) AND journey = $2 AND version = $3 AND ended_at IS NULL
"""

# They stand in the new version. A timer that was given up is tried anew where it is due anew.
MOVE = """
UPDATE enrollments e SET version = $2, status = u.status, step = u.step, due_at = u.due_at,
    waiting = u.waiting::jsonb, ran_step = u.ran_step, ended_at = u.ended_at, reason = u.reason,
    held = e.held AND u.ended_at IS NULL,
    tries = CASE WHEN u.due_at IS NOT DISTINCT FROM e.due_at THEN e.tries ELSE 0 END
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[],
    $9::timestamptz[], $10::text[])
    AS u (subscriber_id, status, step, due_at, waiting, ran_step, ended_at, reason)
WHERE e.subscriber_id = u.subscriber_id AND e.journey = $1
"""

# So many more have moved.
PROGRESS = "UPDATE moves SET moved = moved + $3 WHERE project_id = $1 AND journey = $2"

# Nobody is left who could move.
DONE = """
UPDATE moves SET done_at = $3 WHERE project_id = $1 AND journey = $2 AND done_at IS NULL
"""

_rule = Decoder(InFlight).decode
_waiting = Decoder(Waiting).decode


class Group(Struct, frozen=True):
    """People who stand at the same place: how many, and how many of them are due. `step` is '' for
    those held out (`status` control)."""

    journey: str
    version: str
    step: str
    status: str
    waiting: bool
    people: int
    due: int


class Entered(Struct, frozen=True):
    """People at one place of a version who entered, and last ran a step with a time, together."""

    version: str
    step: str
    waiting: bool
    timezone: str | None
    entered_at: datetime
    ran_step: str | None
    ran_at: datetime | None
    people: int


class Move(Struct, frozen=True):
    """The people of one journey on their way to the version that one project has."""

    project_id: int
    journey: str
    version: str
    sources: tuple[str, ...]
    rule: InFlight
    planned: int
    moved: int
    begun_at: datetime
    done_at: datetime | None


class Locked(Struct, frozen=True):
    """Some people who stand in one version of a journey, locked: time zone and enrollment by row
    number of the subscriber. `last` is the highest number that was looked at; `busy` people a turn
    had in hand."""

    people: Mapping[int, tuple[str | None, Enrollment]]
    last: int
    busy: int


async def count(connection: asyncpg.Connection, now: datetime) -> list[Group]:
    """Everybody who is under way, by place."""
    return [Group(**row) for row in await connection.fetch(COUNT, now)]


async def times(
    connection: asyncpg.Connection, places: Iterable[tuple[str, str, str, bool]]
) -> list[Entered]:
    """When people at these places (journey, version, step, waiting) entered."""
    wanted = [*places]
    if not wanted:
        return []
    return [Entered(**row) for row in await connection.fetch(TIMES, *columns(wanted))]


async def versions_in_flight(connection: asyncpg.Connection, journey: str) -> set[str]:
    """The versions of a journey that somebody is under way in."""
    return {row["version"] for row in await connection.fetch(VERSIONS_IN_FLIGHT, journey)}


async def begin(
    connection: asyncpg.Connection,
    journey: str,
    version: str,
    sources: Sequence[str],
    rule: InFlight,
    planned: int,
    now: datetime,
) -> None:
    """The people of this journey are to move, under the project that was applied last."""
    await connection.execute(BEGIN, journey, version, sources, json.encode(rule), planned, now)


async def current(connection: asyncpg.Connection) -> list[Move]:
    """The moves of the project that runs."""
    return [_move(row) for row in await connection.fetch(CURRENT)]


async def every(connection: asyncpg.Connection) -> list[Move]:
    """All moves there ever were, oldest first."""
    return [_move(row) for row in await connection.fetch(EVERY)]


async def take(connection: asyncpg.Connection, move: Move) -> bool:
    """Whether this transaction, and no other meanwhile, may move people of `move`."""
    return await connection.fetchval(TAKE, move.project_id, move.journey) is not None


async def lock(
    connection: asyncpg.Connection, journey: str, version: str, steps: Sequence[str], after: int
) -> Locked | None:
    """The next people, past row number `after`, who stand at one of these steps, as far as nobody
    has them in hand. None if there are none."""
    rows = await connection.fetch(NEXT, journey, version, after, steps, BATCH)
    if not rows:
        return None
    ids = [row["subscriber_id"] for row in rows]
    zones = {row["id"]: row["timezone"] for row in await connection.fetch(LOCK, ids)}
    missed = [who for who in ids if who not in zones]
    busy = await connection.fetchval(EXISTING, missed) if missed else 0
    found = {}
    for row in await connection.fetch(STANDING, [*zones], journey, version):
        who, run, status, step, due_at, entered_at, waiting, ran_at, ran_step, goal_at = row
        found[who] = (
            zones[who],
            Enrollment(
                journey, version, run, status, step, due_at, entered_at,
                _waiting(waiting) if waiting else None, ran_at, ran_step, goal_at,
            ),
        )  # fmt: skip
    return Locked(found, ids[-1], busy)


async def save(
    connection: asyncpg.Connection,
    move: Move,
    moved: Sequence[tuple[int, Enrollment]],
    now: datetime,
) -> None:
    """These people, locked by this transaction, stand as their enrollments say."""
    rows = [
        (who, e.status, e.step, e.due_at, json.encode(e.waiting) if e.waiting else None,
         e.ran_step, e.ended_at, e.reason)
        for who, e in moved
    ]  # fmt: skip
    await connection.execute(MOVE, move.journey, move.version, *columns(rows))
    await lives.add_enrollments(connection, [who for who, _ in moved], now, move.journey)
    await connection.execute(PROGRESS, move.project_id, move.journey, len(rows))


async def end(connection: asyncpg.Connection, move: Move, now: datetime) -> None:
    """The move is done."""
    await connection.execute(DONE, move.project_id, move.journey, now)


def _move(row: Mapping[str, Any]) -> Move:
    known = {**row, "sources": tuple(row["sources"]), "rule": _rule(row["rule"])}
    return Move(**known)
