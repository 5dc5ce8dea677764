"""A third party's program in Node, and what it says line by line."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
INSTALL = "npm ci --prefix tests/peers"


def require_packages(package: str = "smpp") -> None:
    """Node and this of the pinned packages are there, or the test fails with the command that gets
    them."""
    if shutil.which("node") is None:
        pytest.fail("the peer tests need Node 20 or later on the PATH")
    if not (HERE / "node_modules" / package / "package.json").is_file():
        pytest.fail(f"the peers are not installed: run `{INSTALL}`")


class Peer:
    """A running program. `told` holds every line so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[dict[str, Any]] = []

    def tell(self, **line: Any) -> None:
        """The program gets one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")

    async def next(self, saw: str) -> dict[str, Any]:
        """The next line about this; lines about other things are kept in `told`."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while True:
                line = await self._process.stdout.readline()
                assert line, f"the peer ended before it saw {saw}"
                told: dict[str, Any] = json.loads(line)
                self.told.append(told)
                if told["saw"] == saw:
                    return told


@asynccontextmanager
async def peer(script: str, *arguments: str) -> AsyncIterator[Peer]:
    """The program runs; it ends when its input does."""
    require_packages()
    process = await asyncio.create_subprocess_exec(
        "node",
        str(HERE / script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Peer(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.communicate(), 5)
        except TimeoutError:
            process.kill()
            await process.communicate()
