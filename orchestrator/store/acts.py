"""The audit log: what operators did, chained, written in the transaction of what they did.

Not to be taken for the reckoning of points in `store/audit.py`, nor for the record of messages in
`store/record.py`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg

from orchestrator.core import acts
from orchestrator.core.acts import Act, Deed, Head

# Until this transaction ends, nobody else adds to the log. Acts are few, and this is the last thing
# their transactions do, so that all wait for is another's commit.
LOCK = "SELECT pg_advisory_xact_lock(0x61637473)"

# The last entry. A statement of its own, after the lock: it sees what the one before committed.
HEAD = "SELECT number, hash FROM acts ORDER BY number DESC LIMIT 1"

# One more.
ADD = "INSERT INTO acts (number, entry, hash, seal) VALUES ($1, $2, $3, $4)"

# Every entry, in order.
ALL = "SELECT number, entry, hash, seal FROM acts ORDER BY number"

# The latest entries: since an instant, by somebody, of a kind, about something.
LATEST = """
SELECT number, entry, hash, seal FROM acts
WHERE ($1::text IS NULL OR entry::json ->> 'at' >= $1)
  AND ($2::text IS NULL OR position($2 IN entry::json ->> 'who') > 0)
  AND ($3::text IS NULL OR starts_with(entry::json ->> 'what', $3))
  AND ($4::text IS NULL OR entry::json ->> 'about' = $4)
ORDER BY number DESC LIMIT $5
"""


async def record(connection: asyncpg.Connection, deed: Deed, now: datetime, secret: bytes) -> Act:
    """The deed is in the log, once the caller's transaction commits. Call it last in there, and
    not in a snapshot (repeatable read)."""
    await connection.execute(LOCK)
    act = acts.chained(deed, now, await head(connection), secret)
    await connection.execute(ADD, act.number, act.entry, act.hash, act.seal)
    return act


async def head(connection: asyncpg.Connection) -> Head:
    """The last entry, or the beginning."""
    row = await connection.fetchrow(HEAD)
    return Head() if row is None else Head(row["number"], row["hash"])


async def latest(
    connection: asyncpg.Connection,
    most: int,
    *,
    since: datetime | None = None,
    who: str | None = None,
    what: str | None = None,
    about: str | None = None,
) -> list[Act]:
    """The latest `most` entries, oldest first: whose `who` holds this, whose `what` begins with
    this, and that are about exactly this."""
    moment = None if since is None else f"{since:%Y-%m-%dT%H:%M:%S.%f}Z"
    rows = await connection.fetch(LATEST, moment, who, what, about, most)
    return [_act(row) for row in reversed(rows)]


async def lines(connection: asyncpg.Connection) -> AsyncIterator[str]:
    """The whole log, line by line, as of one moment."""
    async with connection.transaction(readonly=True):
        async for row in connection.cursor(ALL):
            try:
                yield acts.line(row["entry"], row["hash"], row["seal"])
            except (ValueError, TypeError):  # somebody wrote into the table: verifying says so
                yield str(row["entry"])


def _act(row: asyncpg.Record) -> Act:
    said = json.loads(row["entry"])
    deed = Deed(**{name: said[name] for name in Deed.__struct_fields__})
    at = datetime.fromisoformat(said["at"])
    return Act(row["number"], at, deed, row["entry"], row["hash"], row["seal"])
