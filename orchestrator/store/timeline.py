"""One subscriber's whole story, in order of time: for whoever has to say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.delivery import Spoken
from orchestrator.core.model import Content, Subscriber
from orchestrator.store import usage
from orchestrator.store.ids import instant_of
from orchestrator.store.subscribers import subscriber_of

if TYPE_CHECKING:
    from orchestrator.core.project import Project

# Who is meant: by key, or by an address on any channel. A key wins.
FIND = """
SELECT s.id, s.key, s.shard, s.locale, s.timezone, s.attributes, s.tags, s.addresses, s.consents,
    s.created_at
FROM subscribers s
WHERE s.id = coalesce(
    (SELECT id FROM subscribers WHERE key = $1),
    (SELECT subscriber_id FROM addresses
     WHERE address = ANY($2::text[]) AND ($3::text IS NULL OR channel = $3)
     ORDER BY channel LIMIT 1))
"""

# Where they stand, and where they stood before.
ENROLLMENTS = """
SELECT journey, version, run, status, step, due_at, entered_at, goal_at, ended_at, reason
FROM enrollments WHERE subscriber_id = $1
UNION ALL
SELECT journey, version, run, status, step, due_at, entered_at, goal_at, ended_at, reason
FROM past_enrollments WHERE subscriber_id = $1
ORDER BY entered_at, journey
"""

# What they have.
ACCOUNT = """
SELECT balance_points, held_points, spent_points, expired_points, earned_points
FROM accounts WHERE subscriber_id = $1
"""

# The latest of what happened to them, was sent to them, kept from them, and so on.
EVENTS = """
SELECT id, kind, name, properties, at, source_id, taken_at, tries
FROM events WHERE subscriber_id = $1 ORDER BY id DESC LIMIT $2
"""
MESSAGES = """
SELECT m.id, m.template, m.journey, m.step, m.state, m.channel, m.address, m.content,
    m.contact_class, m.carrier_id, m.code, m.reason, m.parts, m.may_duplicate, m.ended_at,
    a.claimed_by IS NOT NULL AS claimed
FROM messages m LEFT JOIN attempts a ON a.id = m.attempt_id
WHERE m.subscriber_id = $1 ORDER BY m.id DESC LIMIT $2
"""
SUPPRESSIONS = """
SELECT at, journey, step, template, reason, until
FROM suppressions WHERE subscriber_id = $1 ORDER BY at DESC LIMIT $2
"""
CONSENTS = """
SELECT at, purpose, granted, how, wording
FROM consent_records WHERE subscriber_id = $1 ORDER BY at DESC LIMIT $2
"""
ENTRIES = """
SELECT at, debit, credit, points, reason
FROM entries WHERE subscriber_id = $1 ORDER BY at DESC, number DESC LIMIT $2
"""
USED_CODES = """
SELECT used_at AS at, reward, used_by, given_at
FROM codes WHERE subscriber_id = $1 AND used_at IS NOT NULL ORDER BY used_at DESC LIMIT $2
"""
ERRANDS = """
SELECT asked_at AS at, kind, message_id, word, code, reason, asked_by
FROM errands WHERE subscriber_id = $1 ORDER BY id DESC LIMIT $2
"""
FAILURES = """
SELECT at, what, error FROM failures WHERE subscriber_id = $1 ORDER BY at DESC LIMIT $2
"""

# The conversation with an address: what was shown there, and what was said.
SHOWN = """
SELECT id, content, state FROM messages
WHERE subscriber_id = $1 AND channel = $2 AND state IN ('accepted', 'delivered', 'unknown')
ORDER BY id DESC LIMIT $3
"""
SAID = """
SELECT properties, at, source_id FROM events
WHERE subscriber_id = $1 AND kind = 'reply' AND name = $2 ORDER BY id DESC LIMIT $3
"""

Kind = Literal[
    "event", "trigger", "reply", "entered", "failed", "message", "suppression", "consent", "points",
    "code", "failure",
    "query", "recall", "began", "goal", "ended",
]  # fmt: skip

_properties = Decoder(dict[str, Any]).decode
_content = Decoder(Content).decode


class Standing(Struct, frozen=True):
    """One run of a journey."""

    journey: str
    version: str
    run: int
    status: str
    step: str | None
    due_at: datetime | None
    entered_at: datetime
    goal_at: datetime | None
    ended_at: datetime | None
    reason: str | None


class Points(Struct, frozen=True):
    """What a member has, and what became of the rest of what was earned."""

    balance_points: int = 0
    held_points: int = 0
    spent_points: int = 0
    expired_points: int = 0
    earned_points: int = 0


class Moment(Struct, frozen=True):
    """Something in a subscriber's story. `what` names it; `facts` is the rest, by name."""

    at: datetime
    kind: Kind
    what: str
    facts: dict[str, Any]


class Timeline(Struct, frozen=True):
    """Who they are, where they stand, what they have, and the latest moments, oldest first. `usage`
    is what was counted of their use, as conditions see it; it takes the place of what an import
    said under the same names."""

    subscriber: Subscriber
    enrollments: tuple[Standing, ...]
    points: Points
    moments: tuple[Moment, ...]
    usage: Mapping[str, Any] = {}


