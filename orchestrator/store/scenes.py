"""Scenes, loaded: everything that decisions about some hundred subscribers need, in a fixed
number of queries."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.events import Event
from orchestrator.core.model import Conversation, Enrollment, Sent, Subscriber, Waiting
from orchestrator.core.points import Account
from orchestrator.core.project import Project
from orchestrator.core.scene import Scene
from orchestrator.store import events, halts, lists, points, usage
from orchestrator.store.ids import first_id, instant_of
from orchestrator.store.subscribers import subscriber_of

# Subscribers of some shards who have something due (a timer, an event, expiring points), locked
# for this transaction; those whom another worker has in hand are passed over, and replies so
# fresh that whoever received them is still about to answer.
CLAIM_DUE = """
WITH due AS (
    SELECT subscriber_id FROM unnest($1::smallint[]) AS shards (shard) CROSS JOIN LATERAL (
        SELECT e.subscriber_id FROM events e
        WHERE e.shard = shards.shard AND e.taken_at IS NULL
          AND (e.not_before IS NULL OR e.not_before <= $2)
          AND (e.kind <> 'reply' OR e.at <= $4)
        ORDER BY e.id LIMIT $3) waiting
    UNION
    SELECT subscriber_id FROM unnest($1::smallint[]) AS shards (shard) CROSS JOIN LATERAL (
        SELECT e.subscriber_id FROM enrollments e
        WHERE e.shard = shards.shard AND e.due_at <= $2 AND NOT e.held
        ORDER BY e.due_at LIMIT $3) timers
    UNION
    SELECT subscriber_id FROM unnest($1::smallint[]) AS shards (shard) CROSS JOIN LATERAL (
        SELECT a.subscriber_id FROM accounts a
        WHERE a.shard = shards.shard AND a.due_at <= $2
        ORDER BY a.due_at LIMIT $3) expiries
)
SELECT id, key, shard, locale, timezone, attributes, tags, addresses, consents, conversation,
       created_at
FROM subscribers WHERE id IN (SELECT subscriber_id FROM due)
FOR NO KEY UPDATE SKIP LOCKED
"""

# The subscribers named, locked for this transaction, in an order that all transactions share.
CLAIM_NAMED = """
SELECT id, key, shard, locale, timezone, attributes, tags, addresses, consents, conversation,
       created_at
FROM subscribers WHERE id = ANY($1::bigint[])
ORDER BY id FOR NO KEY UPDATE
"""

# The latest run of every journey these subscribers have been in.
LOAD_ENROLLMENTS = """
SELECT subscriber_id, journey, version, run, status, step, due_at, entered_at, waiting, ran_at,
       ran_step, goal_at, ended_at, reason
FROM enrollments WHERE subscriber_id = ANY($1::bigint[])
"""

# Their journeys' messages since an id, oldest first: the contact history.
LOAD_RECENT = """
SELECT subscriber_id, array_agg(id ORDER BY id), array_agg(template ORDER BY id),
    array_agg(journey ORDER BY id), array_agg(contact_class ORDER BY id)
FROM messages WHERE subscriber_id = ANY($1::bigint[]) AND id >= $2 AND journey <> ''
GROUP BY subscriber_id
"""

# Of these, those that fell back to another channel: they count for when they go.
LOAD_MOVED = """
SELECT subscriber_id, id, template, journey, contact_class, goes_at FROM messages
WHERE subscriber_id = ANY($1::bigint[]) AND goes_at IS NOT NULL AND goes_at >= $2
"""

# What happened to them that no turn has looked at.
LOAD_EVENTS = """
SELECT id, subscriber_id, kind, name, properties, at, source, source_id, tries
FROM events
WHERE subscriber_id = ANY($1::bigint[]) AND taken_at IS NULL
  AND (not_before IS NULL OR not_before <= $2)
