"""Retention: what has been kept for as long as it was to be, goes.

Once a day a pass goes over each table by its physical pages, a slice at a time: it needs no index,
locks what it takes for milliseconds, and reads as much in a day as the tables are large. Where a
pass is, is in `retention_passes`, so that several workers share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import asyncpg
from msgspec import Struct

from orchestrator.core.contact import ContactPolicy
from orchestrator.core.retention import Keep, Retention
from orchestrator.store.ids import first_id

EVERY = timedelta(days=1)
"""Of domain time, from the beginning of one pass to that of the next."""

SLICE_PAGES = 256
"""Pages of 8 KiB that one transaction looks at."""

# Passes that there are.
ENSURE = """
INSERT INTO retention_passes (kind, next_at) SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING
"""

# A pass that is under way or due, and that no other worker is at.
NEXT = """
SELECT kind, next_page, taken FROM retention_passes
WHERE kind = ANY($1::text[]) AND (next_page > 0 OR next_at <= $2)
ORDER BY kind LIMIT 1 FOR UPDATE SKIP LOCKED
"""

# How far it has come.
GO_ON = "UPDATE retention_passes SET next_page = $2, taken = $3 WHERE kind = $1"

# It is over; when the next one begins.
END = "UPDATE retention_passes SET next_page = 0, taken = 0, next_at = $2 WHERE kind = $1"

# How many pages a table has.
PAGES = "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint"

# Words of messages. What is queued is still to be said.
TEXTS = """
UPDATE messages SET content = '{}'
WHERE ctid >= $1 AND ctid < $2 AND id < $3 AND state <> 'queued' AND content <> '{}'
"""

# What carriers said of messages, and the ids by which they said it.
RECEIPTS = """
UPDATE messages SET carrier_id = NULL, code = NULL
WHERE ctid >= $1 AND ctid < $2 AND id < $3 AND state <> 'queued'
  AND (carrier_id IS NOT NULL OR code IS NOT NULL)
"""

# What operators asked carriers of messages.
ERRANDS = "DELETE FROM errands WHERE ctid >= $1 AND ctid < $2 AND asked_at < $3"

# Messages altogether.
MESSAGES = """
DELETE FROM messages WHERE ctid >= $1 AND ctid < $2 AND id < $3 AND state <> 'queued'
"""

# Replies that have had their turn.
REPLIES = """
DELETE FROM events WHERE ctid >= $1 AND ctid < $2 AND id < $3
  AND kind = 'reply' AND taken_at IS NOT NULL AND tries < 5
"""

# Other events that have had their turn.
EVENTS = """
DELETE FROM events WHERE ctid >= $1 AND ctid < $2 AND id < $3
  AND kind <> 'reply' AND taken_at IS NOT NULL AND tries < 5
"""

# Events that were given up.
LETTERS = """
DELETE FROM events WHERE ctid >= $1 AND ctid < $2 AND id < $3
  AND taken_at IS NOT NULL AND tries >= 5
