"""The HTTP channel on a real server, with an aggregator that calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp.test_utils import unused_port

from channels.base import Means
from channels.http.channel import HttpChannel
from channels.http.settings import HttpSettings
from orchestrator.core.delivery import Spoken
from tests.channels.contract.rig import Kept, serve
from tests.channels.http.aggregator import ACCOUNT, TOKEN, Aggregator

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def none_spoken(channel: str, address: str, limit: int) -> list[Spoken]:
    return []


MEANS = Means(b"a secret of sixteen octets or more", lambda: NOW, none_spoken)


def settings(**values: Any) -> HttpSettings:
    return msgspec.convert(values, HttpSettings, strict=False)


@asynccontextmanager
async def mounted(
    channel_settings: Any, port: int, name: str = "sms"
) -> AsyncIterator[tuple[HttpChannel, Kept]]:
    """The channel, started, and its routes answered on this port of loopback."""
    channel, kept = HttpChannel(name, channel_settings, MEANS), Kept()
    server = await serve(channel, port)
    await channel.start(kept.inbox)
    try:
        yield channel, kept
    finally:
        await channel.stop()
        await server.close()


@asynccontextmanager
async def twilio_like(**more: Any) -> AsyncIterator[tuple[HttpChannel, Kept, Aggregator]]:
    """The channel with the preset `twilio`, and its aggregator."""
    aggregator = Aggregator()
    base, port = await aggregator.start(), unused_port()
    site = f"http://127.0.0.1:{port}"
    aggregator.replies_url = f"{site}/callbacks/sms/replies"
    made = settings(
        preset="twilio",
        values={"account": ACCOUNT, "token": TOKEN, "base": base},
        sender="+18005551212",
        public_url=site,
        **more,
    )
    async with mounted(made, port) as (channel, kept):
        yield channel, kept, aggregator
    await aggregator.stop()
