"""Partitions shared by processes: each holds its fair part, by leases of one connection's.

A lease is an advisory lock of PostgreSQL: it ends with the connection, however that ends. Whoever
commits on the very connection that has the lease needs no fencing: once the lease is somebody
else's, the connection is gone, and with it whatever it had not committed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import asyncpg

SPACE = 1_331_853_678
"""Our advisory locks of two keys: this, and 0 for who takes part or the partition's number + 1."""

# A connection whose machine is gone is noticed within about ten seconds.
NOTICE = """
SELECT set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2',
    false), set_config('tcp_keepalives_count', '3', false)
"""

# This process takes part.
JOIN = "SELECT pg_advisory_lock_shared($1, 0)"
LEAVE = "SELECT pg_advisory_unlock_shared($1, 0)"

# Who takes part, in an order that is the same for all, and who of them we are.
MEMBERS = """
SELECT l.pid, l.pid = pg_backend_pid() AS us FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.classid = $1::bigint::oid AND l.objid = 0 AND l.objsubid = 2
  AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY l.pid
"""

# Which partitions somebody has.
HELD = """
SELECT l.objid::bigint - 1 AS partition FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.classid = $1::bigint::oid AND l.objid > 0 AND l.objsubid = 2
  AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1
"""

# A partition is this connection's if nobody else has it.
TAKE = "SELECT pg_try_advisory_lock($1, $2::integer + 1)"

# It is nobody's.
GIVE = "SELECT pg_advisory_unlock($1, $2::integer + 1)"


async def join(connection: asyncpg.Connection) -> None:
    """The process of this connection takes part in the sharing, until `leave` or its end."""
    await connection.execute(NOTICE)
    await connection.execute(JOIN, SPACE)


async def leave(connection: asyncpg.Connection) -> None:
    """It takes part no more; what it has, it has until it gives it."""
    await connection.execute(LEAVE, SPACE)


async def quota(connection: asyncpg.Connection, partitions: int) -> int:
    """How many of so many partitions are the fair part of this process: all parts together are all
    partitions, and they differ by one at most."""
    members = [row["us"] for row in await connection.fetch(MEMBERS, SPACE)]
    if True not in members:
        return 0
    each, rest = divmod(partitions, len(members))
    return each + (members.index(True) < rest)


async def held(connection: asyncpg.Connection) -> list[int]:
    """Which partitions any process has."""
    return [row["partition"] for row in await connection.fetch(HELD, SPACE)]


async def take(connection: asyncpg.Connection, candidates: Sequence[int], most: int) -> list[int]:
    """Up to `most` of these partitions, which are this connection's now."""
    theirs = {*await held(connection)}
    taken: list[int] = []
    for partition in candidates:
        if len(taken) >= most:
            break
        if partition not in theirs and await connection.fetchval(TAKE, SPACE, partition):
            taken.append(partition)
    return taken


async def give(connection: asyncpg.Connection, partitions: Collection[int]) -> None:
    """These partitions, which were this connection's, may be somebody else's."""
    for partition in partitions:
        await connection.fetchval(GIVE, SPACE, partition)
