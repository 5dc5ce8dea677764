"""Leases: what one process at a time may hold, for as long as its connection lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

# The lease is this connection's if nobody else has it; it ends with the connection.
TAKE = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"

ASK_AGAIN_S = 1.0


@asynccontextmanager
async def session(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """A connection that ends with the block, and with it its locks and settings. A pool's others
    are handed on as they are."""
    async with pool.acquire() as connection:
        try:
            yield connection
        finally:
            with suppress(asyncpg.InterfaceError):  # it has ended by itself
                connection.terminate()


@asynccontextmanager
async def held(
    pool: asyncpg.Pool, name: str, waiting: Callable[[], None], lost: Callable[[], None]
) -> AsyncIterator[None]:
    """The lease `name` is ours during the block.

    While another holds it, `waiting` is called once, and we wait as its standby. `lost` is called
    if the connection ends: the lease may then be somebody else's.
    """
    ended = False

    def hear(_: asyncpg.Connection) -> None:
        if not ended:
            lost()

    async with session(pool) as connection:
        told = False
        while not await connection.fetchval(TAKE, name):
            if not told:
                waiting()
                told = True
            await asyncio.sleep(ASK_AGAIN_S)
        connection.add_termination_listener(hear)
        try:
            yield
        finally:
            ended = True
