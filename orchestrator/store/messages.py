"""Messages on their way: claimed, submitted, answered for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.contact import ContactClass, refused
from orchestrator.core.delivery import Outcome, Outgoing
from orchestrator.core.model import CHAT_CHANNELS, Consent, Content
from orchestrator.core.project import Project
from orchestrator.store import pace
from orchestrator.store.columns import columns, shared
from orchestrator.store.events import NewEvent
from orchestrator.store.events import add as add_events
from orchestrator.store.ids import Ids
from orchestrator.store.json import word

# Attempts on a channel that nobody has, up to a priority (0: answers to somebody who waits), taken
# by one gateway for the time of its lease: so many, and of those no more than have $7 messages
# together, unless it is one. Chosen first: within the update, the choice could be made again and
# again, and take more than it may.
CLAIM_ATTEMPTS = """
WITH chosen AS MATERIALIZED (
    SELECT id, priority, coalesce(size, $8) AS size FROM attempts
    WHERE channel = $1 AND claimed_by IS NULL AND paced IS NULL AND not_before <= $4
      AND priority <= $6
    ORDER BY priority, id LIMIT $5 FOR UPDATE SKIP LOCKED
), fitting AS MATERIALIZED (
    SELECT id, size, sum(size) OVER (ORDER BY priority, id) AS upto FROM chosen
)
UPDATE attempts a SET claimed_by = $2, lease_until = $3 FROM fitting
WHERE a.id = fitting.id AND (fitting.upto <= $7 OR fitting.upto = fitting.size)
RETURNING a.id
"""

# The messages of attempts just claimed. This looks again, after the claim, so that it sees
# every opt-out committed until then.
LOAD_CLAIMED = """
SELECT m.id, m.subscriber_id, m.attempt_id, m.address, m.content, m.contact_class, m.valid_until,
    m.journey, m.step
FROM messages m WHERE m.attempt_id = ANY($1::bigint[]) AND m.state = 'queued'
"""

# What those of these people allow who have refused anything.
REFUSERS = """
SELECT id, consents FROM subscribers
WHERE id = ANY($1::bigint[]) AND jsonb_path_exists(consents, '$.*.granted ? (@ == false)')
"""

# Of messages just claimed, those to people who have come on a list that their class names since
# they were queued are dropped.
DROP_LISTED = """
UPDATE messages m SET state = 'suppressed', reason = 'on_list:' || found.list, ended_at = $4
FROM (
    SELECT m.subscriber_id, m.id, min(u.list) AS list
    FROM messages m JOIN unnest($2::text[], $3::text[]) AS u (contact_class, list)
        USING (contact_class)
    JOIN lists l ON l.name = u.list
    CROSS JOIN LATERAL (
        SELECT a.address FROM addresses a WHERE a.subscriber_id = m.subscriber_id
        UNION SELECT m.address) reached
    JOIN listed n ON n.list = l.name AND n.version = l.version AND n.address = reached.address
    WHERE m.attempt_id = ANY($1::bigint[]) AND m.state = 'queued'
    GROUP BY m.subscriber_id, m.id
) found
WHERE m.subscriber_id = found.subscriber_id AND m.id = found.id AND m.state = 'queued'
"""

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

# Messages that would have to be claimed again are dropped: they are no longer wanted. Those that
# may have been sent already stay `unknown`.
DROP = """
UPDATE messages m SET state = CASE WHEN u.uncertain THEN 'unknown' ELSE 'suppressed' END,
    reason = 'opted_out', ended_at = $5
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::boolean[])
    AS u (subscriber_id, id, attempt_id, uncertain)
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id AND m.attempt_id = u.attempt_id
  AND m.state IN ('queued', 'unknown')
"""

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

# What failed messages were, for the turn that may send them on.
FAILED = """
SELECT m.id, m.subscriber_id, s.shard, m.template, m.contact_class, m.journey, m.run, m.step,
    m.via, m.channel
FROM unnest($1::bigint[], $2::bigint[]) AS u (subscriber_id, id)
JOIN messages m USING (subscriber_id, id)
JOIN subscribers s ON s.id = m.subscriber_id
WHERE m.journey <> ''
"""

# Messages whose time ran out before they could be submitted.
EXPIRE = """
UPDATE messages m SET state = 'expired', reason = 'its hours ended first', ended_at = $3
FROM unnest($1::bigint[], $2::bigint[]) AS u (subscriber_id, id)
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id AND m.state = 'queued'
"""

# A message whose content cannot be read fails alone.
SPOIL = """
UPDATE messages SET state = 'rejected', reason = 'its content cannot be read', ended_at = $3
WHERE subscriber_id = $1 AND id = $2
"""

# Channels with something to deliver now.
WAITING_CHANNELS = """
SELECT channel FROM attempts WHERE claimed_by IS NULL AND paced IS NULL AND not_before <= $1
UNION
SELECT channel FROM attempts WHERE claimed_by IS NULL AND paced IS NOT NULL AND not_before <= $1
"""

_content = Decoder(Content).decode
_consents = Decoder(dict[str, Consent]).decode

ATTEMPT_SIZE = 50
"""Messages of one attempt at most: the smallest number that a gateway claims at once."""

Classes = Mapping[str, ContactClass]
"""The contact policy's rules by class."""


class Claimed(Struct, frozen=True, gc=False):
    """A message claimed by this gateway, and the attempt that fences it."""

    outgoing: Outgoing
    attempt_id: int
    contact_class: str


class Claim(Struct, frozen=True, gc=False):
    """What one claim gave: attempts to end, and their messages; and how long it is until a journey
    whose pace holds it back may go on (None: none waits for that)."""

    attempts: tuple[int, ...]
    messages: tuple[Claimed, ...]
    wait: timedelta | None = None


