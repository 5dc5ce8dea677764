"""Two rows that turn out to be one person: what the one has becomes the other's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
from msgspec import Struct, to_builtins

from orchestrator.core.model import CHAT_CHANNELS, Consent, Subscriber
from orchestrator.core.points import Account
from orchestrator.store import json, lives, points
from orchestrator.store.subscribers import subscriber_of

# These people, whom nobody else now has in hand; in one order for all.
LOCK = "SELECT * FROM subscribers WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"

# The address is theirs, and where we write to them on its channel.
GIVE = """
WITH given AS (
    INSERT INTO addresses (channel, address, subscriber_id) VALUES ($2, $3, $1)
)
UPDATE subscribers SET addresses = addresses || jsonb_build_object($2::text, $3::text) WHERE id = $1
"""

# An address that another one of the same channel has replaced is nobody's any more.
DROP_REPLACED = """
DELETE FROM addresses a USING subscribers s
WHERE s.id = $1 AND a.subscriber_id = s.id AND s.addresses ->> a.channel <> a.address
"""

# They are known by what both said. Where they differ, who stays is right, but for addresses: the
# newest is where they are.
DESCRIBE = """
UPDATE subscribers s SET attributes = g.attributes || s.attributes,
    tags = array(SELECT DISTINCT unnest(s.tags || g.tags) ORDER BY 1),
    addresses = s.addresses || g.addresses, timezone = coalesce(s.timezone, g.timezone),
    consents = $3::text::jsonb
FROM subscribers g WHERE s.id = $2 AND g.id = $1
"""

# Messages that a gateway has in hand are unknown: what becomes of them would be recorded of
# somebody who is gone. All others are the other one's, and those that wait still go.
MOVE_MESSAGES = """
WITH free AS MATERIALIZED (
    SELECT id FROM attempts WHERE claimed_by IS NULL AND id IN (
        SELECT attempt_id FROM messages WHERE subscriber_id = $1 AND state = 'queued')
    ORDER BY id FOR UPDATE
)
UPDATE messages SET subscriber_id = $2,
    state = CASE WHEN held THEN 'unknown' ELSE state END,
    reason = CASE WHEN held THEN 'joined while under way' ELSE reason END,
    ended_at = CASE WHEN held THEN $3 ELSE ended_at END,
    attempt_id = CASE WHEN held THEN -abs(attempt_id) ELSE attempt_id END
FROM (SELECT id AS of, state = 'queued' AND attempt_id NOT IN (SELECT id FROM free) AS held
      FROM messages WHERE subscriber_id = $1) AS it
WHERE subscriber_id = $1 AND id = it.of
"""

# What happened to the one happened to the other, and waits for their turn.
MOVE_EVENTS = "UPDATE events SET subscriber_id = $2, shard = $3 WHERE subscriber_id = $1"
MOVE_CONSENTS = "UPDATE consent_records SET subscriber_id = $2 WHERE subscriber_id = $1"
MOVE_SUPPRESSIONS = "UPDATE suppressions SET subscriber_id = $2 WHERE subscriber_id = $1"
MOVE_FAILURES = "UPDATE failures SET subscriber_id = $2 WHERE subscriber_id = $1"
MOVE_ADDRESSES = "UPDATE addresses SET subscriber_id = $2 WHERE subscriber_id = $1"
MOVE_INVITATIONS = "UPDATE invitations SET subscriber_id = $2 WHERE subscriber_id = $1"
MOVE_ERRANDS = "UPDATE errands SET subscriber_id = $2 WHERE subscriber_id = $1"
MOVE_DESK = "UPDATE desk_items SET subscriber_id = $2 WHERE subscriber_id = $1"

# They go on in the journeys in which the other one never was; in those, their own run counts.
MOVE_ENROLLMENTS = """
UPDATE enrollments e SET subscriber_id = $2, shard = $3 WHERE subscriber_id = $1
  AND NOT EXISTS (SELECT FROM enrollments o WHERE o.subscriber_id = $2 AND o.journey = e.journey)
  AND NOT EXISTS (
      SELECT FROM past_enrollments o WHERE o.subscriber_id = $2 AND o.journey = e.journey)
