"""Real people for simulations: as they stand now, or what they were written, batch by batch.

Nothing is locked and nothing is written: a simulation may look at the database that production
runs on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.model import Sent, Subscriber
from orchestrator.core.project import Project
from orchestrator.core.scene import Scene
from orchestrator.store import lists, points, scenes, usage
from orchestrator.store.ids import first_id, instant_of
from orchestrator.store.subscribers import subscriber_of

BATCH = 1_000

COUNTED = timedelta(days=60)
"""Conditions look no further back at what was counted."""

Counted = tuple[tuple[str, date, Decimal], ...]
"""What was counted of somebody: a measure, a day, and how much."""

# So many people, chosen by a number, always the same for the same one; or, without a limit, all.
CHOOSE = """
SELECT id FROM subscribers
ORDER BY CASE WHEN $1::bigint IS NULL THEN id ELSE hashint8extended(id, $2) END, id LIMIT $1
"""

# These people, as a turn would take them up, not locked.
READ = """
SELECT id, key, shard, locale, timezone, attributes, tags, addresses, consents, conversation,
       created_at
FROM subscribers WHERE id = ANY($1::bigint[]) ORDER BY id
"""

# The telephone numbers of so many people.
TELEPHONES = """
SELECT address FROM addresses WHERE channel = 'sms' AND address LIKE '+%'
ORDER BY subscriber_id LIMIT $1
"""

# What journeys wrote them, from an id on, and what they would have written since a time but were
# forbidden to.
TRAFFIC = """
SELECT subscriber_id, id, NULL::timestamptz AS at, template, journey, run, step, contact_class,
    '' AS reason
FROM messages WHERE subscriber_id = ANY($1::bigint[]) AND id >= $2 AND journey <> ''
UNION ALL
SELECT subscriber_id, 0, at, template, journey, 0, step, '', reason
FROM suppressions WHERE subscriber_id = ANY($1::bigint[]) AND at >= $3 AND until IS NULL
    AND journey <> '' AND template <> ''
"""


class Past(Struct, frozen=True, gc=False):
    """A message of a journey's `run`, that went at `sent.at`, or, with a `reason`, did not."""

    sent: Sent
    run: int
    step: str
    reason: str = ""


class Written(Struct, frozen=True, gc=False):
    """One person, which lists they are on now, and what they were written, oldest first."""

    subscriber: Subscriber
    listed: frozenset[str]
    past: tuple[Past, ...]


async def choose(
    connection: asyncpg.Connection, limit: int | None = None, seed: int = 1
) -> list[int]:
    """Everybody's id, or `limit` people's, of whom the same seed always chooses the same."""
    return sorted(row["id"] for row in await connection.fetch(CHOOSE, limit, seed))


async def telephones(connection: asyncpg.Connection, limit: int) -> list[str]:
    """Where text messages reach up to so many people."""
    return [row["address"] for row in await connection.fetch(TELEPHONES, limit)]


async def people(
    connection: asyncpg.Connection,
    chosen: Sequence[int],
    project: Project,
    names: frozenset[str],
    now: datetime,
) -> AsyncIterator[list[tuple[Scene, Counted]]]:
    """The scenes of these people, as a turn would find them, with the claims that it would look up,
    which of the lists `names` they are on, and what was counted of them, by batches of `BATCH`."""
    for begin in range(0, len(chosen), BATCH):
        ids = chosen[begin : begin + BATCH]
        cases = await scenes.load(connection, await connection.fetch(READ, ids), project, now)
        claims = await points.load_claims(connection, ids)
        listed = await _listed(connection, names, [it.scene.subscriber for it in cases], now)
        counted: Mapping[int, Counted] = {}
        if project.feed.measures:
            counted = await usage.by_day(connection, ids, (now - COUNTED).date())
        yield [
            (
                replace(it.scene, claimed=claims.get(who, {}), listed=listed[who]),
                counted.get(who, ()),
            )
            for it in cases
            for who in (it.scene.subscriber.id,)
        ]


async def _listed(
    connection: asyncpg.Connection,
    names: frozenset[str],
    people: Sequence[Subscriber],
    now: datetime,
) -> dict[int, frozenset[str]]:
    """Which of these lists the numbers of each of them are on."""
    numbers = {address for it in people for address in it.addresses.values()}
    _, listed = await lists.load(connection, names, numbers, now) if names else ({}, {})
    nothing = frozenset[str]()
    return {
        it.id: nothing.union(*(listed.get(n, nothing) for n in it.addresses.values()))
        for it in people
    }


async def traffic(
    connection: asyncpg.Connection,
    chosen: Sequence[int],
    names: frozenset[str],
    since: datetime,
    now: datetime,
) -> AsyncIterator[list[Written]]:
    """What these people were written since then, by batches of `BATCH`; `names` are the lists of
    numbers that matter."""
    for begin in range(0, len(chosen), BATCH):
        ids = chosen[begin : begin + BATCH]
        rows = await connection.fetch(READ, ids)
        past: dict[int, list[Past]] = {}
        for who, number, at, template, journey, run, step, contact_class, reason in (
            await connection.fetch(TRAFFIC, ids, first_id(since), since)
        ):  # fmt: skip
            sent = Sent(at or instant_of(number), template, journey, contact_class, number)
            past.setdefault(who, []).append(Past(sent, run, step, reason))
        subscribers = [subscriber_of(row) for row in rows]
        listed = await _listed(connection, names, subscribers, now)
        yield [
            Written(
                it,
                listed[it.id],
                tuple(sorted(past[it.id], key=lambda it: (it.sent.at, it.sent.id))),
            )
            for it in subscribers
            if it.id in past
        ]
