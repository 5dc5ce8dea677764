"""What the tests of the embedded servers share: a cluster to copy, and programs beside ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from msgspec import Struct
from redis.asyncio import Redis

from orchestrator.runtime.embedded import Urls


class Place(Struct, frozen=True):
    """Nothing given: embedded servers under `data`."""

    data: Path
    database_url: str | None = None
    redis_url: str | None = None


PROGRAM = """
import sys
from pathlib import Path
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.embedded import run_servers
from tests.runtime.embedded_folders import Place

try:
    with run_servers(Place(Path(sys.argv[1]))):
        print("ready", flush=True)
        sys.stdin.read()
except OutreachError as error:
    sys.exit(str(error))
"""


@contextmanager
def another_program(data: Path, **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A program of its own has the servers of `data`, until its stdin closes or it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        **how,
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        if program.stdout.readline() != "ready\n":
            raise AssertionError(program.stderr.read())
        yield program


async def ask(urls: Urls, query: str) -> Any:
    """The first value of the answer."""
    connection = await asyncpg.connect(urls.database_url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def call(urls: Urls, *command: str) -> Any:
    """Redis's answer."""
    client = Redis.from_url(urls.redis_url, decode_responses=True)
    try:
        return await client.execute_command(*command)
    finally:
        await client.aclose()


async def leave_a_trace(urls: Urls) -> None:
    """One committed row and one key."""
    await ask(urls, "CREATE TABLE trace AS SELECT 7 AS n")
    await call(urls, "SET", "trace", "7")


async def traces(urls: Urls) -> tuple[int, str]:
    return await ask(urls, "SELECT n FROM trace"), await call(urls, "GET", "trace")
