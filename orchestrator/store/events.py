"""What happened, written once and read again: events, replies, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.effects import EmitEvent
from orchestrator.core.events import (
    Entered,
    Event,
    MessageFailed,
    ReplyReceived,
    SubscriberEvent,
    Triggered,
)
from orchestrator.core.model import Subscriber
from orchestrator.core.project import Project
from orchestrator.store import json, usage
from orchestrator.store.ids import Ids

# Events whose source id is new are written; the rest are known already. Returns those, and whose
# they are.
# Their order is the same for all who write at once, so that none waits for another in a circle.
# Their subscribers are locked against being erased, and whoever was erased gets none.
ADD = """
WITH alive AS MATERIALIZED (
    SELECT id FROM subscribers WHERE id = ANY($2::bigint[]) FOR KEY SHARE
), given AS (
    SELECT u.* FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::text[],
        $6::text[], $7::timestamptz[], $8::text[], $9::text[])
        AS u (id, subscriber_id, shard, kind, name, properties, at, source, source_id)
    WHERE u.subscriber_id IN (SELECT alive.id FROM alive)
), fresh AS (
    INSERT INTO sources (source, source_id, at)
    SELECT source, source_id, $10 FROM given ORDER BY source, source_id ON CONFLICT DO NOTHING
    RETURNING source, source_id
)
INSERT INTO events (id, subscriber_id, shard, kind, name, properties, at, source, source_id)
SELECT DISTINCT ON (source, source_id)
    id, subscriber_id, shard, kind, name, properties::jsonb, at, source, source_id
FROM given JOIN fresh USING (source, source_id)
ORDER BY source, source_id, id
RETURNING subscriber_id, shard, id
"""

# A turn has looked at these events.
TAKE = """
UPDATE events e SET taken_at = $3
FROM unnest($1::bigint[], $2::bigint[]) AS u (subscriber_id, id)
WHERE e.subscriber_id = u.subscriber_id AND e.id = u.id
"""

# A turn failed on these subscribers: what waited for it waits on, or, tried too often, is given up.
PUT_BACK = """
UPDATE events SET tries = tries + 1, not_before = $2,
    taken_at = CASE WHEN tries + 1 >= $4 THEN $3::timestamptz END
WHERE subscriber_id = ANY($1::bigint[]) AND taken_at IS NULL
  AND (not_before IS NULL OR not_before <= $3)
"""

_properties = Decoder(dict[str, Any]).decode


class NewEvent(Struct, frozen=True):
    """One thing that happened to a known subscriber. `source` and `source_id` name it for ever."""

    subscriber_id: int
    shard: int
    kind: str
    name: str
    properties: Mapping[str, Any]
    at: datetime
    source: str
    source_id: str


async def add(
    connection: asyncpg.Connection,
    news: Sequence[NewEvent],
    now: datetime,
    ids: Ids,
    project: Project | None = None,
) -> list[tuple[int, int]]:
    """Events not seen before are stored, and have counted what `project` says they count; returns
    (subscriber id, shard) of each of those."""
    if not news:
        return []
    drawn = [ids.draw(now) for _ in news]
    columns = [
        drawn,
        [e.subscriber_id for e in news],
        [e.shard for e in news],
        [e.kind for e in news],
        [e.name for e in news],
        [json.encode(e.properties) for e in news],
        [e.at for e in news],
        [e.source for e in news],
        [e.source_id for e in news],
    ]
    stored = await connection.fetch(ADD, *columns, now)
    if project is not None and project.feed.counting:
        by_id = dict(zip(drawn, news, strict=True))
        fresh = (by_id[row["id"]] for row in stored)
        counted = [
            usage.Told(it.subscriber_id, it.name, it.at, it.properties)
            for it in fresh
            if it.kind == "event"
        ]
        await usage.count(connection, counted, project, now)
    return [(row[0], row[1]) for row in stored]


async def add_emitted(
    connection: asyncpg.Connection,
    emitted: Iterable[tuple[Subscriber, EmitEvent]],
    now: datetime,
    ids: Ids,
    project: Project,
) -> None:
    """Events that journeys let happen wait for the next turn of their subscribers."""
    await add(
        connection,
        [
            NewEvent(
                subscriber.id,
                subscriber.shard,
                "event",
                effect.name,
                effect.properties,
                now,
                "journey",
                f"{subscriber.id}:{effect.source_id}",
            )
            for subscriber, effect in emitted
        ],
        now,
        ids,
        project,
    )


async def take(
    connection: asyncpg.Connection, taken: Sequence[tuple[int, int]], now: datetime
) -> None:
    """These (subscriber id, event id) need no turn any more."""
    if taken:
        await connection.execute(TAKE, [t[0] for t in taken], [t[1] for t in taken], now)


async def put_back(
    connection: asyncpg.Connection,
    subscriber_ids: Iterable[int],
    not_before: datetime,
    now: datetime,
    most_tries: int,
) -> None:
    """What waits for a turn of these subscribers waits until `not_before`, or is given up."""
    await connection.execute(PUT_BACK, [*subscriber_ids], not_before, now, most_tries)


def event_of(row: asyncpg.Record) -> Event:
    """What happened, of a row of `events`."""
    properties = _properties(row["properties"])
    at = row["at"]
    match row["kind"]:
        case "reply":
            return ReplyReceived(at=at, source_id=row["source_id"], **properties)
        case "entered":
            return Entered(row["name"], at)
        case "trigger":
            return Triggered(
                properties["journey"],
                properties["number"],
                row["name"],
                datetime.fromisoformat(properties["began"]),
                at,
                properties["event"],
                f"{row['source']}:{row['source_id']}",
            )
        case "failed":
            properties["via"] = tuple(properties["via"])
            return MessageFailed(at=at, **properties)
        case _:
            named = f"{row['source']}:{row['source_id']}"
            return SubscriberEvent(row["name"], at, properties, named)
