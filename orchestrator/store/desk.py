"""The work of people: items are taken one at a time, reserved, and settled with what came of it.

An item is a message on a desk's channel that has had no last word. Its id is `SUBSCRIBER-MESSAGE`;
so was its carrier id when it was taken in, and that one stays if the subscriber becomes another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.model import Consent, Content

# The first item of a channel that nobody has, and that is still wanted.
NEXT = """
SELECT m.subscriber_id, m.id, m.address, m.content, m.template, m.contact_class, m.journey, m.run,
    m.step, m.channel, m.carrier_id, m.valid_until, coalesce(d.tries, 0) AS tries, s.key, s.locale,
    s.timezone, s.consents
FROM messages m JOIN subscribers s ON s.id = m.subscriber_id
LEFT JOIN desk_items d ON d.subscriber_id = m.subscriber_id AND d.message_id = m.id
WHERE m.channel = $1 AND m.state = 'accepted' AND m.carrier_id IS NOT NULL
    AND coalesce(d.ready_at, '-infinity') <= $2 AND d.outcome IS NULL
    AND (m.valid_until IS NULL OR m.valid_until > $2)
ORDER BY m.id LIMIT 1 FOR UPDATE OF m SKIP LOCKED
"""

# What is on the list for one subscriber, by key or number.
FOR = """
SELECT m.subscriber_id, m.id, m.address, m.content, m.template, m.contact_class, m.journey, m.run,
    m.step, m.channel, m.carrier_id, m.valid_until, coalesce(d.tries, 0) AS tries, s.key, s.locale,
    s.timezone, s.consents
FROM messages m JOIN subscribers s ON s.id = m.subscriber_id
LEFT JOIN desk_items d ON d.subscriber_id = m.subscriber_id AND d.message_id = m.id
WHERE m.subscriber_id = $1 AND m.channel = $2 AND m.state = 'accepted'
    AND m.carrier_id IS NOT NULL AND coalesce(d.ready_at, '-infinity') <= $3
    AND d.outcome IS NULL
    AND (m.valid_until IS NULL OR m.valid_until > $3)
ORDER BY m.id
"""

# One item, locked. What is known of it is read afterwards: whoever had it locked before us may have
# changed that.
LOCK_ITEM = "SELECT FROM messages WHERE subscriber_id = $1 AND id = $2 FOR UPDATE"

# One item, whoever has it.
ITEM = """
SELECT m.subscriber_id, m.id, m.address, m.content, m.template, m.contact_class, m.journey, m.run,
    m.step, m.channel, m.carrier_id, m.valid_until, coalesce(d.tries, 0) AS tries, s.key, s.locale,
    s.timezone, s.consents, m.state, d.reserved_by, d.ready_at, d.outcome
FROM messages m JOIN subscribers s ON s.id = m.subscriber_id
LEFT JOIN desk_items d ON d.subscriber_id = m.subscriber_id AND d.message_id = m.id
WHERE m.subscriber_id = $1 AND m.id = $2 AND m.channel IN ('counter', 'calls')
    AND m.carrier_id IS NOT NULL
