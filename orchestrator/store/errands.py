"""What operators ask of carriers about messages that are out, and what carriers say.

An errand is a row that waits until whoever holds its message's channel has seen to it. To ask twice
changes nothing: a carrier says the same, or that it has taken the message back already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.delivery import Fate, Held, Outgoing, Receipt, Word
from orchestrator.core.model import Content
from orchestrator.store import receipts
from orchestrator.store.columns import columns
from orchestrator.store.ids import Ids, first_id

Kind = Literal["query", "recall"]

BATCH = 2000

LOOK_BACK = timedelta(days=30)
"""Carriers hold no message for longer."""

_MEANT = """
    ($1::bigint IS NULL OR m.subscriber_id = $1) AND ($2::bigint IS NULL OR m.id = $2)
    AND ($3::text IS NULL OR m.journey = $3) AND ($4::text IS NULL OR m.channel = $4)
    AND m.id < $5::bigint AND m.id >= $6::bigint AND m.address <> ''
"""
_OUT = """
    (m.state IN ('accepted', 'unknown') OR m.state = 'delivered' AND m.id = $2)
    AND m.channel NOT IN ('counter', 'calls')
"""
"""A message that is delivered is asked about only if it is named; the carriers of the desk's
channels are people, who have queues of their own."""

# Messages that are out, and of which the last word is missing: how many of each kind.
COUNT = f"""
SELECT m.channel, m.state, count(*) AS messages, min(m.queued_at) AS since
FROM messages m WHERE {_MEANT} AND {_OUT}
GROUP BY m.channel, m.state ORDER BY m.channel, m.state
"""

# The same messages are asked about, the oldest first.
QUERY = f"""
INSERT INTO errands (batch, kind, subscriber_id, message_id, channel, asked_by, asked_at)
SELECT $7, 'query', m.subscriber_id, m.id, m.channel, $8, $9
FROM messages m WHERE {_MEANT} AND {_OUT} ORDER BY m.id LIMIT $10
"""

# They are to be taken back. Whatever their carriers say of that, they go on to no other channel.
RECALL = f"""
WITH meant AS MATERIALIZED (
    SELECT m.subscriber_id, m.id, m.channel FROM messages m
    WHERE {_MEANT} AND {_OUT} ORDER BY m.id LIMIT $10
), stay AS (
    UPDATE messages m SET via = '{{}}' FROM meant
    WHERE m.subscriber_id = meant.subscriber_id AND m.id = meant.id
      AND m.state IN ('accepted', 'unknown') AND m.via <> '{{}}'
)
INSERT INTO errands (batch, kind, subscriber_id, message_id, channel, asked_by, asked_at)
SELECT $7, 'recall', subscriber_id, id, channel, $8, $9 FROM meant ORDER BY id
"""

# Some of the queued messages that no gateway has are dropped.
DROP_QUEUED = f"""
WITH free AS (
    SELECT id FROM attempts WHERE claimed_by IS NULL AND id IN (
        SELECT m.attempt_id FROM messages m WHERE {_MEANT} AND m.state = 'queued' LIMIT $8)
    ORDER BY id FOR UPDATE
)
UPDATE messages m SET state = 'suppressed', reason = 'recalled', ended_at = $7
WHERE m.attempt_id IN (SELECT id FROM free) AND {_MEANT} AND m.state = 'queued'
"""

# A number that nobody has asked under before.
NEXT_BATCH = "SELECT nextval('errand_batches')"

# Some errands on these channels are this process's for a while: new ones, those whose taker has
# had its time, and ($3: nobody else holds these channels) those of whoever held them before.
TAKE = """
UPDATE errands e SET taken_by = $2, taken_until = $5
FROM (SELECT id FROM errands
      WHERE word IS NULL AND channel = ANY($1::text[])
        AND (taken_by IS NULL OR taken_until < $4 OR $3::boolean AND taken_by <> $2)
      ORDER BY id LIMIT $6 FOR UPDATE SKIP LOCKED) chosen
