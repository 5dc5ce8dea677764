"""What went wrong for one subscriber: recorded, put off, and in nobody else's way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

TRANSIENT = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that ended at an awkward moment
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""Errors that are the database's trouble and nobody's fault: the same may go well later."""

# Each failure leaves a row, unless its subscriber was erased meanwhile.
RECORD = """
INSERT INTO failures (subscriber_id, at, what, error)
SELECT u.subscriber_id, $4, u.what, u.error
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (subscriber_id, what, error)
JOIN subscribers s ON s.id = u.subscriber_id
"""

MOST_TRIES = 5
"""Turns in a row that may fail on an event or a timer before it is given up."""

# Their due enrollments are looked at again later, or, tried too often, are due no more.
PUT_OFF = """
UPDATE enrollments SET tries = tries + 1,
    due_at = CASE WHEN tries + 1 < $4 THEN $3::timestamptz END
WHERE subscriber_id = ANY($1::bigint[]) AND due_at <= $2 AND NOT held
"""

# The same for their due points.
PUT_OFF_POINTS = """
UPDATE accounts SET tries = tries + 1,
    due_at = CASE WHEN tries + 1 < $4 THEN $3::timestamptz END
WHERE subscriber_id = ANY($1::bigint[]) AND due_at <= $2
"""


async def record(
    connection: asyncpg.Connection,
    failed: Sequence[tuple[int, str, str]],
    now: datetime,
    retry_at: datetime,
) -> None:
    """Each (subscriber id, what, error) is on record, and what was due for them is put off, or
    given up if that was its last try."""
    who = [f[0] for f in failed]
    await connection.execute(RECORD, who, [f[1] for f in failed], [f[2] for f in failed], now)
    await connection.execute(PUT_OFF, who, now, retry_at, MOST_TRIES)
    await connection.execute(PUT_OFF_POINTS, who, now, retry_at, MOST_TRIES)