async def claim(
    connection: asyncpg.Connection,
    channel: str,
    gateway: str,
    now: datetime,
    lease_until: datetime,
    attempts: int,
    ids: Ids,
    project: Project,
    urgent: bool = False,
    most: int = 1 << 30,
) -> Claim:
    """Up to so many attempts (of those that somebody waits for, if `urgent`), of `most` messages
    together, are this gateway's until `lease_until`, and of journeys with a pace as many messages
    as that allows; the messages are `submitting` once this transaction commits. What has outlived
    its hours is put off instead, and whoever has come on a list that their class names, or has
    refused by another way than a reply (an import, the API, as one with somebody who had), is sent
    nothing."""
    priority = 0 if urgent else 9
    claimed = [
        row["id"]
        for row in await connection.fetch(
            CLAIM_ATTEMPTS,
            channel,
            gateway,
            lease_until,
            now,
            attempts,
            priority,
            most,
            ATTEMPT_SIZE,
        )
    ]
    paces, lots = project.paces, None
    if paces:
        lots = await pace.claim(connection, paces, channel, gateway, lease_until, now, priority)
    own = frozenset(lots or ())
    claimed += own
    if not claimed and lots is None:
        return Claim((), ())
    if listed := project.contact.listing:
        await connection.execute(DROP_LISTED, claimed, *columns(listed), now)
    going: list[Claimed] = []
    late: list[tuple[int, int]] = []
    strays: list[tuple[int, int, str]] = []
    outlived: set[str] = set()
    unwanted: list[tuple[int, int, int, bool]] = []
    rows = await connection.fetch(LOAD_CLAIMED, claimed)
    refusers = await connection.fetch(REFUSERS, [row["subscriber_id"] for row in rows])
    consents = {row["id"]: row["consents"] for row in refusers}
    for row in rows:
        i, subscriber_id, attempt_id, address, content, contact_class, valid_until = row[:7]
        journey, step = row[7:]
        if subscriber_id in consents and _opted_out(
            project.contact.classes, contact_class, consents[subscriber_id]
        ):
            unwanted.append((subscriber_id, i, attempt_id, False))
            continue
        if valid_until is not None and valid_until <= now:
            late.append((subscriber_id, i))
            outlived.add(journey)
            continue
        if journey in paces and attempt_id not in own:
            strays.append((subscriber_id, i, journey))
            continue
        try:
            said = _content(content)
        except ValueError:
            await connection.execute(SPOIL, subscriber_id, i, now)
            continue
        series = f"{journey}/{step}" if journey else ""
        outgoing = Outgoing(i, subscriber_id, address, said, "", valid_until, contact_class, series)
        going.append(Claimed(outgoing, attempt_id, contact_class))
    if unwanted:
        await connection.execute(DROP, *columns(unwanted), now)
    if strays:
        await pace.put_apart(connection, channel, min(priority, 1), now, strays)
    emptied: set[int] = set()
    if waiting := outlived & paces.keys():
        for whose, which, where in await pace.outlived(connection, sorted(waiting), channel, now):
            late.append((whose, which))
            emptied.add(where)
    if late:
        await connection.execute(EXPIRE, *_pairs(late), now)
        if emptied:
            await pace.trim(connection, emptied)
        await send_on(connection, late, "expired", now, ids, retry_channel=True)
    going.sort(key=lambda it: it.outgoing.message_id)  # the order of its rows is PostgreSQL's
    wait = None
    if lots is not None or strays:
        wait = await pace.time_left(connection, paces, channel, now, priority)
    return Claim(tuple(claimed), tuple(going), wait)


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


def _opted_out(classes: Classes, contact_class: str, consents: str) -> bool:
    """Whether somebody of these consents (JSON) has opted out of the class. What cannot be read is
    taken for a refusal."""
    rules = classes.get(contact_class)
    try:
        return rules is not None and refused(rules, _consents(consents)) == "opted_out"
    except ValueError:
        return True


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
        wanted = row[0] in consents and not _opted_out(classes, contact_class, consents[row[0]])
        (kept if wanted else dropped).append(row)
    if dropped:
        await connection.execute(DROP, *columns(row[:4] for row in dropped), now)
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


async def waiting_channels(connection: asyncpg.Connection, now: datetime) -> list[str]:
    """Channels with something to deliver now."""
    return [row["channel"] for row in await connection.fetch(WAITING_CHANNELS, now)]


async def send_on(
    connection: asyncpg.Connection,
    failed: Sequence[tuple[int, int]],
    state: str,
    now: datetime,
    ids: Ids,
    retry_channel: bool = False,
) -> list[int]:
    """Failed messages (subscriber id, id) that have a channel left wait for their subscriber's
    turn; with `retry_channel` the one they were on counts as left."""
    news = []
    for row in await connection.fetch(FAILED, *_pairs(failed)):
        word = "chat" if row["channel"] in CHAT_CHANNELS else row["channel"]
        via = [word, *row["via"]] if retry_channel else [*row["via"]]
        if not via:
            continue
        properties = {
            "message_id": row["id"],
            "template": row["template"],
            "contact_class": row["contact_class"],
            "journey": row["journey"],
            "run": row["run"],
            "step": row["step"],
            "via": via,
            "state": state,
        }
        source = f"{row['id']}:{row['channel']}:{state}:{now.timestamp()}"
        news.append(
            NewEvent(
                row["subscriber_id"],
                row["shard"],
                "failed",
                state,
                properties,
                now,
                "messages",
                source,
            )
        )
    return [subscriber_id for subscriber_id, _ in await add_events(connection, news, now, ids)]


def _pairs(rows: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [row[0] for row in rows], [row[1] for row in rows]
