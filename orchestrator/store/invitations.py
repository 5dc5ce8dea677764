"""Invitations: a code that was given to one person, said at an address that is not yet theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from orchestrator.core.events import Joined
from orchestrator.core.optout import hash_address
from orchestrator.store import joining, optouts, subscribers
from orchestrator.store.columns import columns

MOST_TRIES = 5
TRIES_SPAN = timedelta(hours=1)
"""So many wrong codes may an address say in such a time."""

KEPT = timedelta(days=1)
"""Used and expired codes are known for so long, for those who say them again."""

# These people have been given these codes.
ADD = """
INSERT INTO invitations (code_hash, subscriber_id, expires_at)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::timestamptz[])
ON CONFLICT DO NOTHING
"""

# Codes that nobody can use any more are forgotten, a hundred at a time.
FORGET = """
DELETE FROM invitations WHERE code_hash IN (
    SELECT code_hash FROM invitations WHERE expires_at < $1 ORDER BY expires_at LIMIT 100)
"""

# Whose code this is, by whom it was used, and whether there is still time.
FIND = """
SELECT i.subscriber_id, i.used_by, i.expires_at > $2 AS in_time, s.key
FROM invitations i JOIN subscribers s ON s.id = i.subscriber_id WHERE i.code_hash = $1
"""

# The code is used, unless somebody else was quicker.
USE = """
UPDATE invitations SET used_by = $2 WHERE code_hash = $1 AND used_by IS NULL AND expires_at > $3
RETURNING subscriber_id
"""

# How many wrong codes this address has said lately.
TRIES = "SELECT tries FROM invitation_tries WHERE address_hash = $1 AND since > $2"

# One more.
COUNT = """
INSERT INTO invitation_tries AS t (address_hash, since, tries) VALUES ($1, $2, 1)
ON CONFLICT (address_hash) DO UPDATE SET
    since = CASE WHEN t.since > $3 THEN t.since ELSE excluded.since END,
    tries = CASE WHEN t.since > $3 THEN least(t.tries + 1, 1000) ELSE 1 END
"""

# What was long ago does not count.
FORGET_TRIES = "DELETE FROM invitation_tries WHERE since < $1"


async def add(
    connection: asyncpg.Connection, invited: Sequence[tuple[bytes, int, datetime]], now: datetime
) -> None:
    """These (code hash, subscriber id, until) are invitations. Safe to repeat."""
    await connection.execute(ADD, *columns(invited))
    await connection.execute(FORGET, now - KEPT)


async def accept(
    connection: asyncpg.Connection,
    code_hash: bytes,
    sender: tuple[str, str],
    secret: bytes,
    now: datetime,
) -> Joined:
    """In the caller's transaction: if the code is good, the sender (channel, address) is the person
    whom it was given to, and whoever the sender was before is one with them.

    Each code joins one address; saying it again from there is `done` again. Of two who say it at
    once one is too late. Safe to repeat.
    """
    sender_hash = hash_address(*sender, secret)
    tries = await connection.fetchval(TRIES, sender_hash, now - TRIES_SPAN)
    if tries is not None and tries >= MOST_TRIES:
        return "often"
    found = await connection.fetchrow(FIND, code_hash, now)
    if found is not None and found["used_by"] == sender_hash:
        return "done"
    if found is None or found["used_by"] is not None or not found["in_time"]:
        return await _wrong(connection, sender_hash, now)
    host = found["subscriber_id"]
    owner = (await subscribers.owners(connection, [sender])).get(sender)
    guest = None if owner is None else owner.subscriber_id
    if guest == host:  # said where it was given
        return "wrong"
    people = await joining.lock(connection, [it for it in (host, guest) if it is not None])
    if host not in people or (guest is not None and guest not in people):
        return "wrong"
    if guest is None and people[host].is_reached_elsewhere(*sender):
        return "taken"
    stays, goes = host, guest
    if guest is not None and not people[guest].anonymous:
        stays, goes = guest, host
    if goes is not None and (people[goes].differs(people[stays]) or not people[goes].anonymous):
        return "taken"
    if await connection.fetchval(USE, code_hash, sender_hash, now) is None:
        return await _wrong(connection, sender_hash, now)
    if goes is None:
        await joining.give(connection, stays, sender)
        await optouts.hold_to(connection, [sender], secret, now)
    else:
        await joining.merge(connection, people[stays], people[goes], now)
    return "done"


async def _wrong(connection: asyncpg.Connection, sender_hash: bytes, now: datetime) -> Joined:
    await connection.execute(FORGET_TRIES, now - TRIES_SPAN)
    await connection.execute(COUNT, sender_hash, now, now - TRIES_SPAN)
    return "wrong"
