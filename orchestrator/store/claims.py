"""Messages on their way out: claimed by a gateway, for so long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.contact import GONE, ContactClass, refused
from orchestrator.core.delivery import Outgoing
from orchestrator.core.model import Consent, Content
from orchestrator.core.project import Project
from orchestrator.store import pace
from orchestrator.store.columns import columns
from orchestrator.store.fallback import send_on
from orchestrator.store.ids import Ids

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
    JOIN listed n ON n.version = l.version AND n.number = number_of(reached.address)
    WHERE reached.address LIKE '+%' AND m.attempt_id = ANY($1::bigint[]) AND m.state = 'queued'
    GROUP BY m.subscriber_id, m.id
) found
WHERE m.subscriber_id = found.subscriber_id AND m.id = found.id AND m.state = 'queued'
"""

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
        if subscriber_id in consents and opted_out(
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
        await drop(connection, unwanted, now)
    if strays:
        await pace.put_apart(connection, channel, min(priority, 1), now, strays)
    emptied: set[int] = set()
    if waiting := outlived & paces.keys():
        for whose, which, where in await pace.outlived(connection, sorted(waiting), channel, now):
            late.append((whose, which))
            emptied.add(where)
    if late:
        await connection.execute(EXPIRE, *columns(late), now)
        if emptied:
            await pace.trim(connection, emptied)
        await send_on(connection, late, "expired", now, ids, retry_channel=True)
    going.sort(key=lambda it: it.outgoing.message_id)  # the order of its rows is PostgreSQL's
    wait = None
    if lots is not None or strays:
        wait = await pace.time_left(connection, paces, channel, now, priority)
    return Claim(tuple(claimed), tuple(going), wait)


def opted_out(classes: Classes, contact_class: str, consents: str) -> bool:
    """Whether somebody of these consents (JSON) has opted out of the class; of one that is gone,
    whether they have of everything. What cannot be read is taken for a refusal."""
    rules = classes.get(contact_class, GONE)
    try:
        return refused(rules, _consents(consents)) == "opted_out"
    except ValueError:
        return True


async def drop(
    connection: asyncpg.Connection, unwanted: Iterable[tuple[Any, ...]], now: datetime
) -> None:
    """These messages (subscriber id, id, attempt, whether they may have been sent already), one at
    least, are not sent: their people want them no more."""
    await connection.execute(DROP, *columns(unwanted), now)


async def waiting_channels(connection: asyncpg.Connection, now: datetime) -> list[str]:
    """Channels with something to deliver now."""
    return [row["channel"] for row in await connection.fetch(WAITING_CHANNELS, now)]
