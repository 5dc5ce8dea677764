"""Erasing a subscriber: nothing that says who they were is left.

What the accounts and reports need stays without a person, under the number of a row that is gone:
points that moved, and that a message of some journey was sent and delivered. A keyed hash of each
address keeps them opted out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import asyncpg
from msgspec import Struct

from orchestrator.core.telephone import number_of
from orchestrator.store import optouts, stock
from orchestrator.store.due import ENTERING
from orchestrator.store.matching import places_of
from orchestrator.store.stock import StockMove

# No segment is being brought in: it would leave an event for somebody who is gone.
LOCK_SEGMENTS = "SELECT pg_advisory_xact_lock($1)"

# The subscriber, locked as nobody else locks them: turns that have them in hand have ended, and
# whatever refers to them waits for us.
LOCK = """
SELECT s.key, array(
    SELECT a.channel || ':' || a.address FROM addresses a WHERE a.subscriber_id = s.id
    UNION SELECT l.key || ':' || l.value FROM jsonb_each_text(s.addresses) l) AS addresses
FROM subscribers s WHERE s.id = $1 FOR UPDATE
"""

# How much there is of what.
COUNT = """
SELECT
    (SELECT count(*) FROM addresses WHERE subscriber_id = $1) AS addresses,
    (SELECT count(*) FROM consent_records WHERE subscriber_id = $1) AS consents,
    (SELECT count(*) FROM events WHERE subscriber_id = $1 AND kind = 'reply') AS replies,
    (SELECT count(*) FROM events WHERE subscriber_id = $1 AND kind <> 'reply') AS events,
    (SELECT count(*) FROM messages WHERE subscriber_id = $1) AS messages,
    (SELECT count(*) FROM messages WHERE subscriber_id = $1 AND state = 'queued') AS queued,
    (SELECT count(*) FROM suppressions WHERE subscriber_id = $1) AS not_sent,
    (SELECT count(*) FROM failures WHERE subscriber_id = $1) AS failures,
    (SELECT count(*) FROM enrollments WHERE subscriber_id = $1)
        + (SELECT count(*) FROM past_enrollments WHERE subscriber_id = $1) AS enrollments,
    (SELECT count(*) FROM entries WHERE subscriber_id = $1) AS entries,
    (SELECT count(*) FROM holds WHERE subscriber_id = $1) AS purchases,
    coalesce((SELECT balance_points + held_points FROM accounts WHERE subscriber_id = $1), 0)
        AS points,
    (SELECT count(*) FROM codes WHERE subscriber_id = $1 AND used_at IS NULL) AS unused_codes
"""

# Their messages hold no words and no address. What waits is not sent; what a gateway has in hand is
# unknown, and its attempt is no longer the message's, so that what becomes of it is not recorded.
EMPTY_MESSAGES = """
WITH free AS MATERIALIZED (
    SELECT id FROM attempts WHERE claimed_by IS NULL AND id IN (
        SELECT attempt_id FROM messages WHERE subscriber_id = $1 AND state = 'queued')
    ORDER BY id FOR UPDATE
)
UPDATE messages SET content = '{}', address = '', carrier_id = NULL, via = '{}',
    reason = CASE WHEN state = 'queued' THEN 'erased' END,
    ended_at = CASE WHEN state = 'queued' THEN $2 ELSE ended_at END,
    state = CASE WHEN state <> 'queued' THEN state
                 WHEN attempt_id IN (SELECT id FROM free) THEN 'suppressed' ELSE 'unknown' END,
    attempt_id = -abs(attempt_id)
WHERE subscriber_id = $1
RETURNING -attempt_id AS attempt_id
"""

# Attempts with nothing to send any more are over.
END_EMPTY_ATTEMPTS = """
DELETE FROM attempts a WHERE a.id = ANY($1::bigint[]) AND a.claimed_by IS NULL
  AND NOT EXISTS (SELECT FROM messages m WHERE m.attempt_id = a.id AND m.state = 'queued')
