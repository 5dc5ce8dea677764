"""Codes at the counter: used once, with an answer that says what is the matter."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import asyncpg
from msgspec import Struct

# Until this transaction ends, nobody else makes a request of this name.
LOCK_REQUEST = "SELECT pg_advisory_xact_lock(0x636f6465, hashtext($1))"

# Whether the request has used another code.
USED_ANOTHER = """
SELECT EXISTS (SELECT FROM codes WHERE used_as = $2 AND used_by = $3 AND code_hash <> $1)
"""

# Whose the code is, and when it was used. Nobody else uses it now, nor takes it away.
LOCK = """
SELECT subscriber_id, reward, given_at, used_at, used_as, used_by,
    (SELECT key FROM subscribers s WHERE s.id = c.subscriber_id) AS subscriber
FROM codes c WHERE code_hash = $1 FOR UPDATE
"""

# The code is used.
USE = "UPDATE codes SET used_at = $2, used_as = $3, used_by = $4 WHERE code_hash = $1"


class Use(Struct, frozen=True):
    """Who uses a code (`by`, as they call themselves), and the name of their request (`key`)."""

    by: str
    key: str


class CodeAnswer(Struct, frozen=True):
    """What became of a code that somebody showed. Of somebody else's code nothing is said but
    that it is not theirs. `another`: the request has used another code, so that this one was not
    looked at. `fresh`: it was used just now, not when the request was made before."""

    result: Literal["used", "used_before", "unknown", "not_theirs", "another"]
    subscriber_id: int | None = None
    subscriber: str = ""
    reward: str = ""
    given_at: datetime | None = None
    used_at: datetime | None = None
    used_by: str = ""
    fresh: bool = False


async def use_code(
    connection: asyncpg.Connection,
    code_hash: bytes,
    now: datetime,
    use: Use,
    subscriber_id: int | None = None,
) -> CodeAnswer:
    """In the caller's transaction: the code is used, and never again. Repeating the request gives
    the same answer. With `subscriber_id` only that member's code is taken."""
    await connection.execute(LOCK_REQUEST, use.key)
    if await connection.fetchval(USED_ANOTHER, code_hash, use.key, use.by):
        return CodeAnswer("another")
    row = await connection.fetchrow(LOCK, code_hash)
    if row is None:
        return CodeAnswer("unknown")
    if subscriber_id is not None and row["subscriber_id"] != subscriber_id:
        return CodeAnswer("not_theirs")
    fresh = row["used_at"] is None
    if fresh:
        await connection.execute(USE, code_hash, now, use.key, use.by)
    used_at, used_by = (now, use.by) if fresh else (row["used_at"], row["used_by"] or "")
    same = fresh or (row["used_as"], row["used_by"]) == (use.key, use.by)
    return CodeAnswer(
        "used" if same else "used_before",
        row["subscriber_id"],
        row["subscriber"] or "",
        row["reward"],
        row["given_at"],
        used_at,
        used_by,
        fresh,
    )
