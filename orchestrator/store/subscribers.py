"""Subscribers: who they are and whose an address is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.model import SHARDS, Consent, Subscriber
from orchestrator.store import json

# Subscribers are there, by key: new ones made, known ones given what is new of theirs. What is
# not said (null) stays; attributes, tags and addresses are added to; a refusal is never undone,
# and takes the place of an older yes.
# Locales that are said come once more by key: to look them up in `given` row by row is slow.
UPSERT = """
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::text[], $5::text[],
        $6::text[], $7::text[], $8::text[])
        AS u (key, shard, locale, timezone, attributes, tags, addresses, consents)
)
INSERT INTO subscribers AS s
    (key, shard, locale, timezone, attributes, tags, addresses, consents, created_at)
SELECT key, shard, coalesce(locale, $10), timezone, attributes::jsonb,
    array(SELECT jsonb_array_elements_text(tags::jsonb)), addresses::jsonb, consents::jsonb, $9
FROM given
ON CONFLICT (key) DO UPDATE SET
    locale = coalesce($11::jsonb ->> s.key, s.locale),
    timezone = coalesce(excluded.timezone, s.timezone),
    attributes = s.attributes || excluded.attributes,
    tags = array(SELECT DISTINCT unnest(s.tags || excluded.tags) ORDER BY 1),
    addresses = s.addresses || excluded.addresses,
    consents = excluded.consents || s.consents || coalesce((
        SELECT jsonb_object_agg(it.key, it.value) FROM jsonb_each(excluded.consents) it
        WHERE it.value ->> 'granted' = 'false' AND s.consents -> it.key ->> 'granted' = 'true'
          AND (it.value ->> 'at')::timestamptz >= (s.consents -> it.key ->> 'at')::timestamptz),
        '{}')
