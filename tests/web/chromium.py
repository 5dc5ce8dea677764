"""A real browser without a screen, spoken to over its debugging protocol."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


class Page:
    """An open page. `complaints` are what the browser logged: errors, broken policies."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        """The answer to one call of the protocol."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            told = await self._socket.receive_json()
            if told.get("id") == number:
                return told["result"]
            if told.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(str(told["params"]))

    async def value(self, expression: str) -> Any:
        """What the expression gives in the page."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """The expression has become true in the page."""
        async with asyncio.timeout(30):
            while not await self.value(expression):  # noqa: ASYNC110 - the page tells nobody
                await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(url: str, language: str = "en") -> AsyncIterator[Page]:
    """The page at this address, in a browser of its own."""
    assert CHROMIUM is not None
    # Its processes may write a little longer than it lives.
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *(f"--lang={language}", f"--accept-lang={language}", f"--user-data-dir={profile}"),
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    tabs = await answer.json()
                address = next(it["webSocketDebuggerUrl"] for it in tabs if it["type"] == "page")
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    page = Page(socket)
                    for domain in ("Log", "Runtime", "Page"):
                        await page.call(f"{domain}.enable")
                    await page.call("Page.navigate", url=url)
                    yield page
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _port(written: Path) -> int:
    """The port that the browser took, once it has said so."""
    async with asyncio.timeout(30):
        while not (written.is_file() and written.read_text().count("\n")):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.05)
    return int(written.read_text().split("\n")[0])  # noqa: ASYNC240
