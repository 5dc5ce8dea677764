"""What became of messages that a gateway had: recorded, to be sent again, or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from orchestrator.core.delivery import Outcome, Outgoing
from orchestrator.core.model import Content
from orchestrator.store.claims import ATTEMPT_SIZE, Claim, Claimed, Classes, drop, opted_out
from orchestrator.store.columns import columns, shared
from orchestrator.store.fallback import send_on
from orchestrator.store.ids import Ids
from orchestrator.store.json import word

# What a channel said of messages is recorded, if they are still this attempt's; returns of which.
RECORD = """
UPDATE messages m SET state = ($6::text[])[u.n], carrier_id = nullif(u.carrier_id, ''),
    code = nullif(($7::text[])[u.n], ''),
    reason = CASE WHEN m.state = 'unknown' THEN nullif(($8::text[])[u.n], '')
        ELSE coalesce(nullif(($8::text[])[u.n], ''), m.reason) END, parts = ($9::smallint[])[u.n],
    ended_at = CASE WHEN ($6::text[])[u.n] <> 'accepted' THEN $10::timestamptz END
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::integer[])
    AS u (subscriber_id, id, carrier_id, n)
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id AND m.attempt_id = ($5::bigint[])[u.n]
  AND m.state IN ('queued', 'unknown')
RETURNING m.subscriber_id, m.id
"""

# Messages that were not sent wait in new attempts of $8 each, those that somebody waits for in
# attempts that somebody waits for.
REQUEUE = """
WITH again AS (
    SELECT u.*, coalesce(a.priority, 1::smallint) AS priority,
        (row_number() OVER (PARTITION BY coalesce(a.priority, 1::smallint)) - 1) / $8::integer
            AS part
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $6::boolean[], $7::text[])
        AS u (subscriber_id, id, attempt_id, may_duplicate, reason)
    LEFT JOIN attempts a ON a.id = u.attempt_id
), fresh AS (
    INSERT INTO attempts (channel, priority, not_before, size)
    SELECT $4, priority, $5, count(*) FROM again GROUP BY priority, part ORDER BY priority, part
    RETURNING id, priority
), parts AS (
    SELECT id, priority, row_number() OVER (PARTITION BY priority ORDER BY id) - 1 AS part
    FROM fresh
)
UPDATE messages m SET state = 'queued', attempt_id = parts.id,
    may_duplicate = m.may_duplicate OR again.may_duplicate, reason = nullif(again.reason, '')
FROM again JOIN parts USING (priority, part)
WHERE m.subscriber_id = again.subscriber_id AND m.id = again.id
  AND m.attempt_id = again.attempt_id AND m.state IN ('queued', 'unknown')
"""

# What these people allow, now that whoever is about to change it is done.
LOOK_AGAIN = "SELECT id, consents FROM subscribers WHERE id = ANY($1::bigint[]) FOR SHARE"

# Attempts that are over.
END_ATTEMPTS = "DELETE FROM attempts WHERE id = ANY($1::bigint[])"

# Messages that gateways claimed and never answered for: their leases are over.
LAPSED = """
SELECT a.id AS attempt_id, a.channel, m.id, m.subscriber_id, m.contact_class
FROM (SELECT id, channel FROM attempts WHERE claimed_by IS NOT NULL AND lease_until < $1
      ORDER BY lease_until LIMIT 100 FOR UPDATE SKIP LOCKED) a
LEFT JOIN messages m ON m.attempt_id = a.id AND m.state = 'queued'
"""

# Messages that others than the one who now holds their channel have claimed.
FORSAKEN = """
SELECT a.id AS attempt_id, a.channel, m.id, m.subscriber_id, m.contact_class
FROM (SELECT id, channel FROM attempts WHERE claimed_by <> $2 AND channel = $1
      ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED) a
