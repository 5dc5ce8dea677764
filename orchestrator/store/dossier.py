"""Everything the installation holds about one subscriber, read into one document for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from orchestrator.core.dossier import Dossier
from orchestrator.store import json, timeline
from orchestrator.store.ids import instant_of
from orchestrator.store.subscribers import subscriber_of

# Who they are.
SUBSCRIBER = """
SELECT id, key, shard, locale, timezone, attributes, tags, addresses, consents, conversation,
    created_at
FROM subscribers WHERE id = $1
"""

# How they are reached.
ADDRESSES = """
SELECT channel, address, gone_at FROM addresses WHERE subscriber_id = $1 ORDER BY channel, address
"""

# The lists of numbers that they stand on.
LISTS = """
SELECT l.name AS list, a.address, l.source, l.loaded_at
FROM addresses a CROSS JOIN lists l
JOIN listed n ON n.version = l.version AND n.number = number_of(a.address)
WHERE a.subscriber_id = $1 AND a.address LIKE '+%' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2
"""

# What they agreed to and refused.
CONSENTS = """
SELECT at, purpose, granted, how, wording
FROM consent_records WHERE subscriber_id = $1 ORDER BY at, purpose
"""

# What was counted of their use, by the days of each month.
USAGE = """
SELECT measure, month, total::float8 AS total, (
    SELECT jsonb_object_agg(month + number - 1, days[number])
    FROM generate_subscripts(days, 1) AS number WHERE days[number] IS NOT NULL)::text AS days
FROM usage_months WHERE subscriber_id = $1 ORDER BY measure, month
"""

# Where they stand, and where they stood in earlier runs.
ENROLLMENTS = """
SELECT journey, version, run, status, step, due_at, entered_at, waiting, ran_at, ran_step, goal_at,
    ended_at, reason, held, tries
FROM enrollments WHERE subscriber_id = $1 ORDER BY entered_at, journey
"""
PAST_ENROLLMENTS = """
SELECT journey, version, run, status, step, due_at, entered_at, waiting, ran_at, ran_step, goal_at,
    ended_at, reason, held, tries
FROM past_enrollments WHERE subscriber_id = $1 ORDER BY entered_at, journey
"""

# Which texts of journeys these were.
VERSIONS = """
SELECT version, journey, path, applied_at FROM versions
WHERE version IN (SELECT version FROM enrollments WHERE subscriber_id = $1
                  UNION SELECT version FROM past_enrollments WHERE subscriber_id = $1)
ORDER BY applied_at, version
"""

# What was sent to them.
MESSAGES = """
SELECT id, template, journey, contact_class, state, channel, address, content, via, run, step,
    carrier_id, code, reason, parts, may_duplicate, queued_at, goes_at, valid_until,
    ended_at
FROM messages WHERE subscriber_id = $1 ORDER BY id
"""

# What carriers said before the message they mean was known.
PARKED = """
SELECT p.channel, p.carrier_id, p.state, p.code, p.at
FROM parked_receipts p JOIN messages m USING (channel, carrier_id)
WHERE m.subscriber_id = $1 ORDER BY p.id
"""

# What happened to them, and what they wrote.
EVENTS = """
SELECT id, kind, name, properties, at, source, source_id, taken_at, tries, not_before
FROM events WHERE subscriber_id = $1 ORDER BY id
"""

# What was not sent, or not then.
SUPPRESSIONS = """
SELECT at, journey, step, template, reason, until
FROM suppressions WHERE subscriber_id = $1 ORDER BY at
"""

# What went wrong for them.
FAILURES = "SELECT at, what, error FROM failures WHERE subscriber_id = $1 ORDER BY id"

# Their points: what they have, what moved, what is left of what, what was bought.
ACCOUNTS = """
SELECT balance_points, held_points, spent_points, expired_points, earned_points, day, awards,
    due_at, tries
FROM accounts WHERE subscriber_id = $1
"""
ENTRIES = """
SELECT number, key, debit, credit, points, reason, at
FROM entries WHERE subscriber_id = $1 ORDER BY at, number
"""
LOTS = "SELECT key, points, expires_at FROM lots WHERE subscriber_id = $1 ORDER BY expires_at, key"
HOLDS = """
SELECT key, reward, points, taken, state, at, expires_at, ended_at
FROM holds WHERE subscriber_id = $1 ORDER BY at, key
"""
CODES = """
SELECT hold, reward, given_at, used_at, used_as, used_by
FROM codes WHERE subscriber_id = $1 ORDER BY given_at, hold
"""

# The codes they were given to join another address, and whether they did.
INVITATIONS = """
SELECT expires_at, used_by IS NOT NULL AS used FROM invitations WHERE subscriber_id = $1
ORDER BY expires_at
"""

# What people of ours spoke of with them, and what came of it.
DESK_ITEMS = """
SELECT message_id, reserved_by, ready_at, tries, outcome, note, ended_at
FROM desk_items WHERE subscriber_id = $1 ORDER BY message_id
"""

# Their turns, and what changed between them.
LIVES = """
SELECT at, project_id, person, enrollment FROM lives WHERE subscriber_id = $1 ORDER BY id
"""

# What carriers were asked of messages to them, and said.
ERRANDS = """
SELECT message_id, kind, channel, asked_at, answered_at, word, code, reason
FROM errands WHERE subscriber_id = $1 ORDER BY id
"""

# What operators did about them.
ACTS = """
SELECT number, entry::json ->> 'at' AS at, entry::json ->> 'what' AS what
FROM acts WHERE entry::json ->> 'about' = 'subscriber:' || $1::bigint ORDER BY number
"""


# Who they are to a feed: their number, or their key.
_whos = """
WITH whos AS (
    SELECT '=' || key AS who FROM subscribers WHERE id = $1
    UNION SELECT address FROM addresses WHERE subscriber_id = $1 AND channel = 'sms')