"""

# Ids of reports about them that hold a number or name of theirs; the other ones say nothing.
FORGET_SOURCES = """
DELETE FROM sources s USING events e
WHERE e.subscriber_id = $1 AND s.source = e.source AND s.source_id = e.source_id
  AND EXISTS (SELECT FROM unnest($2::text[]) AS word WHERE position(word IN s.source_id) > 0)
"""

# They are in no journey.
END_ENROLLMENTS = """
UPDATE enrollments SET step = NULL, due_at = NULL, waiting = NULL, held = false, tries = 0,
    status = CASE WHEN ended_at IS NULL AND status = 'active' THEN 'left' ELSE status END,
    reason = CASE WHEN ended_at IS NULL THEN 'erased' ELSE reason END,
    ended_at = coalesce(ended_at, $2)
WHERE subscriber_id = $1
"""

# What they hold goes back, and says nothing of the lots that paid.
RELEASE_HOLDS = """
UPDATE holds SET state = 'released', ended_at = $2 WHERE subscriber_id = $1 AND state = 'held'
RETURNING reward
"""

# What they had is forfeited, so that the ledger adds up.
FORFEIT = """
INSERT INTO entries (subscriber_id, key, debit, credit, points, reason, at)
SELECT a.subscriber_id, 'erased ' || had.account, had.account, 'expired', had.points, 'erased', $2
FROM accounts a CROSS JOIN LATERAL (
    VALUES ('available', a.balance_points), ('held', a.held_points)) AS had (account, points)
WHERE a.subscriber_id = $1 AND had.points > 0
"""

# Their figures say so.
CLOSE_ACCOUNT = """
UPDATE accounts SET expired_points = expired_points + balance_points + held_points,
    balance_points = 0, held_points = 0, day = NULL, awards = '{}', due_at = NULL, tries = 0
WHERE subscriber_id = $1
"""

# Keys of entries and purchases were made of what came from outside; now they are but numbers.
RENAME_ENTRIES = "UPDATE entries SET key = 'erased:' || number WHERE subscriber_id = $1"
RENAME_HOLDS = """
UPDATE holds h SET key = 'erased:' || it.n, taken = CASE WHEN points = 0 THEN '[]'::jsonb
    ELSE jsonb_build_array(jsonb_build_object('lot', 'erased', 'points', -points)) END
FROM (SELECT key, row_number() OVER (ORDER BY at, key) AS n FROM holds
      WHERE subscriber_id = $1) it