LEFT JOIN messages m ON m.attempt_id = a.id AND m.state = 'queued'
"""


async def record(
    connection: asyncpg.Connection,
    channel: str,
    claimed: Claim,
    outcomes: Iterable[Outcome],
    classes: Classes,
    now: datetime,
    retry_at: datetime,
    ids: Ids,
) -> list[int]:
    """What the channel said is recorded and the attempts are over; returns the subscribers whose
    messages failed and wait for a turn.

    `unsent` and `rejected` for later wait until `retry_at`, unless their subscribers no longer want
    them; `unknown` follows its contact class. Safe to repeat: a message that is no longer this
    attempt's is not touched.
    """
    by_id = {m.outgoing.message_id: m for m in claimed.messages}
    said = {outcome.message_id: outcome for outcome in outcomes}
    final: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []
    again: list[tuple[Any, ...]] = []
    failed: list[tuple[int, int]] = []
    for message_id, m in by_id.items():
        outcome = said.get(message_id) or Outcome(message_id, "unknown", reason="no outcome")
        who = m.outgoing.subscriber_id
        resend = outcome.result == "unknown" and _resends(classes, m.contact_class)
        if resend or (outcome.result in ("unsent", "rejected") and outcome.retry == "later"):
            why = word(outcome.reason or outcome.code)
            again.append((who, message_id, m.attempt_id, resend, why))
            continue
        state = "rejected" if outcome.result == "unsent" else outcome.result
        final.append((
            (who, message_id, word(outcome.carrier_id)),
            (m.attempt_id, state, word(outcome.code), word(outcome.reason), outcome.parts),
        ))  # fmt: skip
        if state == "rejected":
            failed.append((who, message_id))
    if final:
        recorded = {tuple(row) for row in await connection.fetch(RECORD, *shared(final), now)}
        failed = [it for it in failed if it in recorded]
    if again:
        again = await _still_wanted(connection, again, by_id, classes, now)
    if again:
        whose, which, attempt, may_duplicate, reasons = columns(again)
        await connection.execute(
            REQUEUE, whose, which, attempt, channel, retry_at, may_duplicate, reasons, ATTEMPT_SIZE
        )
    await connection.execute(END_ATTEMPTS, list(claimed.attempts))
    return await send_on(connection, failed, "rejected", now, ids) if failed else []


def _resends(classes: Classes, contact_class: str) -> bool:
    rules = classes.get(contact_class)
    return rules is not None and rules.uncertain == "resend"


async def _still_wanted(
    connection: asyncpg.Connection,
    again: list[tuple[Any, ...]],
    by_id: Mapping[int, Claimed],
    classes: Classes,
    now: datetime,
) -> list[tuple[Any, ...]]:
    """Those of `again` (subscriber id, message id, attempt, uncertain …) that may still be sent;
    the others are dropped. An opt-out that came while a gateway had them did not reach them."""
    consents = {
        row["id"]: row["consents"]
        for row in await connection.fetch(LOOK_AGAIN, sorted({row[0] for row in again}))
    }
    kept: list[tuple[Any, ...]] = []
    dropped: list[tuple[Any, ...]] = []
    for row in again:
        contact_class = by_id[row[1]].contact_class
        wanted = row[0] in consents and not opted_out(classes, contact_class, consents[row[0]])
        (kept if wanted else dropped).append(row)
    if dropped:
        await drop(connection, [row[:4] for row in dropped], now)
    return kept


async def end_lapsed(
    connection: asyncpg.Connection,
    real_now: datetime,
    classes: Classes,
    now: datetime,
    ids: Ids,
) -> int:
    """Messages of gateways that fell silent while submitting are `unknown`, or are sent again if
    their contact class says so; returns how many."""
    rows = await connection.fetch(LAPSED, real_now)
    return await _settle(connection, rows, classes, now, ids)


async def end_forsaken(
    connection: asyncpg.Connection,
    channel: str,
    holder: str,
    classes: Classes,
    now: datetime,
    ids: Ids,
) -> int | None:
    """The same for some of what former holders of the channel claimed, now that it is `holder`'s
    alone; returns how many, None if there is nothing more. A former holder that lives may still
    record what it sent: see `record`."""
    rows = await connection.fetch(FORSAKEN, channel, holder)
    return await _settle(connection, rows, classes, now, ids) if rows else None


async def _settle(
    connection: asyncpg.Connection,
    rows: Sequence[asyncpg.Record],
    classes: Classes,
    now: datetime,
    ids: Ids,
) -> int:
    by_channel: dict[str, list[asyncpg.Record]] = {}
    for row in rows:
        by_channel.setdefault(row["channel"], []).append(row)
    count = 0
    for channel, theirs in by_channel.items():
        messages = tuple(
            Claimed(
                Outgoing(row["id"], row["subscriber_id"], "", Content()),
                row["attempt_id"],
                row["contact_class"],
            )
            for row in theirs
            if row["id"] is not None
        )
        ended = Claim(tuple({row["attempt_id"] for row in theirs}), messages)
        outcomes = [
            Outcome(m.outgoing.message_id, "unknown", reason="the gateway stopped meanwhile")
            for m in messages
        ]
        await record(connection, channel, ended, outcomes, classes, now, now, ids)
        count += len(messages)
    return count
