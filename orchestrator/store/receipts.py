"""Receipts: what carriers say of messages later, in whatever order, and however often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from orchestrator.core.delivery import Late, Receipt
from orchestrator.store.columns import columns
from orchestrator.store.fallback import send_on
from orchestrator.store.ids import Ids

# Messages that carriers have the last word on; a state that is final already stays. An id is a
# carrier's: it may be of the channel it came by, or of one that goes over it.
RECEIVE = """
UPDATE messages m SET state = u.state, code = coalesce(nullif(u.code, ''), m.code), ended_at = $4
FROM (SELECT DISTINCT ON (carrier_id) * FROM
        unnest($2::text[], $3::text[], $5::text[]) WITH ORDINALITY AS g (carrier_id, state, code, n)
        ORDER BY carrier_id, n) u
WHERE m.carrier_id = u.carrier_id AND m.channel = ANY($1::text[]) AND m.state = 'accepted'
RETURNING m.carrier_id, m.id, m.subscriber_id, m.template, m.contact_class, m.journey, m.run,
    m.step, m.via, m.state
"""

# Of these carrier ids, those of messages that have had their last word. A message that was
# accepted since the statement before this looked is not among them: its receipt is parked.
ENDED_IDS = """
SELECT carrier_id FROM messages
WHERE channel = ANY($1::text[]) AND carrier_id = ANY($2::text[]) AND state <> 'accepted'
"""

# Receipts for nothing we know wait for the response that names them.
PARK = """
INSERT INTO parked_receipts (channel, riders, carrier_id, state, code, at)
SELECT $1, $6, carrier_id, state, code, $5
FROM unnest($2::text[], $3::text[], $4::text[]) AS u (carrier_id, state, code)
"""

# Parked receipts whose messages are now known are taken out again.
UNPARK = """
DELETE FROM parked_receipts p WHERE EXISTS (
    SELECT FROM messages m WHERE m.carrier_id = p.carrier_id
        AND (m.channel = p.channel OR m.channel = ANY(p.riders)))
RETURNING p.channel, p.riders, p.carrier_id, p.state, p.code
"""

# Messages that nobody had answered for: their carriers have, later. Of people whose messages are
# gone nothing is kept.
CAME_LATE = """
UPDATE messages m SET state = 'accepted', carrier_id = u.carrier_id, reason = NULL, ended_at = NULL
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS u (subscriber_id, id, carrier_id)
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id AND m.state = 'unknown'
  AND m.carrier_id IS NULL AND m.address <> ''
"""

# Receipts that nothing has named for so long name nothing of ours.
FORGET_PARKED = "DELETE FROM parked_receipts WHERE at < $1"

PARKED_FOR = timedelta(days=3)
"""Carriers send a receipt at most so long after its message."""


async def receive(
    connection: asyncpg.Connection,
    channel: str,
    receipts: Sequence[Receipt],
    now: datetime,
    ids: Ids,
    riders: Sequence[str] = (),
) -> list[int]:
    """What the carrier says later is recorded, of messages of the channel and of `riders`, those
    that go over it; receipts for nothing we know are parked. Returns the subscribers whose messages
    failed and wait for a turn. Safe to repeat: a state that is final stays."""
    names = [channel, *riders]
    carrier_ids = [r.carrier_id for r in receipts]
    rows = await connection.fetch(
        RECEIVE,
        names,
        carrier_ids,
        [r.state for r in receipts],
        now,
        [r.code for r in receipts],
    )
    matched = {row["carrier_id"] for row in rows}
    if len(matched) < len(set(carrier_ids)):
        rest = [r for r in receipts if r.carrier_id not in matched]
        ended = {
            row["carrier_id"]
            for row in await connection.fetch(ENDED_IDS, names, [r.carrier_id for r in rest])
        }
        parked = [(r.carrier_id, r.state, r.code) for r in rest if r.carrier_id not in ended]
        if parked:
            await connection.execute(PARK, channel, *columns(parked), now, list(riders))
    failed: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        if row["state"] != "delivered" and row["via"]:
            failed.setdefault(row["state"], []).append((row["subscriber_id"], row["id"]))
    waiting: list[int] = []
    for state, pairs in failed.items():
        waiting += await send_on(connection, pairs, state, now, ids)
    return waiting


async def came_late(connection: asyncpg.Connection, late: Sequence[Late]) -> None:
    """Messages that were unknown are accepted; the next `match_parked` finds their receipts. Safe
    to repeat, and nothing happens to those that were sent again or are over."""
    rows = [(it.subscriber_id, it.message_id, it.carrier_id) for it in late if it.carrier_id]
    if rows:
        await connection.execute(CAME_LATE, *columns(rows))


async def match_parked(connection: asyncpg.Connection, now: datetime, ids: Ids) -> list[int]:
    """Parked receipts whose messages have become known are recorded; very old ones are gone."""
    await connection.execute(FORGET_PARKED, now - PARKED_FOR)
    by_channel: dict[tuple[str, tuple[str, ...]], list[Receipt]] = {}
    for row in await connection.fetch(UNPARK):
        by_channel.setdefault((row["channel"], tuple(row["riders"])), []).append(
            Receipt(row["channel"], row["carrier_id"], row["state"], row["code"])
        )
    waiting: list[int] = []
    for (channel, riders), receipts in by_channel.items():
        waiting += await receive(connection, channel, receipts, now, ids, riders)
    return waiting
