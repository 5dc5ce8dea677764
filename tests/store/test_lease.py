"""A lease is one process's for as long as its connection lives."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from orchestrator.store import lease

KILL = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database
    WHERE datname = current_database())
"""


def nothing() -> None:
    """Nobody need hear of it."""


async def test_a_standby_has_the_lease_as_soon_as_its_holder_gives_it_back(
    database_url: str,
) -> None:
    waited: list[str] = []
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        async with lease.held(pool, "sms", nothing, nothing):
            pass
        async with asyncio.timeout(30), lease.held(pool, "sms", nothing, nothing):
            standby = lease.held(pool, "sms", lambda: waited.append("sms"), nothing)
            taking = asyncio.create_task(standby.__aenter__())
            while not waited:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            await taking
        await standby.__aexit__(None, None, None)


async def test_whoever_loses_the_lease_hears_of_it_and_ends_in_its_own_way(
    database_url: str,
) -> None:
    lost = asyncio.Event()
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        with pytest.raises(KeyError, match="its own"):
            await _lose(pool, lost)
        async with lease.held(pool, "sms", nothing, nothing):
            await pool.execute("SELECT 1")


async def _lose(pool: asyncpg.Pool, lost: asyncio.Event) -> None:
    async with lease.held(pool, "sms", nothing, lost.set):
        await pool.execute(KILL)
        async with asyncio.timeout(30):
            await lost.wait()
        raise KeyError("its own")