"""

# Turns that failed.
FAILURES = "DELETE FROM failures WHERE ctid >= $1 AND ctid < $2 AND at < $3"

# What did not go, or not then.
SUPPRESSIONS = """
DELETE FROM suppressions WHERE ctid >= $1 AND ctid < $2 AND at < $3 AND coalesce(until, at) < $3
"""

# Turns, and what changed between them.
LIVES = "DELETE FROM lives WHERE ctid >= $1 AND ctid < $2 AND at < $3"

# Earlier runs of journeys.
PAST_RUNS = """
DELETE FROM past_enrollments WHERE ctid >= $1 AND ctid < $2 AND ended_at < $3
"""

# What was counted in months long over.
USAGE = """
DELETE FROM usage_months
WHERE ctid >= $1 AND ctid < $2 AND month + interval '1 month' < $3::timestamptz::date
"""

# What events of a feed made known, where nothing was heard since. Matchers have it in memory, and
# write it again when they hear something.
TRIGGER_STATES = """
DELETE FROM trigger_states
WHERE ctid >= $1 AND ctid < $2 AND at < extract(epoch FROM $3::timestamptz)
"""

# Reports that could not be taken.
SET_ASIDE = "DELETE FROM set_aside_events WHERE ctid >= $1 AND ctid < $2 AND at < $3"

# Ids of reports, whether or not the report is still there.
SOURCE_IDS = "DELETE FROM sources WHERE ctid >= $1 AND ctid < $2 AND at < $3"


class Pass(Struct, frozen=True):
    """What goes from one table: `query` takes a slice of pages and the instant (`by_id`: the
    first id) before which it goes; `keep` names how long that is in `Retention`."""

    table: str
    query: str
    keep: str
    by_id: bool = False


PASSES: Mapping[str, Pass] = {
    "texts": Pass("messages", TEXTS, "texts", by_id=True),
    "receipts": Pass("messages", RECEIPTS, "receipts", by_id=True),
    "errands": Pass("errands", ERRANDS, "receipts"),
    "messages": Pass("messages", MESSAGES, "messages", by_id=True),
    "replies": Pass("events", REPLIES, "replies", by_id=True),
    "events": Pass("events", EVENTS, "events", by_id=True),
    "letters": Pass("events", LETTERS, "failures", by_id=True),
    "failures": Pass("failures", FAILURES, "failures"),
    "suppressions": Pass("suppressions", SUPPRESSIONS, "timeline"),
    "lives": Pass("lives", LIVES, "timeline"),
    "usage": Pass("usage_months", USAGE, "usage"),
    "past_enrollments": Pass("past_enrollments", PAST_RUNS, "timeline"),
    "trigger_states": Pass("trigger_states", TRIGGER_STATES, "events"),
    "set_aside": Pass("set_aside_events", SET_ASIDE, "failures"),
    "source_ids": Pass("sources", SOURCE_IDS, "source_ids"),
}
"""Every pass by its kind."""


class Taken(Struct, frozen=True):
    """One slice done: how many rows it took of this kind; `total` of the whole pass, if this was
    its end."""

    kind: str
    rows: int
    total: int | None = None


def span_of(retention: Retention, policy: ContactPolicy, kind: str) -> timedelta | None:
    """How long this kind is kept; None: for ever. Messages are kept for as long as the contact
    policy looks back, and a day more; what was counted, until its month and the week that begins
    in it are over."""
    keep: Keep = getattr(retention, PASSES[kind].keep)
    if keep.span is None:
        return None
    least = {"messages": policy.memory + timedelta(days=1), "usage": timedelta(days=8)}
    return max(keep.span, least.get(kind, keep.span))


async def take(
    connection: asyncpg.Connection, retention: Retention, policy: ContactPolicy, now: datetime
) -> Taken | None:
    """One slice of a pass is done, in a transaction of its own; None if no pass is due, or others
    are at all that are. Safe to run by several at once, and to repeat."""
    kinds = [kind for kind in PASSES if span_of(retention, policy, kind) is not None]
    async with connection.transaction():
        found = await connection.fetchrow(NEXT, kinds, now)
        if found is None:
            return None
        kind, page = found["kind"], found["next_page"]
        it, span = PASSES[kind], span_of(retention, policy, kind)
        assert span is not None
        before: datetime | int = now - span
        if it.by_id:
            before = first_id(now - span)
        status = await connection.execute(it.query, (page, 0), (page + SLICE_PAGES, 0), before)
        rows = int(status.split()[-1])
        total = found["taken"] + rows
        if page + SLICE_PAGES < await connection.fetchval(PAGES, it.table):
            await connection.execute(GO_ON, kind, page + SLICE_PAGES, total)
            return Taken(kind, rows)
        await connection.execute(END, kind, now + EVERY)
        return Taken(kind, rows, total)


async def ensure(connection: asyncpg.Connection, now: datetime) -> None:
    """Every pass is known; a new one is due at once."""
    await connection.execute(ENSURE, [*PASSES], now)
