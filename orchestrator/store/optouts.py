"""Opt-outs of people who were erased: kept as keyed hashes of their addresses, and held to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import asyncpg

from orchestrator.core.contact import EVERYTHING
from orchestrator.core.optout import hash_address

HOW = "erased"
"""How we know that somebody we do not know is opted out."""

# These addresses belong to somebody who was erased.
REMEMBER = """
INSERT INTO forgotten_addresses (address_hash, at) SELECT unnest($1::bytea[]), $2
ON CONFLICT DO NOTHING
"""

# Whether anybody was ever erased.
ANY = "SELECT EXISTS (SELECT FROM forgotten_addresses)"

# Of these addresses, those of somebody who was erased.
KNOWN = "SELECT address_hash FROM forgotten_addresses WHERE address_hash = ANY($1::bytea[])"

# Whoever has one of these addresses is opted out from everything, unless they said START.
REFUSE = """
WITH refused AS (
    UPDATE subscribers s SET consents = s.consents || jsonb_build_object($3::text,
        jsonb_build_object('granted', false, 'at', $4::text, 'how', $5::text))
    WHERE s.id IN (
        SELECT a.subscriber_id FROM unnest($1::text[], $2::text[]) AS u (channel, address)
        JOIN addresses a USING (channel, address))
      AND coalesce(s.consents -> $3 ->> 'granted', '') <> 'false'
      AND NOT (coalesce(s.consents -> $3 ->> 'granted', '') = 'true'
               AND s.consents -> $3 ->> 'how' = 'reply')
    RETURNING s.id
)
INSERT INTO consent_records (subscriber_id, at, purpose, granted, how, wording)
SELECT id, $4::text::timestamptz, $3, false, $5, '' FROM refused
"""

# They opted in again themselves.
LIFT = "DELETE FROM forgotten_addresses WHERE address_hash = ANY($1::bytea[])"


async def remember(
    connection: asyncpg.Connection,
    addresses: Iterable[tuple[str, str]],
    secret: bytes,
    now: datetime,
) -> int:
    """Whoever comes back with one of these (channel, address) will be opted out; how many hashes
    these are. Nothing else of the addresses is kept."""
    hashes = sorted({hash_address(*it, secret) for it in addresses})
    await connection.execute(REMEMBER, hashes, now)
    return len(hashes)


async def hold_to(
    connection: asyncpg.Connection,
    addresses: Iterable[tuple[str, str]],
    secret: bytes,
    now: datetime,
) -> None:
    """Whoever now has one of these addresses, of somebody who was erased, is opted out. Call it in
    the transaction in which they got it. Safe to repeat."""
    if not await connection.fetchval(ANY):
        return
    by_hash: dict[bytes, list[tuple[str, str]]] = {}
    for it in addresses:
        by_hash.setdefault(hash_address(*it, secret), []).append(it)
    rows = await connection.fetch(KNOWN, [*by_hash])
    known = [it for row in rows for it in by_hash[row["address_hash"]]]
    if known:
        whose, which = [it[0] for it in known], [it[1] for it in known]
        at = now.isoformat().replace("+00:00", "Z")
        await connection.execute(REFUSE, whose, which, EVERYTHING, at, HOW)


async def lift(
    connection: asyncpg.Connection, addresses: Iterable[tuple[str, str]], secret: bytes
) -> None:
    """Those whose addresses these are have opted in again: nothing is remembered of them."""
    await connection.execute(LIFT, [hash_address(*it, secret) for it in addresses])