"""
MOVE_RUNS = """
UPDATE past_enrollments e SET subscriber_id = $2, shard = $3 WHERE subscriber_id = $1
  AND EXISTS (SELECT FROM enrollments o WHERE o.subscriber_id = $2 AND o.journey = e.journey
              AND o.run > e.run)
  AND NOT EXISTS (SELECT FROM past_enrollments o
                  WHERE o.subscriber_id = $2 AND o.journey = e.journey AND o.run = e.run)
"""
DROP_ENROLLMENTS = "DELETE FROM enrollments WHERE subscriber_id = $1"
DROP_RUNS = "DELETE FROM past_enrollments WHERE subscriber_id = $1"

# Points are earned, held and spent by one member from now on. Keys tell whose they were, so that
# none of both is taken for a repetition.
MOVE_ENTRIES = """
UPDATE entries SET subscriber_id = $2, key = 'joined:' || $1 || ':' || key WHERE subscriber_id = $1
"""
MOVE_LOTS = """
UPDATE lots SET subscriber_id = $2, key = 'joined:' || $1 || ':' || key WHERE subscriber_id = $1
"""
MOVE_HOLDS = """
UPDATE holds SET subscriber_id = $2, key = 'joined:' || $1 || ':' || key, taken = coalesce(
    (SELECT jsonb_agg(it || jsonb_build_object('lot', 'joined:' || $1 || ':' || (it ->> 'lot')))
     FROM jsonb_array_elements(taken) AS it), '[]')
WHERE subscriber_id = $1
"""
MOVE_CODES = """
UPDATE codes SET subscriber_id = $2, hold = 'joined:' || $1 || ':' || hold WHERE subscriber_id = $1
"""
ADD_ACCOUNT = """
INSERT INTO accounts AS a (subscriber_id, shard, balance_points, held_points, spent_points,
    expired_points, earned_points, day, awards, due_at)
SELECT $2, $3, balance_points, held_points, spent_points, expired_points, earned_points, day,
    awards, due_at
FROM accounts WHERE subscriber_id = $1
ON CONFLICT (subscriber_id) DO UPDATE SET
    balance_points = a.balance_points + excluded.balance_points,
    held_points = a.held_points + excluded.held_points,
    spent_points = a.spent_points + excluded.spent_points,
    expired_points = a.expired_points + excluded.expired_points,
    earned_points = a.earned_points + excluded.earned_points,
    due_at = least(a.due_at, excluded.due_at)
"""
# What was counted of the one is added to what was counted of the other, day by day.
ADD_USAGE = """
INSERT INTO usage_months AS u (subscriber_id, measure, month, total, days)
SELECT $2, measure, month, total, days FROM usage_months WHERE subscriber_id = $1
ON CONFLICT (subscriber_id, measure, month) DO UPDATE SET
    total = u.total + excluded.total,
    days = ARRAY(SELECT CASE WHEN u.days[n] IS NULL THEN excluded.days[n]
                             ELSE u.days[n] + coalesce(excluded.days[n], 0) END
                 FROM generate_series(1, 31) AS n ORDER BY n)