"""

# Items whose time has passed: nobody called. Those of people who were erased have no carrier id.
STALE = """
SELECT m.carrier_id FROM messages m
WHERE m.channel = $1 AND m.state = 'accepted' AND m.valid_until <= $2 AND m.carrier_id IS NOT NULL
ORDER BY m.id LIMIT 500
"""

# Somebody takes the item until then, unless another one did so since it was found.
TAKE = """
INSERT INTO desk_items AS d (subscriber_id, message_id, reserved_by, ready_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (subscriber_id, message_id) DO UPDATE SET
    reserved_by = excluded.reserved_by, ready_at = excluded.ready_at
WHERE d.ready_at <= $5 AND d.outcome IS NULL
RETURNING true
"""

# Somebody has the item until then, or it may be taken again from then on.
RESERVE = """
INSERT INTO desk_items (subscriber_id, message_id, reserved_by, ready_at, tries)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (subscriber_id, message_id) DO UPDATE SET
    reserved_by = excluded.reserved_by, ready_at = excluded.ready_at, tries = excluded.tries
"""

# What came of it. The first word on it is the last.
SETTLE = """
INSERT INTO desk_items (subscriber_id, message_id, reserved_by, ready_at, tries, outcome, note,
    ended_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $4)
ON CONFLICT (subscriber_id, message_id) DO UPDATE SET
    reserved_by = excluded.reserved_by, outcome = excluded.outcome, note = excluded.note,
    tries = excluded.tries, ended_at = excluded.ended_at
WHERE desk_items.outcome IS NULL
"""

_content = Decoder(Content).decode
_consents = Decoder(dict[str, Consent]).decode


class Item(Struct, frozen=True):
    """One subscriber to be spoken with. `reserved_by` has it until `ready_at`; `outcome` is set
    once it is settled, and `open` says whether anything is left to do."""

    subscriber_id: int
    message_id: int
    carrier_id: str
    key: str
    number: str
    locale: str
    timezone: str | None
    content: Content
    template: str
    contact_class: str
    journey: str
    run: int
    step: str
    channel: str
    until: datetime | None
    tries: int
    consents: dict[str, Consent]
    reserved_by: str | None = None
    ready_at: datetime | None = None
    outcome: str | None = None
    open: bool = True

    @property
    def id(self) -> str:
        return item_id(self.subscriber_id, self.message_id)


def item_id(subscriber_id: int, message_id: int) -> str:
    """What an item is called."""
    return f"{subscriber_id}-{message_id}"


async def next_item(connection: asyncpg.Connection, channel: str, now: datetime) -> Item | None:
    """The first item that nobody has, locked until the transaction ends."""
    row = await connection.fetchrow(NEXT, channel, now)
    return None if row is None else _item(row)


async def items_for(
    connection: asyncpg.Connection, subscriber_id: int, channel: str, now: datetime
) -> list[Item]:
    """What may be spoken of with this subscriber now."""
    return [_item(row) for row in await connection.fetch(FOR, subscriber_id, channel, now)]


async def find_item(connection: asyncpg.Connection, named: str) -> Item | None:
    """The item of this id, locked until the transaction ends; None if there never was one."""
    who, dash, what = named.partition("-")
    if not (dash and who.isascii() and what.isascii() and who.isdigit() and what.isdigit()):
        return None
    if max(len(who), len(what)) > 18 and max(int(who), int(what)) >= 1 << 63:
        return None
    await connection.execute(LOCK_ITEM, int(who), int(what))
    row = await connection.fetchrow(ITEM, int(who), int(what))
    return None if row is None else _item(row)


async def stale_items(connection: asyncpg.Connection, channel: str, now: datetime) -> Sequence[str]:
    """The carrier ids of some items whose time has passed."""
    return [row["carrier_id"] for row in await connection.fetch(STALE, channel, now)]


async def take(
    connection: asyncpg.Connection, item: Item, by: str, until: datetime, now: datetime
) -> bool:
    """`by` has the item until then; False if somebody else took it meanwhile."""
    taken = await connection.fetchval(TAKE, item.subscriber_id, item.message_id, by, until, now)
    return taken is not None


async def reserve(
    connection: asyncpg.Connection, item: Item, by: str | None, until: datetime, tries: int
) -> None:
    """`by` has the item until then; nobody: it may be taken from then on."""
    await connection.execute(RESERVE, item.subscriber_id, item.message_id, by, until, tries)


async def settle(
    connection: asyncpg.Connection, item: Item, by: str, outcome: str, note: str, now: datetime
) -> None:
    """This came of it."""
    await connection.execute(
        SETTLE, item.subscriber_id, item.message_id, by, now, item.tries + 1, outcome, note
    )


def _item(row: asyncpg.Record) -> Item:
    values = dict(row)
    state = values.pop("state", "accepted")
    return Item(
        message_id=values.pop("id"),
        number=values.pop("address"),
        content=_content(values.pop("content")),
        until=values.pop("valid_until"),
        consents=_consents(values.pop("consents") or "{}"),
        open=state == "accepted" and not values.get("outcome"),
        **values,
    )
