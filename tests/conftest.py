"""A real PostgreSQL and a real Valkey for every test that asks: started once per test worker, in
memory where there is plenty, a fresh migrated database per test, an empty Redis per test. Nothing
outside is met."""

from __future__ import annotations

import fcntl
import gc
import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from orchestrator.runtime.embedded import Urls, run_servers
from orchestrator.store.migrate import migrate

# Property tests are about answers, not about the speed of the machine that they run on.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_numbers = count(1)

LONGEST = ("tests/faults/", "tests/simulation/", "tests/test_tutorial.py", "tests/cli/test_up.py")

MEMORY = Path("/dev/shm")
PLENTY = 4 << 30
"""Octets; a worker's servers take some hundred millions."""


def _named(url: str, database: str) -> str:
    return url.replace("/outreach?", f"/{database}?")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda it: not it.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """The collector passes over what stays to the end, modules and thousands of tests: it would
    take a quarter of a second each time, in the middle of some test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _nothing_outside() -> Iterator[None]:
    """A connection from this process to anything but this machine fails its test."""

    class Refused(BaseException):
        """Not an Exception: nothing may take it for a carrier that is away."""

    def within(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise Refused(f"a test tried to reach {host}")

    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def checked_connect(self: socket.socket, address: Any) -> None:
        within(self, address)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        within(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        yield


@pytest.fixture(scope="session")
def embedded_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Urls]:
    """Embedded servers of this test worker's own."""
    with (
        memory(tmp_path_factory) as folder,
        run_servers(
            SimpleNamespace(database_url=None, redis_url=None, data=folder / "data")
        ) as urls,
    ):
        yield urls


@contextmanager
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for servers, in memory if there is plenty of it: measured on ext4, a database takes
    five times as much of a processor to make and drop. What killed workers have left there is
    removed."""
    if not _plenty():
        yield tmp_path_factory.mktemp("embedded")
        return
    for left in MEMORY.glob("outreach-tests-*"):
        with suppress(OSError), (left / "held").open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
    with (
        tempfile.TemporaryDirectory(prefix="outreach-tests-", dir=MEMORY) as folder,
        Path(folder, "held").open("w") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        yield Path(folder)


def _plenty() -> bool:
    try:
        words = Path("/proc/meminfo").read_text().split()
        available = int(words[words.index("MemAvailable:") + 1]) << 10
        room = shutil.disk_usage(MEMORY).free
    except (OSError, ValueError):
        return False
    return os.access(MEMORY, os.W_OK) and min(available, room) >= PLENTY


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template_database(embedded_urls: Urls) -> str:
    """The name of a migrated, empty database to copy."""
    connection = await asyncpg.connect(embedded_urls.database_url)
    # Tests make and drop hundreds of databases; those about durability start their own servers.
    for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '512MB'"):
        await connection.execute(f"ALTER SYSTEM SET {setting}")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.execute("CREATE DATABASE migrated")
    await connection.close()
    connection = await asyncpg.connect(_named(embedded_urls.database_url, "migrated"))
    await migrate(connection)
    await connection.close()
    return "migrated"


@asynccontextmanager
async def database(embedded_urls: Urls, template_database: str) -> AsyncIterator[str]:
    """The URL of a database, migrated and empty, that is gone afterwards."""
    name = f"test_{next(_numbers)}"
    connection = await asyncpg.connect(embedded_urls.database_url)
    # Measured on ext4: 23 ms to make and 7 to drop, against 120 and 8 by wal_log.
    await connection.execute(
        f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy"
    )
    yield _named(embedded_urls.database_url, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest_asyncio.fixture
async def database_url(embedded_urls: Urls, template_database: str) -> AsyncIterator[str]:
    """A database of this test's own, migrated and empty."""
    async with database(embedded_urls, template_database) as url:
        yield url


@pytest_asyncio.fixture
async def redis_url(embedded_urls: Urls) -> str:
    """An empty Redis."""
    client = Redis.from_url(embedded_urls.redis_url)
    await client.flushall()
    await client.aclose()
    return embedded_urls.redis_url
