"""A channel at a simulated gateway, with a web process of our own that the gateway calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import unused_port

from channels.base import Means, Outgoing
from channels.carriers.ppg import Ppg
from channels.carriers.smsc import Smsc
from channels.pap.channel import PapChannel
from channels.pap.settings import PapSettings
from orchestrator.core.delivery import Spoken
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, serve

NUMBER = "+8613800138000"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def no_history(channel: str, address: str, limit: int) -> Sequence[Spoken]:
    return []


class Bench:
    """The channel, the gateway, its phones, what was handed in, and a clock that goes on with each
    look at it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.ticks = 0
        self.kept = Kept()
        self.network = Smsc(now=lambda: START)
        self.ppg = Ppg(self.network)
        self.port = unused_port()
        self._settings = settings

    def now(self) -> datetime:
        self.ticks += 1
        return START + timedelta(seconds=self.ticks)

    async def start(self) -> None:
        await self.ppg.start()
        wishes = {
            "url": self.ppg.url,
            "username": "outreach",
            "password": "secret",
            "public_url": f"http://127.0.0.1:{self.port}",
            "deadline_s": 60.0,
            **self._settings,
        }
        means = Means(b"0123456789abcdef", self.now, no_history)
        self.channel = PapChannel("wap_push", PapSettings(**wishes), means)
        self.server = await serve(self.channel, self.port)
        await self.channel.start(self.kept.inbox)

    async def stop(self) -> None:
        await self.channel.stop()
        await self.server.close()
        await self.ppg.stop()

    def message(self, number: int, text: str = "Hi", **said: Any) -> Outgoing:
        href = said.pop("href", "http://wap.example/start?a=1&b=2")
        content = Content(text=text, href=href, action=said.pop("action", ""))
        return Outgoing(number, 1, said.pop("address", NUMBER), content, **said)

    def shown(self, number: str = NUMBER) -> list[tuple[str, str]]:
        return [(it.text, it.href) for it in self.network.handset(number).arrived]


@asynccontextmanager
async def benched(**settings: Any) -> AsyncIterator[Bench]:
    bench = Bench(settings)
    await bench.start()
    try:
        yield bench
    finally:
        await bench.stop()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with benched() as made:
        yield made
