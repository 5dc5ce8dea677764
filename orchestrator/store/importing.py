"""Subscribers that come in numbers: taken in set by set, without two of them sharing an address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import asyncpg
from msgspec import Struct

from orchestrator.store import optouts, subscribers
from orchestrator.store.subscribers import NewSubscriber

# Somebody who wrote to us before we knew them is now known by the operator's own key, unless
# another import was quicker. Their shard stays: it is in many rows, and only has to be stable. They
# are locked in the order of all who write at once, so that none waits for another in a circle.
ADOPT = """
WITH held AS MATERIALIZED (
    SELECT id FROM subscribers WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE
)
UPDATE subscribers s SET key = u.key
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (id, was, key) JOIN held USING (id)
WHERE s.id = u.id AND s.key = u.was AND NOT EXISTS (SELECT FROM subscribers t WHERE t.key = u.key)
RETURNING s.key
"""


class Added(Struct, frozen=True):
    """How many were made and known, and by key, whose address somebody else has, and who."""

    made: int
    known: int
    refused: Mapping[str, str]


async def add(
    connection: asyncpg.Connection,
    news: Sequence[NewSubscriber],
    now: datetime,
    default_locale: str,
    secret: bytes = b"",
) -> Added:
    """These subscribers are there, as described, but for those with an address of somebody else.
    Keys are unique within `news`; of two with one address the first gets it.

    Whoever wrote in before they were imported (`sms:+86…`) becomes the one whose number it is, so
    that an opt-out of theirs holds. With the installation's `secret`, so does that of somebody who
    was erased. Call it in a transaction. Safe to repeat.
    """
    while True:
        with suppress(_QuickerError):
            async with connection.transaction():  # of which nothing is left if somebody was quicker
                return await _add(connection, news, now, default_locale, secret)


class _QuickerError(Exception):
    """An address that was nobody's, or a stranger's, has become somebody else's."""


async def _add(
    connection: asyncpg.Connection,
    news: Sequence[NewSubscriber],
    now: datetime,
    default_locale: str,
    secret: bytes,
) -> Added:
    """As `add`. Raises _QuickerError: whose the address is can be seen now."""
    wanted = [(channel, it) for s in news for channel, it in s.addresses.items()]
    owners = await subscribers.owners(connection, wanted) if wanted else {}
    taken = {address: owner.key for address, owner in owners.items()}
    adopted: dict[tuple[int, str], str] = {}
    refused: dict[str, str] = {}
    good: list[NewSubscriber] = []
    described: set[str] = set()  # who keeps their key cannot be somebody else as well
    for s in news:
        strangers: list[tuple[int, str]] = []
        for channel, address in s.addresses.items():
            owner = taken.get((channel, address), s.key)
            known = owners.get((channel, address))
            if owner == s.key:
                continue
            wrote = owner == f"{channel}:{address}" and owner not in described
            if known is not None and wrote and known.key == owner:
                strangers.append((known.subscriber_id, owner))
            else:
                refused[s.key] = owner
        if len(strangers) > 1:  # who are not one with each other: only they can say that they are
            refused[s.key] = strangers[1][1]
        if s.key in refused:
            continue
        adopted.update(dict.fromkeys(strangers, s.key))
        taken.update(dict.fromkeys(s.addresses.items(), s.key))
        good.append(s)
        described.add(s.key)
    if adopted:
        ids, before = zip(*adopted, strict=True)
        rows = await connection.fetch(ADOPT, ids, before, [*adopted.values()])
        renamed = {row["key"] for row in rows}
        left = {was: key for (_, was), key in adopted.items() if key not in renamed}
        if left and left.keys() - await subscribers.find_keys(connection, left):
            raise _QuickerError
        refused |= dict.fromkeys(left.values(), "somebody who wrote in before")
        good = [s for s in good if s.key not in refused]
    # In one order for all, so that two imports wait for each other instead of dying together.
    good.sort(key=lambda s: s.key)
    made, known_count = await subscribers.upsert(connection, good, now, default_locale)
    theirs = {it: s.key for s in good for it in s.addresses.items()}
    fresh = theirs.keys() - owners.keys()
    whose = await subscribers.owners(connection, fresh) if fresh else {}
    if any(owner.key != theirs[it] for it, owner in whose.items()):
        raise _QuickerError
    if secret:
        await optouts.hold_to(connection, theirs, secret, now)
    return Added(made, known_count, refused)