ORDER BY id
"""

_conversation = Decoder(Conversation).decode
_waiting = Decoder(Waiting).decode


class PendingEvent(Struct, frozen=True, gc=False):
    """An event that waits for this turn, `tries` earlier ones having failed."""

    id: int
    event: Event
    tries: int


class Case(Struct, frozen=True, gc=False):
    """One subscriber as a turn takes them up."""

    scene: Scene
    pending: tuple[PendingEvent, ...]


async def claim_due(
    connection: asyncpg.Connection,
    shards: Sequence[int],
    now: datetime,
    limit: int,
    replies_until: datetime,
) -> list[asyncpg.Record]:
    """Up to about `limit` subscribers of these shards, locked, who have something due; of replies
    only those that came until `replies_until`."""
    each = -(-limit // len(shards))
    claimed: list[asyncpg.Record] = await connection.fetch(
        CLAIM_DUE, shards, now, each, replies_until
    )
    return claimed


async def claim_named(
    connection: asyncpg.Connection, subscriber_ids: Iterable[int]
) -> list[asyncpg.Record]:
    """These subscribers, locked; waits for turns that have them in hand."""
    wanted = sorted(set(subscriber_ids))
    claimed: list[asyncpg.Record] = await connection.fetch(CLAIM_NAMED, wanted)
    return claimed


async def load(
    connection: asyncpg.Connection,
    claimed: Sequence[asyncpg.Record],
    project: Project,
    now: datetime,
    members: Mapping[str, Container[int]] = {},
) -> list[Case]:
    """A case for each claimed subscriber, in seven queries however many they are;
    one more if a class of the contact policy names lists of numbers, and one if the project counts
    anything. `members` are the lists that
    conditions ask about."""
    ids = [row["id"] for row in claimed]
    enrollments: dict[int, dict[str, Enrollment]] = {}
    for row in await connection.fetch(LOAD_ENROLLMENTS, ids):
        (
            subscriber_id, journey, version, run, status, step, due_at, entered_at, waiting, ran_at,
            ran_step, goal_at, ended_at, reason,
        ) = row  # fmt: skip
        enrollments.setdefault(subscriber_id, {})[journey] = Enrollment(
            journey, version, run, status, step, due_at, entered_at,
            _waiting(waiting) if waiting else None, ran_at, ran_step, goal_at, ended_at, reason,
        )  # fmt: skip
    recent = await _recent(connection, ids, now - project.contact.memory)
    pending: dict[int, list[PendingEvent]] = {}
    for row in await connection.fetch(LOAD_EVENTS, ids, now):
        pending.setdefault(row["subscriber_id"], []).append(
            PendingEvent(row["id"], events.event_of(row), row["tries"])
        )
    accounts = await points.load_accounts(connection, ids)
    people = [subscriber_of(row) for row in claimed]
    loaded_at, on_lists = _NO_LISTS
    if names := project.contact.lists:
        numbers = {address for person in people for address in person.addresses.values()}
        loaded_at, on_lists = await lists.load(connection, names, numbers, now)
    halted = await halts.read(connection)
    counted = await usage.load(connection, people, project, now)
    return [
        Case(
            Scene(
                project=project,
                subscriber=person,
                enrollments=enrollments.get(row["id"], {}),
                recent=recent.get(row["id"], ()),
                account=accounts.get(row["id"], _NO_ACCOUNT),
                conversation=_conversation(row["conversation"]) if row["conversation"] else None,
                lists=loaded_at,
                listed=_standing_on(on_lists, person) if on_lists else _ON_NONE,
                halted=halted,
                members=members,
                usage=counted.get(row["id"], _NOT_COUNTED),
            ),
            tuple(pending.get(row["id"], ())),
        )
        for row, person in zip(claimed, people, strict=True)
    ]


async def _recent(
    connection: asyncpg.Connection, ids: Sequence[int], since: datetime
) -> dict[int, tuple[Sent, ...]]:
    """The contact history of each of these subscribers."""
    recent = {
        subscriber_id: tuple(
            Sent(instant_of(i), template, journey, contact_class, i)
            for i, template, journey, contact_class in zip(
                message_ids, templates, journeys, classes, strict=True
            )
        )
        for subscriber_id, message_ids, templates, journeys, classes in await connection.fetch(
            LOAD_RECENT, ids, first_id(since)
        )
    }
    for who, i, template, journey, contact_class, goes_at in await connection.fetch(
        LOAD_MOVED, ids, since
    ):
        others = (sent for sent in recent.get(who, ()) if sent.id != i)
        recent[who] = (*others, Sent(goes_at, template, journey, contact_class, i))
    return recent


_NO_ACCOUNT = Account()
_NO_LISTS: tuple[Mapping[str, datetime], Mapping[str, frozenset[str]]] = ({}, {})
_ON_NONE: frozenset[str] = frozenset()
_NOT_COUNTED: Mapping[str, Any] = {}


def _standing_on(on_lists: Mapping[str, frozenset[str]], person: Subscriber) -> frozenset[str]:
    """The lists that some address of this person is on."""
    found = (on_lists.get(address, _ON_NONE) for address in person.addresses.values())
    return _ON_NONE.union(*found)
