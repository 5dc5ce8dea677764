"""Addresses at which nobody can be reached for now: still somebody's, and not written to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import asyncpg

# These addresses are nobody's place any more: their subscribers do not list them. An import may
# have listed one again that was left before.
GONE = """
WITH left_at AS (
    UPDATE addresses a SET gone_at = coalesce(a.gone_at, $3)
    FROM unnest($1::text[], $2::text[]) AS u (channel, address)
    WHERE a.channel = u.channel AND a.address = u.address
    RETURNING a.subscriber_id, a.channel, a.address
), whose AS (
    SELECT l.subscriber_id AS id, array_agg(l.channel) AS channels
    FROM left_at l JOIN subscribers s ON s.id = l.subscriber_id
    WHERE s.addresses ->> l.channel = l.address GROUP BY 1
)
UPDATE subscribers s SET addresses = s.addresses - w.channels FROM whose w WHERE s.id = w.id
"""

# Whoever left these addresses is there again, and reached there.
BACK = """
WITH back AS (
    UPDATE addresses a SET gone_at = NULL
    FROM unnest($1::text[], $2::text[]) AS u (channel, address)
    WHERE a.channel = u.channel AND a.address = u.address AND a.gone_at IS NOT NULL
    RETURNING a.subscriber_id, a.channel, a.address
), whose AS (
    SELECT subscriber_id AS id, jsonb_object_agg(channel, address) AS listed FROM back GROUP BY 1
)
UPDATE subscribers s SET addresses = s.addresses || w.listed FROM whose w WHERE s.id = w.id
"""


async def record(
    connection: asyncpg.Connection, here: Mapping[tuple[str, str], bool], now: datetime
) -> None:
    """Each (channel, address) can be written to from now on, or not. Call it with their owners
    held; safe to repeat."""
    for query, is_here in ((GONE, False), (BACK, True)):
        some = [it for it, value in here.items() if value is is_here]
        if some:
            moment = () if is_here else (now,)
            await connection.execute(query, [it[0] for it in some], [it[1] for it in some], *moment)
