"""What decisions were made of, kept so that they can be made again: each turn that did something,
and what changed between turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import ValidationError, convert
from msgspec.json import Decoder

from orchestrator.core.model import Conversation, Enrollment, Subscriber
from orchestrator.core.points import Account
from orchestrator.core.retelling import Became, Found, Joined, Looked, Past, Placed, Turn
from orchestrator.core.scene import Halt
from orchestrator.store import events, json
from orchestrator.store.failures import MOST_TRIES
from orchestrator.store.ids import instant_of

# These subscribers had a turn that did something; until the transaction ends, what changes of
# subscribers is the turn's doing.
ADD_TURNS = """
INSERT INTO lives (subscriber_id, at, project_id)
SELECT u.id, $2, $3
FROM unnest($1::bigint[]) AS u (id), (SELECT set_config('outreach.turn', 'yes', true)) AS said
"""

# Somebody other than a turn has put these people where they now stand in a journey.
ADD_ENROLLMENTS = """
INSERT INTO lives (subscriber_id, at, enrollment)
SELECT e.subscriber_id, $3, to_jsonb(e) - '{subscriber_id,shard,held,tries}'::text[]
FROM enrollments e
WHERE e.subscriber_id = ANY($2::bigint[]) AND ($1::text IS NULL OR e.journey = $1)
"""

# Somebody became one with another, and their story begins anew with how they now stand.
BEGIN_ANEW = """
WITH told AS (DELETE FROM lives WHERE subscriber_id = $1)
INSERT INTO lives (subscriber_id, at, person)
SELECT s.id, $2, person_of(s, true)
    || jsonb_build_object('conversation', s.conversation) || $3::jsonb
FROM subscribers s WHERE s.id = $1
"""

# One subscriber's turns and changes, in order.
READ = """
SELECT id, at, project_id, person, enrollment FROM lives WHERE subscriber_id = $1 ORDER BY id
"""

# What happened to them that turns have looked at, in the order in which they did.
EVENTS = """
SELECT id, subscriber_id, kind, name, properties, at, source, source_id, taken_at,
    tries >= $2 AS given_up
FROM events WHERE subscriber_id = $1 AND taken_at IS NOT NULL ORDER BY taken_at, id
"""

# What was sent, and what was kept from them.
MESSAGES = """
SELECT id, queued_at, journey, step, template, channel, state, contact_class
FROM messages WHERE subscriber_id = $1 ORDER BY id
"""
SUPPRESSIONS = """
SELECT at, journey, step, template, reason
FROM suppressions WHERE subscriber_id = $1 ORDER BY at
"""

# When journeys were held up and let go.
HALTS = """
SELECT (entry::json ->> 'at')::timestamptz AS at, entry::json ->> 'what' AS what,
    substr(entry::json ->> 'about', 9) AS journey
FROM acts WHERE entry::json ->> 'what' IN ('journey.paused', 'journey.resumed', 'journey.cancelled')
ORDER BY number
"""

# The versions of journeys that they ever stood in.
VERSIONS = """
SELECT version FROM enrollments WHERE subscriber_id = $1
UNION SELECT version FROM past_enrollments WHERE subscriber_id = $1
UNION SELECT enrollment ->> 'version' FROM lives
WHERE subscriber_id = $1 AND enrollment IS NOT NULL
"""

_person = Decoder(dict[str, Any]).decode
_enrollment = Decoder(Enrollment).decode


async def add_turns(
    connection: asyncpg.Connection, subscriber_ids: Iterable[int], now: datetime, project: int
) -> None:
    """These people have had a turn. Comes before what the turn changes of them, in its
    transaction."""
    await connection.execute(ADD_TURNS, [*subscriber_ids], now, project)


async def add_enrollments(
    connection: asyncpg.Connection,
    subscriber_ids: Iterable[int],
    now: datetime,
    journey: str | None = None,
) -> None:
    """Where these people stand now, in a journey or in all, is no turn's doing."""
    await connection.execute(ADD_ENROLLMENTS, journey, [*subscriber_ids], now)


async def begin_anew(
    connection: asyncpg.Connection,
    subscriber_id: int,
    now: datetime,
    account: Account,
    claimed: Mapping[str, int],
) -> None:
    """The story of this subscriber, who became one with somebody, begins now. Comes after all that
    this changes of them."""
    stand = json.encode({"account": account, "claimed": claimed})
    await connection.execute(BEGIN_ANEW, subscriber_id, now, stand)
    await add_enrollments(connection, [subscriber_id], now)


async def versions(connection: asyncpg.Connection, subscriber_id: int) -> set[str]:
    """The versions of journeys that this subscriber ever stood in."""
    return {row["version"] for row in await connection.fetch(VERSIONS, subscriber_id)}


async def read(connection: asyncpg.Connection, subscriber_id: int) -> Past:
    """All that is kept of this subscriber's life."""
    turns = [_row(row, subscriber_id) for row in await connection.fetch(READ, subscriber_id)]
    looked = [
        Looked(row["taken_at"], events.event_of(row), row["given_up"], instant_of(row["id"]))
        for row in await connection.fetch(EVENTS, subscriber_id, MOST_TRIES)
    ]
    messages = [
        Found(row["queued_at"], row["journey"], row["step"], row["template"], row["id"],
              row["channel"], row["state"], contact_class=row["contact_class"])
        for row in await connection.fetch(MESSAGES, subscriber_id)
    ]  # fmt: skip
    kept_back = [Found(**row) for row in await connection.fetch(SUPPRESSIONS, subscriber_id)]
    return Past(turns, looked, messages, kept_back, _halts(await connection.fetch(HALTS)))


def _row(row: Mapping[str, Any], subscriber_id: int) -> Turn | Became | Placed | Joined:
    if row["person"] is not None:
        return _became(row["at"], _person(row["person"]), subscriber_id)
    if row["enrollment"] is not None:
        return Placed(row["at"], _enrollment(row["enrollment"]))
    return Turn(row["at"], row["project_id"])


def _became(at: datetime, kept: dict[str, Any], subscriber_id: int) -> Became | Joined:
    is_new = kept.pop("new")
    stand = {
        name: kept.pop(name) for name in ("account", "claimed", "conversation") if name in kept
    }
    try:
        person = convert({"id": subscriber_id, **kept}, Subscriber)
    except ValidationError:
        return Became(at, None, is_new)
    if not stand:
        return Became(at, person, is_new)
    return Joined(
        at,
        person,
        convert(stand["account"], Account),
        stand["claimed"],
        convert(stand["conversation"], Conversation | None),
    )


def _halts(rows: Iterable[Mapping[str, Any]]) -> list[tuple[datetime, Mapping[str, Halt]]]:
    """From when on which journeys were held up."""
    words: dict[str, Halt] = {"journey.paused": "paused", "journey.cancelled": "cancelled"}
    held: dict[str, Halt] = {}
    found: list[tuple[datetime, Mapping[str, Halt]]] = []
    for row in rows:
        held = {name: halt for name, halt in held.items() if name != row["journey"]}
        if row["what"] in words:
            held[row["journey"]] = words[row["what"]]
        found.append((row["at"], held))
    return found
