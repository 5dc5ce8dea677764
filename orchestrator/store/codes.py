"""Codes at the counter: used once, with an answer that says what is the matter."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import asyncpg
from msgspec import Struct

# The code is used, if it is this member's (or no member was named) and was not used before.
USE = """
UPDATE codes SET used_at = $2, used_as = $3
WHERE code_hash = $1 AND used_at IS NULL AND ($4::bigint IS NULL OR subscriber_id = $4)
RETURNING subscriber_id, reward, given_at, used_at
"""

# Whose the code is, and when it was used.
FIND = """
SELECT subscriber_id, reward, given_at, used_at, used_as FROM codes WHERE code_hash = $1
"""


class CodeAnswer(Struct, frozen=True):
    """What became of a code that somebody showed. Of somebody else's code nothing is said but
    that it is not theirs."""

    result: Literal["used", "used_before", "unknown", "not_theirs"]
    subscriber_id: int | None = None
    reward: str = ""
    given_at: datetime | None = None
    used_at: datetime | None = None


async def use_code(
    connection: asyncpg.Connection,
    code_hash: bytes,
    now: datetime,
    key: str,
    subscriber_id: int | None = None,
) -> CodeAnswer:
    """The code is used, and never again. `key` names the request: repeating it gives the same
    answer. With `subscriber_id` only that member's code is taken."""
    row = await connection.fetchrow(USE, code_hash, now, key, subscriber_id)
    if row is not None:
        return CodeAnswer("used", *row)
    row = await connection.fetchrow(FIND, code_hash)
    if row is None:
        return CodeAnswer("unknown")
    if subscriber_id is not None and row["subscriber_id"] != subscriber_id:
        return CodeAnswer("not_theirs")
    result: Literal["used", "used_before"] = "used" if row["used_as"] == key else "used_before"
    return CodeAnswer(result, *row[:4])
