"""What matchers commit: what fired, what waits, what is known, and how far they have come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Any
from zlib import crc32

import asyncpg
import msgspec
from msgspec import Struct

from orchestrator.core.sieve import Who
from orchestrator.core.standing import Changes, Fired, FiredAt, Standing, State, Wait
from orchestrator.store import firing, json
from orchestrator.store.ids import Ids

SLOTS = 64
"""Subscribers belong to one of so many slots, and a partition to some slots."""

# How far a partition had come.
LOAD = """
SELECT partitions, resume_id, seen_id, taken, watermark, states_watermark FROM matching
WHERE partition = $1
"""

# Everything about the subscribers of some slots.
WAITS = """
SELECT journey, number, who, name, began, due, source_id, properties FROM trigger_waits
WHERE slot = ANY($1::smallint[])
"""
STATES = "SELECT who, known FROM trigger_states WHERE slot = ANY($1::smallint[])"
FIRINGS = "SELECT journey, number, who, at FROM trigger_firings WHERE slot = ANY($1::smallint[])"

# How far partitions have come.
KEEP = """
INSERT INTO matching (partition, partitions, resume_id, seen_id, taken, watermark,
    states_watermark, at)
SELECT u.*, $8 FROM unnest($1::smallint[], $2::smallint[], $3::text[], $4::text[], $5::bigint[],
    $6::float8[], $7::float8[]) AS u
ON CONFLICT (partition) DO UPDATE SET partitions = excluded.partitions,
    resume_id = excluded.resume_id, seen_id = excluded.seen_id, taken = excluded.taken,
    watermark = excluded.watermark, states_watermark = excluded.states_watermark, at = excluded.at
"""

# The same, and what fired for telephones is an event of whoever has them, unless nobody does. Until
# the transaction ends none of these people is erased or becomes one with another. People and source
# ids come in an order that is the same for all who write at once, so that none waits for another in
# a circle. Fails if a source id is known already, or if one of these people went while it waited
# for them: then an event would be nobody's.
# It is one statement, and so one transaction by itself: half of what a commit costs is going to and
# fro.
LET_HAPPEN = f"""
WITH kept AS ({KEEP}), met AS MATERIALIZED (
    SELECT u.*, a.subscriber_id
    FROM unnest($9::bigint[], $10::text[], $11::text[], $12::text[], $13::float8[], $14::text[])
        AS u (id, number, name, properties, at, source_id)
    JOIN addresses a ON a.channel = 'sms' AND a.address = u.number
), held AS MATERIALIZED (
    SELECT id, shard FROM subscribers WHERE id IN (SELECT subscriber_id FROM met)
    ORDER BY id FOR KEY SHARE
), noted AS (
    INSERT INTO sources (source, source_id, at)
    SELECT $15, source_id, $8 FROM met ORDER BY source_id
)
INSERT INTO events (id, subscriber_id, shard, kind, name, properties, at, source, source_id)
SELECT met.id, held.id, shard, 'trigger', name, properties::jsonb, to_timestamp(at), $15, source_id
FROM met LEFT JOIN held ON held.id = met.subscriber_id
RETURNING subscriber_id, shard
"""

# Waits that began, or began anew.
KEEP_WAITS = """
INSERT INTO trigger_waits (slot, who, journey, number, name, began, due, source_id, properties)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[], $5::text[],
    $6::float8[], $7::float8[], $8::text[], $9::text[])
ON CONFLICT (slot, who, journey, number) DO UPDATE SET name = excluded.name,
    began = excluded.began, due = excluded.due, source_id = excluded.source_id,
    properties = excluded.properties
"""

# Waits that are over.
END_WAITS = """
DELETE FROM trigger_waits w
USING unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[])
    AS u (slot, who, journey, number)