WHERE h.subscriber_id = $1 AND h.key = it.key
"""

# What is kept of them for triggers. A matcher that has it in memory may yet fire for the number,
# which is nobody's then.
FORGET_TRIGGERS = """
WITH whos AS (
    SELECT u.slot, u.who FROM unnest($1::smallint[], $2::text[]) AS u (slot, who)
), waits AS (
    DELETE FROM trigger_waits t USING whos w WHERE (t.slot, t.who) = (w.slot, w.who)
), states AS (
    DELETE FROM trigger_states t USING whos w WHERE (t.slot, t.who) = (w.slot, w.who)
), firings AS (
    DELETE FROM trigger_firings t USING whos w WHERE (t.slot, t.who) = (w.slot, w.who)
)
DELETE FROM set_aside_events e USING whos w WHERE e.who = w.who
"""

# What is gone without a trace. Addresses go with the row they refer to.
FORGET_EVENTS = "DELETE FROM events WHERE subscriber_id = $1"
FORGET_SUPPRESSIONS = "DELETE FROM suppressions WHERE subscriber_id = $1"
FORGET_FAILURES = "DELETE FROM failures WHERE subscriber_id = $1"
FORGET_CONSENTS = "DELETE FROM consent_records WHERE subscriber_id = $1"
FORGET_USAGE = "DELETE FROM usage_months WHERE subscriber_id = $1"
FORGET_LIVES = "DELETE FROM lives WHERE subscriber_id = $1"
FORGET_ERRANDS = "DELETE FROM errands WHERE subscriber_id = $1"
FORGET_DESK = "DELETE FROM desk_items WHERE subscriber_id = $1"
FORGET_LOTS = "DELETE FROM lots WHERE subscriber_id = $1"
FORGET_CODES = "DELETE FROM codes WHERE subscriber_id = $1"
FORGET_SUBSCRIBER = "DELETE FROM subscribers WHERE id = $1"

# The number is nobody's any more.
RECORD = "INSERT INTO erasures (subscriber_id, at) VALUES ($1, $2) ON CONFLICT DO NOTHING"


class Holdings(Struct, frozen=True):
    """How much there is about somebody: rows of each kind, `points` to spend and held; `queued`
    and `unused_codes` are among `messages` and what was bought."""

    addresses: int
    consents: int
    replies: int
    events: int
    messages: int
    queued: int
    not_sent: int
    failures: int
    enrollments: int
    entries: int
    purchases: int
    points: int
    unused_codes: int


async def count(connection: asyncpg.Connection, subscriber_id: int) -> Holdings:
    """What erasing this subscriber would concern."""
    return Holdings(**dict(await connection.fetchrow(COUNT, subscriber_id)))


async def erase(
    connection: asyncpg.Connection, subscriber_id: int, secret: bytes, now: datetime
) -> Holdings | None:
    """In the caller's transaction: nobody can tell any more who this was, and whoever comes back
    with one of their addresses is opted out. Returns what was there; None if nobody was.

    Waits for a turn that has them in hand. May meet a gateway that records what became of their
    messages in the opposite order: PostgreSQL then ends one of the two, which is safe to repeat.
    """
    await connection.execute(LOCK_SEGMENTS, ENTERING)
    row = await connection.fetchrow(LOCK, subscriber_id)
    if row is None:
        return None
    had = await count(connection, subscriber_id)
    addresses = [tuple(it.split(":", 1)) for it in row["addresses"]]
    await optouts.remember(connection, addresses, secret, now)
    # Messages before events: a gateway that records a failure adds an event while it has the
    # message locked.
    emptied = await connection.fetch(EMPTY_MESSAGES, subscriber_id, now)
    await connection.execute(END_EMPTY_ATTEMPTS, sorted({it["attempt_id"] for it in emptied}))
    words = [row["key"], *(address.removeprefix("+") for _, address in addresses)]
    await connection.execute(FORGET_SOURCES, subscriber_id, words)
    await connection.execute(FORGET_TRIGGERS, *places_of(_whos(row["key"], addresses)))
    await connection.execute(END_ENROLLMENTS, subscriber_id, now)
    released = await connection.fetch(RELEASE_HOLDS, subscriber_id, now)
    await stock.move_stock(connection, [StockMove(it["reward"], "released") for it in released])
    await connection.execute(FORFEIT, subscriber_id, now)
    await connection.execute(CLOSE_ACCOUNT, subscriber_id)
    for query in (RENAME_ENTRIES, RENAME_HOLDS, *_FORGOTTEN):
        await connection.execute(query, subscriber_id)
    await connection.execute(RECORD, subscriber_id, now)
    return had


def _whos(key: str, addresses: Iterable[tuple[str, ...]]) -> list[int | str]:
    """Who they are to a feed."""
    numbers = (number_of(address) for channel, address in addresses if channel == "sms")
    return [key, *(it for it in numbers if it is not None)]


_FORGOTTEN = (
    *(FORGET_EVENTS, FORGET_SUPPRESSIONS, FORGET_FAILURES, FORGET_CONSENTS, FORGET_LOTS),
    *(FORGET_DESK, FORGET_ERRANDS, FORGET_LIVES, FORGET_USAGE),
    *(FORGET_CODES, FORGET_SUBSCRIBER),
)