async def find(connection: asyncpg.Connection, who: str) -> Subscriber | None:
    """The subscriber of this key, phone number, or address (`+86138…`, `telegram:42`)."""
    channel, colon, rest = who.partition(":")
    address = rest if colon else who
    spellings = [address]
    digits = address.lstrip("+")
    if digits.isdigit():
        spellings.append(f"+{digits}")
    row = await connection.fetchrow(FIND, who, spellings, channel if colon else None)
    return None if row is None else subscriber_of(row)


async def load(
    connection: asyncpg.Connection,
    subscriber: Subscriber,
    most: int = 200,
    counting: tuple[Project, datetime] | None = None,
) -> Timeline:
    """Their story: all enrollments, and the latest `most` moments. `counting` is the project that
    runs, and when it is, for what was counted of their use."""
    who = subscriber.id
    standings = tuple(Standing(**dict(row)) for row in await connection.fetch(ENROLLMENTS, who))
    account = await connection.fetchrow(ACCOUNT, who)
    counted = await usage.load(connection, [subscriber], *counting) if counting else {}
    moments = [moment for standing in standings for moment in _stations(standing)]
    for query, told in _SOURCES:
        moments += [told(row) for row in await connection.fetch(query, who, most)]
    moments.sort(key=lambda moment: moment.at)
    return Timeline(
        subscriber,
        standings,
        Points(**dict(account)) if account else Points(),
        tuple(moments[-most:]),
        counted.get(who, {}),
    )


async def conversation(
    connection: asyncpg.Connection, subscriber_id: int, channel: str, most: int
) -> Sequence[Spoken]:
    """The latest `most` lines spoken with a subscriber on one channel, oldest first."""
    lines = [
        Spoken(
            str(row["id"]), "us", _content(row["content"]), instant_of(row["id"]),
            row["state"] == "delivered",
        )
        for row in await connection.fetch(SHOWN, subscriber_id, channel, most)
    ]  # fmt: skip
    for row in await connection.fetch(SAID, subscriber_id, channel, most):
        text = _properties(row["properties"]).get("text", "")
        lines.append(Spoken(row["source_id"], "them", Content(text=text), row["at"]))
    lines.sort(key=lambda line: line.at)
    return lines[-most:]


def _stations(standing: Standing) -> list[Moment]:
    # Not the version: it is the one they stand in now, and they may have been moved since.
    run = {"run": standing.run}
    moments = [Moment(standing.entered_at, "began", standing.journey, run)]
    if standing.goal_at is not None:
        moments.append(Moment(standing.goal_at, "goal", standing.journey, run))
    if standing.ended_at is not None:
        why = {"status": standing.status, "reason": standing.reason, "run": standing.run}
        moments.append(Moment(standing.ended_at, "ended", standing.journey, why))
    return moments


def _event(row: asyncpg.Record) -> Moment:
    facts = _properties(row["properties"])
    if row["taken_at"] is None:
        facts["waits_for_a_turn"] = True
    if row["tries"]:
        facts["failed_turns"] = row["tries"]
    return Moment(row["at"], row["kind"], row["name"], facts)


def _message(row: asyncpg.Record) -> Moment:
    state = "submitting" if row["state"] == "queued" and row["claimed"] else row["state"]
    content = _content(row["content"])
    facts = {
        "id": row["id"],
        "state": state,
        "channel": row["channel"],
        "address": row["address"],
        "text": content.text,
        "subject": content.subject,
        "href": content.href,
        "journey": row["journey"],
        "step": row["step"],
        "class": row["contact_class"],
        "code": row["code"],
        "reason": row["reason"],
        "parts": row["parts"],
        "may_duplicate": row["may_duplicate"],
        "ended_at": row["ended_at"],
    }
    said = {name: value for name, value in facts.items() if value not in (None, "", False)}
    return Moment(instant_of(row["id"]), "message", row["template"], said)


def _suppression(row: asyncpg.Record) -> Moment:
    facts = {name: row[name] for name in ("reason", "journey", "step", "until") if row[name]}
    return Moment(row["at"], "suppression", row["template"], facts)


def _consent(row: asyncpg.Record) -> Moment:
    facts = {name: row[name] for name in ("granted", "how", "wording")}
    return Moment(row["at"], "consent", row["purpose"], facts)


def _entry(row: asyncpg.Record) -> Moment:
    facts = {name: row[name] for name in ("points", "debit", "credit")}
    return Moment(row["at"], "points", row["reason"], facts)


def _code(row: asyncpg.Record) -> Moment:
    facts = {"by": row["used_by"], "given": row["given_at"]}
    return Moment(row["at"], "code", row["reward"], facts)


def _errand(row: asyncpg.Record) -> Moment:
    facts = {
        "said": row["word"] or "nothing yet",
        "message": row["message_id"],
        "code": row["code"],
        "reason": row["reason"],
        "by": row["asked_by"],
    }
    return Moment(row["at"], row["kind"], "carrier", facts)


def _failure(row: asyncpg.Record) -> Moment:
    return Moment(row["at"], "failure", row["what"], {"error": row["error"]})


_SOURCES = (
    (EVENTS, _event),
    (MESSAGES, _message),
    (SUPPRESSIONS, _suppression),
    (CONSENTS, _consent),
    (ENTRIES, _entry),
    (USED_CODES, _code),
    (ERRANDS, _errand),
    (FAILURES, _failure),
)