WHERE (w.slot, w.who, w.journey, w.number) = (u.slot, u.who, u.journey, u.number)
"""

# What is known now.
KEEP_STATES = """
INSERT INTO trigger_states (slot, who, known, at)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::float8[])
ON CONFLICT (slot, who) DO UPDATE SET known = excluded.known, at = excluded.at
"""

# When triggers fired last, and those firings that do not matter any more.
KEEP_FIRINGS = """
INSERT INTO trigger_firings (slot, who, journey, number, at)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[], $5::float8[])
ON CONFLICT (slot, who, journey, number) DO UPDATE SET at = excluded.at
"""
FORGET_FIRINGS = """
DELETE FROM trigger_firings f
USING unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[])
    AS u (slot, who, journey, number)
WHERE (f.slot, f.who, f.journey, f.number) = (u.slot, u.who, u.journey, u.number)
"""

# How the partitions stand: the last commit of each.
SHOW = """
SELECT partition, partitions, seen_id, taken, watermark, at FROM matching ORDER BY partition
"""

# How many triggers wait.
COUNT_WAITS = "SELECT count(*) FROM trigger_waits"


class Place(Struct, frozen=True):
    """How far a partition had come: see the table `matching`."""

    partitions: int
    resume_id: str
    seen_id: str
    taken: int
    watermark: float
    states_watermark: float


class Standings(Struct, frozen=True):
    """How a partition stands: its last commit, at domain time `at`."""

    partition: int
    partitions: int
    seen_id: str
    taken: int
    watermark: float
    at: datetime


class Checkpoint(Struct, frozen=True):
    """What is to be committed of one partition. `states` are written with it, if they are given;
    those among `changes` are not looked at."""

    partition: int
    place: Place
    fired: Sequence[Fired]
    changes: Changes
    states: Mapping[Who, State]

    @property
    def is_more(self) -> bool:
        """Whether there is more to it than what fired, and how far we are."""
        it = self.changes
        return bool(it.waits or it.ended or it.fired or it.forgotten or self.states)


def text_of(who: Who) -> str:
    """Whoever it is, as the tables have them."""
    return f"+{who}" if isinstance(who, int) else f"={who}"


def who_of(text: str) -> Who:
    """Whoever a text of the tables means."""
    return int(text[1:]) if text[0] == "+" else text[1:]


def slot_of(who: Who) -> int:
    """The slot of whoever this is: the same in every process, for ever."""
    if isinstance(who, int):
        return (who * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 58
    return crc32(who.encode("utf-8", "surrogatepass")) >> 26


def slots_of(partition: int, partitions: int) -> list[int]:
    """The slots of a partition."""
    return [*range(partition, SLOTS, partitions)]


async def load(
    connection: asyncpg.Connection, partition: int, slots: Sequence[int]
) -> tuple[Place | None, Standing]:
    """How far a partition had come, None if nobody ever had it, and what stood then."""
    row = await connection.fetchrow(LOAD, partition)
    place = None if row is None else Place(**dict(row))
    waits = tuple(
        Wait(journey, number, who_of(who), name, began, source_id, json.decode(properties), due)
        for journey, number, who, name, began, due, source_id, properties in await connection.fetch(
            WAITS, slots
        )
    )
    states = {who_of(row[0]): _state(row[1]) for row in await connection.fetch(STATES, slots)}
    fired = tuple(
        FiredAt(journey, number, who_of(who), at)
        for journey, number, who, at in await connection.fetch(FIRINGS, slots)
    )
    if place is None:
        return None, Standing(waits, states, fired)
    return place, Standing(waits, states, fired, place.watermark)


async def save(
    connection: asyncpg.Connection, checkpoints: Sequence[Checkpoint], now: datetime, ids: Ids
) -> tuple[list[tuple[int, int]], int]:
    """All of it is written, in one transaction. Returns (subscriber id, shard) of each new event,
    and how many fired for nobody we know. Safe to repeat: an event is known by its trigger and the
    report that began it."""
    fired = [it for checkpoint in checkpoints for it in checkpoint.fired]
    if all(isinstance(it.who, int) for it in fired):
        places = _places(checkpoints, now)
        news = firing.columns(fired, now, ids)
        more = any(it.is_more for it in checkpoints)
        with suppress(asyncpg.UniqueViolationError, asyncpg.NotNullViolationError):
            async with connection.transaction() if more else nullcontext():
                rows = await connection.fetch(LET_HAPPEN, *places, *news, firing.SOURCE)
                await _keep(connection, checkpoints)
            return [(row[0], row[1]) for row in rows], len(fired) - len(rows)
    # Some of it is stored already, or for people without a telephone, or whose it is just changed.
    async with connection.transaction():
        stored, nobody = await firing.add(connection, fired, now, ids)
        await connection.execute(KEEP, *_places(checkpoints, now))
        await _keep(connection, checkpoints)
    return stored, nobody


async def show(connection: asyncpg.Connection) -> list[Standings]:
    """How each partition stands that anybody ever had."""
    return [Standings(**dict(row)) for row in await connection.fetch(SHOW)]


async def waiting(connection: asyncpg.Connection) -> int:
    """How many triggers wait for their time."""
    found: int = await connection.fetchval(COUNT_WAITS)
    return found


def _places(checkpoints: Sequence[Checkpoint], now: datetime) -> list[Any]:
    places = [it.place for it in checkpoints]
    return [
        [it.partition for it in checkpoints],
        [it.partitions for it in places],
        [it.resume_id for it in places],
        [it.seen_id for it in places],
        [it.taken for it in places],
        [it.watermark for it in places],
        [it.states_watermark for it in places],
        now,
    ]


async def _keep(connection: asyncpg.Connection, checkpoints: Sequence[Checkpoint]) -> None:
    """What waits, is known, and has fired lately."""
    await _keep_waits(connection, [it for one in checkpoints for it in one.changes.waits])
    await _delete(connection, END_WAITS, [it for one in checkpoints for it in one.changes.ended])
    await _keep_states(connection, [it for one in checkpoints for it in one.states.items()])
    await _keep_firings(connection, [it for one in checkpoints for it in one.changes.fired])
    forgotten = [it for one in checkpoints for it in one.changes.forgotten]
    await _delete(connection, FORGET_FIRINGS, forgotten)


async def _keep_waits(connection: asyncpg.Connection, waits: Sequence[Wait]) -> None:
    if not waits:
        return
    columns = [
        *places_of(it.who for it in waits),
        [it.journey for it in waits],
        [it.number for it in waits],
        [it.name for it in waits],
        [it.began for it in waits],
        [it.due for it in waits],
        [it.source_id for it in waits],
        [json.encode(it.properties) for it in waits],
    ]
    await connection.execute(KEEP_WAITS, *columns)


async def _keep_states(connection: asyncpg.Connection, states: Sequence[tuple[Who, State]]) -> None:
    if not states:
        return
    columns = [
        *places_of(who for who, _ in states),
        [json.encode(state) for _, state in states],
        [max((since for since, _ in state.values()), default=0.0) for _, state in states],
    ]
    await connection.execute(KEEP_STATES, *columns)


async def _keep_firings(connection: asyncpg.Connection, fired: Sequence[FiredAt]) -> None:
    if not fired:
        return
    columns = [
        *places_of(it.who for it in fired),
        [it.journey for it in fired],
        [it.number for it in fired],
        [it.at for it in fired],
    ]
    await connection.execute(KEEP_FIRINGS, *columns)


async def _delete(
    connection: asyncpg.Connection, query: str, keys: Sequence[tuple[str, int, Who]]
) -> None:
    if keys:
        columns = [
            *places_of(who for _, _, who in keys),
            [it[0] for it in keys],
            [it[1] for it in keys],
        ]
        await connection.execute(query, *columns)


def places_of(whos: Iterable[Who]) -> tuple[list[int], list[str]]:
    """The slot of each, and whoever it is, as the tables have them."""
    slots, texts = [], []
    for who in whos:
        slots.append(slot_of(who))
        texts.append(text_of(who))
    return slots, texts


_states = msgspec.json.Decoder(dict[str, tuple[float, Any]]).decode


def _state(text: str) -> State:
    return _states(text)