WHERE e.id = chosen.id
RETURNING e.id, e.kind, e.channel, e.subscriber_id, e.message_id
"""

# The messages that these errands are about, as far as there is something left of them.
MESSAGES = """
SELECT m.id, m.subscriber_id, m.address, m.content, m.valid_until, m.contact_class, m.journey,
    m.step, coalesce(m.carrier_id, '') AS carrier_id
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS u (subscriber_id, id, channel)
JOIN messages m USING (subscriber_id, id)
WHERE m.channel = u.channel AND m.address <> ''
  AND m.state IN ('accepted', 'unknown', 'delivered', 'undelivered')
"""

# What was said is on record, once.
ANSWER = """
UPDATE errands e SET word = u.word, code = nullif(u.code, ''), reason = nullif(u.reason, ''),
    answered_at = $5
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS u (id, word, code, reason)
WHERE e.id = u.id AND e.word IS NULL
"""

# Messages that nobody had answered for are known to their carriers after all.
KNOWN = """
UPDATE messages m SET state = 'accepted', carrier_id = u.carrier_id, reason = NULL, ended_at = NULL
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS u (subscriber_id, id, carrier_id)
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id AND m.state = 'unknown'
  AND m.address <> ''
"""

# Messages were taken back. A carrier's receipt that says so may have come before.
RECALLED = """
UPDATE messages m SET state = CASE WHEN m.state = 'undelivered' THEN m.state ELSE 'rejected' END,
    reason = 'recalled', ended_at = coalesce(m.ended_at, $3)
FROM unnest($1::bigint[], $2::bigint[]) AS u (subscriber_id, id)
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id
  AND m.state IN ('accepted', 'unknown', 'undelivered')
"""

# Phones were told to drop messages, whatever became of them before.
WITHDRAWN = """
UPDATE messages m SET reason = 'withdrawn'
FROM unnest($1::bigint[], $2::bigint[]) AS u (subscriber_id, id)
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id
"""

# How many errands of a batch had which answer (none: they wait), by channel.
TALLY = """
SELECT channel, word, count(*) AS messages FROM errands WHERE batch = $1
GROUP BY channel, word ORDER BY channel, word
"""

# The errands of a batch, in the order of their messages.
ANSWERS = """
SELECT e.message_id, s.key AS subscriber, e.channel, e.word, coalesce(e.code, '') AS code,
    coalesce(e.reason, '') AS reason, m.state
FROM errands e JOIN subscribers s ON s.id = e.subscriber_id
LEFT JOIN messages m ON m.subscriber_id = e.subscriber_id AND m.id = e.message_id
WHERE e.batch = $1 ORDER BY e.message_id LIMIT $2
"""

Final = Literal["delivered", "undelivered", "expired", "rejected"]

_FINAL: Mapping[str, Final] = {
    "delivered": "delivered",
    "undelivered": "undelivered",
    "expired": "expired",
    "rejected": "rejected",
}
_content = Decoder(Content).decode


class Meant(Struct, frozen=True):
    """Which messages: all that everything given here holds for. `before` and `since` are when they
    were decided."""

    before: datetime
    since: datetime
    subscriber_id: int | None = None
    message_id: int | None = None
    journey: str | None = None
    channel: str | None = None

    @property
    def values(self) -> tuple[int | str | None, ...]:
        """As the queries want them."""
        return (
            self.subscriber_id,
            self.message_id,
            self.journey,
            self.channel,
            first_id(self.before),
            first_id(self.since),
        )


def of_journey(journey: str, now: datetime) -> Meant:
    """Every message of a journey that may still be on its way."""
    return Meant(now + timedelta(days=1), now - LOOK_BACK, journey=journey)


class Group(Struct, frozen=True):
    """Messages of one channel and state; the oldest is `since` then."""

    channel: str
    state: str
    messages: int
    since: datetime


class Errand(Struct, frozen=True):
    """One message that a carrier is to be asked about, or to give back. `held` is None if nothing
    is left of the message, or it went to another channel meanwhile."""

    id: int
    kind: Kind
    channel: str
    subscriber_id: int
    message_id: int
    held: Held | None


class Tally(Struct, frozen=True):
    """So many errands on a channel had this answer; None: they wait for one."""

    channel: str
    word: Word | None
    messages: int


class Answer(Struct, frozen=True):
    """What was said of one message; `state` is the message's now, None if it is gone."""

    message_id: int
    subscriber: str
    channel: str
    word: Word | None
    code: str
    reason: str
    state: str | None