RETURNING s.id, s.key, s.shard, (xmax = 0) AS made
"""

# Addresses belong to these subscribers, unless they are somebody else's already.
ADD_ADDRESSES = """
INSERT INTO addresses (channel, address, subscriber_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT DO NOTHING
"""

# Of these addresses, those that are somebody's.
OWNERS = """
SELECT a.channel, a.address, a.subscriber_id, s.shard, s.key, a.gone_at IS NOT NULL AS gone
FROM unnest($1::text[], $2::text[]) AS u (channel, address)
JOIN addresses a USING (channel, address)
JOIN subscribers s ON s.id = a.subscriber_id
"""

# The same, and until the transaction ends none of these people is erased or becomes one with
# another. Whoever became so while this waited is left out.
OWNERS_HELD = f"{OWNERS}ORDER BY s.id FOR KEY SHARE OF s"

# Of these keys, those that are somebody's.
KEYS = "SELECT key, id, shard FROM subscribers WHERE key = ANY($1::text[])"

# Of these keys, those that are somebody's, and their telephones.
TELEPHONES = """
SELECT key, addresses ->> 'sms' AS number FROM subscribers WHERE key = ANY($1::text[])
"""

# Consents that came from outside leave a record, unless the last one on record says the same.
RECORD_CONSENTS = """
INSERT INTO consent_records (subscriber_id, at, purpose, granted, how, wording)
SELECT s.id, greatest((c.value ->> 'at')::timestamptz, last.at + interval '1 microsecond'), c.key,
    (c.value ->> 'granted')::boolean, coalesce(c.value ->> 'how', ''),
    coalesce(c.value ->> 'wording', '')
FROM subscribers s CROSS JOIN LATERAL jsonb_each(s.consents) c
LEFT JOIN LATERAL (
    SELECT r.at, r.granted FROM consent_records r
    WHERE r.subscriber_id = s.id AND r.purpose = c.key ORDER BY r.at DESC LIMIT 1) last ON true
WHERE s.id = ANY($1::bigint[]) AND (c.value ->> 'granted')::boolean IS DISTINCT FROM last.granted
"""


_attributes = Decoder(dict[str, Any]).decode
_addresses = Decoder(dict[str, str]).decode
_consents = Decoder(dict[str, Consent]).decode


def subscriber_of(row: asyncpg.Record) -> Subscriber:
    """The subscriber that this row of theirs describes."""
    return Subscriber(
        id=row["id"],
        key=row["key"],
        shard=row["shard"],
        locale=row["locale"],
        timezone=row["timezone"],
        attributes=_attributes(row["attributes"]),
        tags=frozenset(row["tags"]),
        addresses=_addresses(row["addresses"]),
        consents=_consents(row["consents"]),
        created_at=row["created_at"],
    )


class NewSubscriber(Struct, frozen=True):
    """A subscriber as somebody outside describes them; None means not said."""

    key: str
    locale: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Any] = {}
    tags: tuple[str, ...] = ()
    addresses: Mapping[str, str] = {}
    consents: Mapping[str, Consent] = {}


class Owner(Struct, frozen=True):
    """Whose an address is. `gone`: they had left it, and it is not where we write to them."""

    subscriber_id: int
    shard: int
    key: str
    gone: bool = False


def shard_of(key: str) -> int:
    """The logical shard that a subscriber of this key belongs to, for ever."""
    return blake2b(key.encode(), digest_size=2).digest()[0] % SHARDS


async def upsert(
    connection: asyncpg.Connection,
    news: Sequence[NewSubscriber],
    now: datetime,
    default_locale: str,
) -> tuple[int, int]:
    """These subscribers are there, as described; returns how many were made and how many were
    known. The last of several with one key wins. Safe to repeat."""
    by_key = {s.key: s for s in news}
    if not by_key:
        return 0, 0
    rows = await connection.fetch(
        UPSERT,
        [*by_key],
        [shard_of(key) for key in by_key],
        [s.locale for s in by_key.values()],
        [s.timezone for s in by_key.values()],
        [json.encode(s.attributes) for s in by_key.values()],
        [json.encode(s.tags) for s in by_key.values()],
        [json.encode(s.addresses) for s in by_key.values()],
        [json.encode(s.consents) for s in by_key.values()],
        now,
        default_locale,
        json.encode({key: s.locale for key, s in by_key.items() if s.locale is not None}),
    )
    # In one order for all who write at once, so that none waits for another in a circle.
    addresses = sorted(
        (channel, address, row["id"])
        for row in rows
        for channel, address in by_key[row["key"]].addresses.items()
    )
    if addresses:
        await connection.execute(
            ADD_ADDRESSES, *[list(column) for column in zip(*addresses, strict=True)]
        )
    if agreed := [row["id"] for row in rows if by_key[row["key"]].consents]:
        await connection.execute(RECORD_CONSENTS, agreed)
    made = sum(row["made"] for row in rows)
    return made, len(rows) - made


async def owners(
    connection: asyncpg.Connection, addresses: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Owner]:
    """Whose each (channel, address) is; those of nobody are left out."""
    return await _owners(connection, OWNERS, {*addresses})


async def held_owners(
    connection: asyncpg.Connection, addresses: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Owner]:
    """The same; until the transaction ends nobody erases them or makes them one with another, so
    that what is written about them is not lost."""
    wanted = {*addresses}
    found = await _owners(connection, OWNERS_HELD, wanted)
    if missing := wanted - found.keys():
        # A statement of its own: it sees whose they became while the one before waited.
        found |= await _owners(connection, OWNERS_HELD, missing)
    return found


async def _owners(
    connection: asyncpg.Connection, query: str, addresses: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Owner]:
    wanted = [*addresses]
    rows = await connection.fetch(query, [w[0] for w in wanted], [w[1] for w in wanted])
    return {
        (row["channel"], row["address"]): Owner(
            row["subscriber_id"], row["shard"], row["key"], row["gone"]
        )
        for row in rows
    }


async def find_keys(
    connection: asyncpg.Connection, keys: Iterable[str]
) -> dict[str, tuple[int, int]]:
    """(subscriber id, shard) of each key that is somebody's."""
    rows = await connection.fetch(KEYS, [*set(keys)])
    return {row["key"]: (row["id"], row["shard"]) for row in rows}


async def telephones(connection: asyncpg.Connection, keys: Iterable[str]) -> dict[str, str | None]:
    """The telephone number, or None, of each key that is somebody's."""
    rows = await connection.fetch(TELEPHONES, [*set(keys)])
    return {row["key"]: row["number"] for row in rows}