"""

# What is kept for triggers: the first of each slot in its index.
TRIGGER_WAITS = f"""{_whos}
SELECT w.who, w.journey, w.number, w.name, to_timestamp(w.began) AS began,
    to_timestamp(w.due) AS due, w.source_id, w.properties
FROM whos CROSS JOIN generate_series(0, 63) AS slots (slot)
JOIN trigger_waits w ON w.slot = slots.slot AND w.who = whos.who ORDER BY w.due, w.journey
"""
TRIGGER_STATES = f"""{_whos}
SELECT t.who, to_timestamp(t.at) AS at, t.known
FROM whos CROSS JOIN generate_series(0, 63) AS slots (slot)
JOIN trigger_states t ON t.slot = slots.slot AND t.who = whos.who ORDER BY t.who
"""
TRIGGER_FIRINGS = f"""{_whos}
SELECT f.who, f.journey, f.number, to_timestamp(f.at) AS at
FROM whos CROSS JOIN generate_series(0, 63) AS slots (slot)
JOIN trigger_firings f ON f.slot = slots.slot AND f.who = whos.who ORDER BY f.at, f.journey
"""

# Reports about them that could not be taken.
SET_ASIDE = f"""{_whos}
SELECT e.at, e.source, e.name, e.source_id, e.who, e.reason, e.body
FROM whos JOIN set_aside_events e ON e.who = whos.who ORDER BY e.at, e.id
"""


_JSON = frozenset({
    *("attributes", "addresses", "consents", "conversation", "waiting", "content"),
    *("properties", "awards", "taken", "person", "enrollment", "known", "days"),
})  # fmt: skip


async def load(connection: asyncpg.Connection, subscriber_id: int, now: datetime) -> Dossier | None:
    """Everything about this subscriber, as of one moment; None if there is nobody."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(SUBSCRIBER, subscriber_id)
        if row is None:
            return None

        async def several(query: str) -> list[dict[str, Any]]:
            return [_plain(it) for it in await connection.fetch(query, subscriber_id)]

        events = await several(EVENTS)
        messages = await several(MESSAGES)
        accounts = await several(ACCOUNTS)
        for message in messages:
            message["at"] = instant_of(int(message["id"]))
        story = await timeline.load(connection, subscriber_of(row), most=1_000_000_000)
        told: dict[str, Any] = {
            "exported_at": now,
            "subscriber": _plain(row),
            "addresses": await several(ADDRESSES),
            "lists": await several(LISTS),
            "consents": await several(CONSENTS),
            "usage": await several(USAGE),
            "enrollments": await several(ENROLLMENTS),
            "past_enrollments": await several(PAST_ENROLLMENTS),
            "versions": await several(VERSIONS),
            "messages": messages,
            "receipts": [*map(_receipt, filter(_has_receipt, messages)), *await several(PARKED)],
            "replies": [_reply(it) for it in events if it["kind"] == "reply"],
            "events": [it for it in events if it["kind"] != "reply"],
            "not_sent": await several(SUPPRESSIONS),
            "points": {
                "account": accounts[0] if accounts else None,
                "entries": await several(ENTRIES),
                "lots": await several(LOTS),
                "purchases": await several(HOLDS),
                "codes": await several(CODES),
            },
            "invitations": await several(INVITATIONS),
            "spoken_with": await several(DESK_ITEMS),
            "asked_of_carriers": await several(ERRANDS),
            "triggers": {
                "waits": await several(TRIGGER_WAITS),
                "states": await several(TRIGGER_STATES),
                "firings": await several(TRIGGER_FIRINGS),
            },
            "set_aside": await several(SET_ASIDE),
            "turns": await several(LIVES),
            "failures": await several(FAILURES),
            "acts": await several(ACTS),
            "timeline": [{"at": it.at, "kind": it.kind, "what": it.what} for it in story.moments],
        }
    return msgspec.convert(told, Dossier)


def _plain(row: asyncpg.Record) -> dict[str, Any]:
    told = dict(row)
    for name, value in told.items():
        if name in _JSON and isinstance(value, str):
            told[name] = json.decode(value)
        elif name == "id":
            told[name] = str(value)
    return told


def _has_receipt(message: Mapping[str, Any]) -> bool:
    return message["state"] in ("delivered", "undelivered", "expired") and bool(
        message["carrier_id"] or message["code"]
    )


def _receipt(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "message": message["id"],
        **{name: message[name] for name in ("channel", "carrier_id", "state", "code")},
        "at": message["ended_at"],
    }


def _reply(event: Mapping[str, Any]) -> dict[str, Any]:
    said = event["properties"]
    return {
        **{name: event[name] for name in ("id", "at", "source_id")},
        "channel": event["name"],
        "address": said.get("address", ""),
        "text": said.get("text", ""),
    }