async def count(connection: asyncpg.Connection, meant: Meant) -> list[Group]:
    """How many messages there are to ask about."""
    return [Group(**dict(row)) for row in await connection.fetch(COUNT, *meant.values)]


async def ask(
    connection: asyncpg.Connection, kind: Kind, meant: Meant, by: str, now: datetime, most: int
) -> tuple[int, int]:
    """So many messages are to be asked about, or taken back; returns the batch's number and how
    many they are."""
    batch: int = await connection.fetchval(NEXT_BATCH)
    query = QUERY if kind == "query" else RECALL
    status = await connection.execute(query, *meant.values, batch, by, now, most)
    return batch, int(status.split()[-1])


async def drop_queued(connection: asyncpg.Connection, meant: Meant, now: datetime) -> int:
    """Messages that no gateway has yet are not sent; returns how many. Not in a transaction; safe
    to repeat."""
    dropped = 0
    while True:
        status = await connection.execute(DROP_QUEUED, *meant.values, now, BATCH)
        if not (gone := int(status.split()[-1])):
            return dropped
        dropped += gone


async def take(
    connection: asyncpg.Connection,
    channels: Sequence[str],
    taker: str,
    real_now: datetime,
    until: datetime,
    most: int,
    *,
    alone: bool,
) -> list[Errand]:
    """Up to so many errands are this process's until `until`, by real time."""
    rows = await connection.fetch(TAKE, list(channels), taker, alone, real_now, until, most)
    whose = [(row["subscriber_id"], row["message_id"], row["channel"]) for row in rows]
    if not whose:
        return []
    held = {it["id"]: _held(it) for it in await connection.fetch(MESSAGES, *columns(whose))}
    return [Errand(held=held.get(row["message_id"]), **dict(row)) for row in rows]


async def settle(
    connection: asyncpg.Connection,
    said: Sequence[tuple[Errand, Fate]],
    now: datetime,
    ids: Ids,
) -> list[int]:
    """What carriers said of these errands' messages is recorded, and what it means for them.
    Returns the subscribers whose messages failed and wait for a turn. Safe to repeat: no message
    takes a step back."""
    if not said:
        return []
    answers = [(it.id, fate.word, fate.code, fate.reason) for it, fate in said]
    await connection.execute(ANSWER, *columns(answers), now)
    known: list[tuple[int, int, str]] = []
    final: dict[str, list[Receipt]] = {}
    back: dict[str, list[tuple[int, int]]] = {"recalled": [], "withdrawn": []}
    for it, fate in said:
        if it.held is None:
            continue
        carrier_id = it.held.carrier_id or fate.carrier_id
        state = _FINAL.get(fate.word)
        if carrier_id and (state is not None or fate.word == "held"):
            known.append((it.subscriber_id, it.message_id, carrier_id))
        if carrier_id and state is not None:
            receipt = Receipt(it.channel, carrier_id, state, fate.code)
            final.setdefault(it.channel, []).append(receipt)
        if fate.word in back:
            back[fate.word].append((it.subscriber_id, it.message_id))
    if known:
        await connection.execute(KNOWN, *columns(known))
    if back["recalled"]:
        await connection.execute(RECALLED, *columns(back["recalled"]), now)
    if back["withdrawn"]:
        await connection.execute(WITHDRAWN, *columns(back["withdrawn"]))
    waiting: list[int] = []
    for channel, theirs in final.items():
        waiting += await receipts.receive(connection, channel, theirs, now, ids)
    return waiting


async def tally(connection: asyncpg.Connection, batch: int) -> list[Tally]:
    """How far a batch has come."""
    return [Tally(**dict(row)) for row in await connection.fetch(TALLY, batch)]


async def answers(connection: asyncpg.Connection, batch: int, most: int) -> list[Answer]:
    """What was said of the first `most` messages of a batch."""
    return [Answer(**dict(row)) for row in await connection.fetch(ANSWERS, batch, most)]


def _held(row: asyncpg.Record) -> Held:
    try:
        content = _content(row["content"])
    except ValueError:
        content = Content()
    journey = row["journey"]
    outgoing = Outgoing(
        row["id"],
        row["subscriber_id"],
        row["address"],
        content,
        "",
        row["valid_until"],
        row["contact_class"],
        f"{journey}/{row['step']}" if journey else "",
    )
    return Held(outgoing, row["carrier_id"])