"""
DROP_USAGE = "DELETE FROM usage_months WHERE subscriber_id = $1"

# Their turns were made of what was known of the one alone.
DROP_LIVES = "DELETE FROM lives WHERE subscriber_id = $1"
DROP_ACCOUNT = "DELETE FROM accounts WHERE subscriber_id = $1"

# Where the one had said yes and the other no, it is on record that they are now one and refuse.
RECORD_REFUSALS = """
INSERT INTO consent_records (subscriber_id, at, purpose, granted, how, wording)
SELECT $1, $2, unnest($3::text[]), false, 'joined', ''
"""

# Their row is gone; nothing refers to it.
DROP = "DELETE FROM subscribers WHERE id = $1"

_MOVES = (
    *(MOVE_CONSENTS, MOVE_SUPPRESSIONS, MOVE_FAILURES, MOVE_ADDRESSES, MOVE_INVITATIONS),
    *(MOVE_CODES, MOVE_DESK, MOVE_ERRANDS, MOVE_ENTRIES, MOVE_LOTS, MOVE_HOLDS),
    ADD_USAGE,
)
_MOVES_TO_SHARD = (MOVE_EVENTS, MOVE_ENROLLMENTS, MOVE_RUNS, ADD_ACCOUNT)
_DROPS = (DROP_ENROLLMENTS, DROP_RUNS, DROP_LIVES, DROP_ACCOUNT, DROP_USAGE, DROP)


class Person(Struct, frozen=True):
    """Somebody, locked."""

    subscriber: Subscriber

    @property
    def anonymous(self) -> bool:
        """Nobody told us who they are: they are known by the address they first wrote from."""
        known = {f"{channel}:{address}" for channel, address in self.subscriber.addresses.items()}
        return self.subscriber.key in known

    def is_reached_elsewhere(self, channel: str, address: str) -> bool:
        """They have another telephone: who has this one may be somebody else."""
        known = self.subscriber.addresses.get(channel, address)
        return channel not in CHAT_CHANNELS and known != address

    def differs(self, other: Person) -> bool:
        """Both have telephones, and not the same ones: they may be two people."""
        return any(self.is_reached_elsewhere(*it) for it in other.subscriber.addresses.items())


async def lock(connection: asyncpg.Connection, subscriber_ids: Sequence[int]) -> dict[int, Person]:
    """Those of them that there are, by id; turns that have them in hand have ended."""
    rows = await connection.fetch(LOCK, subscriber_ids)
    return {row["id"]: Person(subscriber_of(row)) for row in rows}


async def give(connection: asyncpg.Connection, subscriber_id: int, sender: tuple[str, str]) -> None:
    """An address of nobody is this person's, in place of one they had on that channel."""
    await connection.execute(GIVE, subscriber_id, *sender)
    await connection.execute(DROP_REPLACED, subscriber_id)


async def merge(connection: asyncpg.Connection, stays: Person, goes: Person, now: datetime) -> None:
    """Both, locked, are one: whoever stays. What the other one said, got and earned is theirs, and
    what either of them refused is refused."""
    one, other = goes.subscriber, stays.subscriber
    await connection.execute(MOVE_MESSAGES, one.id, other.id, now)
    agreed = {name: to_builtins(it) for name, it in _agreed(other.consents, one.consents).items()}
    await connection.execute(DESCRIBE, one.id, other.id, json.encode(agreed))
    for query in _MOVES:
        await connection.execute(query, one.id, other.id)
    for query in _MOVES_TO_SHARD:
        await connection.execute(query, one.id, other.id, other.shard)
    for query in _DROPS:
        await connection.execute(query, one.id)
    both = one.consents.keys() & other.consents.keys()
    if said := sorted(it for it in both if one.consents[it].granted != other.consents[it].granted):
        await connection.execute(RECORD_REFUSALS, other.id, now, said)
    await connection.execute(DROP_REPLACED, other.id)
    accounts = await points.load_accounts(connection, [other.id])
    claims = await points.load_claims(connection, [other.id])
    account, claimed = accounts.get(other.id, Account()), claims.get(other.id, {})
    await lives.begin_anew(connection, other.id, now, account, claimed)


def _agreed(ours: Mapping[str, Consent], theirs: Mapping[str, Consent]) -> dict[str, Consent]:
    """Consents of both; a refusal of either holds."""
    agreed = {**theirs, **ours}
    for purpose, given in theirs.items():
        if not given.granted:
            agreed[purpose] = given
    return agreed
