"""Messages queued, or moved on to their next channel, for whoever holds the channel to claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import Struct

from orchestrator.core.model import Content, Message
from orchestrator.store import json
from orchestrator.store.claims import ATTEMPT_SIZE
from orchestrator.store.columns import columns, shared
from orchestrator.store.ids import Ids

# Attempts to be claimed by whoever holds their channel; those of a journey with a pace are apart.
ADD_ATTEMPTS = """
INSERT INTO attempts (channel, priority, not_before, paced, size)
SELECT u.channel, u.priority, u.not_before, nullif(u.paced, ''), u.size
FROM unnest($1::text[], $2::smallint[], $3::timestamptz[], $4::text[], $5::integer[])
    AS u (channel, priority, not_before, paced, size)
RETURNING id
"""

# Messages are queued, each in its attempt.
QUEUE = """
INSERT INTO messages (id, subscriber_id, address, content, template, journey, contact_class,
    attempt_id, channel, via, run, step, valid_until, state, queued_at)
SELECT u.id, u.subscriber_id, u.address, u.content, ($6::text[])[u.n], ($7::text[])[u.n],
    ($8::text[])[u.n], ($9::bigint[])[u.n], ($10::text[])[u.n],
    string_to_array(($11::text[])[u.n], ','), ($12::integer[])[u.n], ($13::text[])[u.n],
    ($14::timestamptz[])[u.n], 'queued', $15
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::integer[])
    AS u (id, subscriber_id, address, content, n)
"""

# A failed message moves on to its next channel, in a new attempt.
REROUTE = """
UPDATE messages m SET state = 'queued', attempt_id = u.attempt_id, channel = u.channel,
    address = u.address, content = u.content, via = string_to_array(u.via, ','),
    valid_until = u.valid_until, goes_at = u.goes_at, carrier_id = NULL, ended_at = NULL,
    reason = 'fell back from ' || m.channel || ': '
        || coalesce(m.reason, concat_ws(' ', m.state, m.code))
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::timestamptz[], $9::timestamptz[])
    AS u (subscriber_id, id, attempt_id, channel, address, content, via, valid_until, goes_at)
WHERE m.subscriber_id = u.subscriber_id AND m.id = u.id
  AND m.state IN ('rejected', 'undelivered', 'expired')
"""

Linked = Callable[[Content, int, int], Content]
"""Content, subscriber id, message id: the content as it goes out."""


class Queued(Struct, frozen=True, gc=False):
    """A message to be queued, or, with the id that it has, one that moves on (`reroutes`). `paced`
    is its journey, if that has a pace."""

    subscriber_id: int
    message: Message
    priority: int
    not_before: datetime
    paced: str
    reroutes: int | None = None


async def queue(
    connection: asyncpg.Connection,
    queued: list[Queued],
    now: datetime,
    ids: Ids,
    linked: Linked,
) -> None:
    """The messages wait in attempts of their channel, urgency, time and pace."""
    if not queued:
        return
    by_attempt: Callable[[Queued], tuple[Any, ...]] = lambda item: (  # noqa: E731
        item.message.channel,
        item.priority,
        item.not_before,
        item.paced,
    )
    queued = sorted(queued, key=by_attempt)
    attempts: list[tuple[Any, ...]] = []
    places: list[int] = []
    size = ATTEMPT_SIZE
    for item in queued:
        key = by_attempt(item)
        if size == ATTEMPT_SIZE or attempts[-1] != key:
            attempts.append(key)
            size = 0
        size += 1
        places.append(len(attempts) - 1)
    sizes = Counter(places)
    sized = [(*attempt, sizes[place]) for place, attempt in enumerate(attempts)]
    attempt_ids = [row[0] for row in await connection.fetch(ADD_ATTEMPTS, *columns(sized))]
    new: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []
    rerouted: list[tuple[Any, ...]] = []
    for item, place in zip(queued, places, strict=True):
        m = item.message
        who, message_id = item.subscriber_id, item.reroutes or ids.draw(now)
        said = linked(m.content, who, message_id) if m.content.links else m.content
        content, via, attempt = json.encode(said), ",".join(m.via), attempt_ids[place]
        if item.reroutes is None:
            new.append((
                (message_id, who, m.address, content),
                (m.template, m.journey, m.contact_class, attempt, m.channel, via, m.run, m.step,
                 m.valid_until),
            ))  # fmt: skip
        else:
            rerouted.append(
                (who, message_id, attempt, m.channel, m.address, content, via,
                 m.valid_until, item.not_before)
            )  # fmt: skip
    if new:
        await connection.execute(QUEUE, *shared(new), now)
    if rerouted:
        await connection.execute(REROUTE, *columns(rerouted))
