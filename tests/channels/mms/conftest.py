"""A channel at a simulated MMS centre, with a web process of our own that the centre calls."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from aiohttp.test_utils import unused_port
from PIL import Image

from channels.base import Means, Media, MediaError, Outgoing
from channels.carriers.handset import Arrived
from channels.carriers.mmsc import Mmsc, MmscSettings
from channels.carriers.smsc import Smsc
from channels.mms.channel import MmsChannel
from channels.mms.settings import MmsSettings
from orchestrator.core.delivery import Spoken
from orchestrator.core.media import Picture
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, serve

NUMBER = "+8613800138000"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def no_history(channel: str, address: str, limit: int) -> Sequence[Spoken]:
    return []


def media(
    width: int, height: int, form: str = "PNG", *, noise: int = 1, mode: str = "RGB"
) -> Media:
    """A picture of blocks of `noise` pixels, the same every time."""
    chance = random.Random(width)
    small = Image.frombytes(
        mode,
        (max(1, width // noise), max(1, height // noise)),
        chance.randbytes(
            max(1, width // noise) * max(1, height // noise) * (4 if mode == "RGBA" else 3)
        ),
    )
    octets = BytesIO()
    small.resize((width, height)).save(octets, form)
    raw = octets.getvalue()
    mimes: dict[str, Any] = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif"}
    return Media(Picture(sha256(raw).hexdigest(), mimes[form], width, height, len(raw)), raw)


PICTURES = {
    "hello/small.png": media(64, 48, noise=8),
    "hello/photo.jpg": media(1600, 1200, "JPEG", noise=4),
}


async def pictures(name: str) -> Media:
    if name not in PICTURES:
        raise MediaError("there is no picture of this name")
    return PICTURES[name]


MEANS = Means(b"0123456789abcdef", lambda: START, no_history, media=pictures)


class Bench:
    """The channel, the centre, its phones, and what was handed in."""

    def __init__(self, settings: dict[str, Any], centre: MmscSettings) -> None:
        self.kept = Kept()
        self.network = Smsc(now=lambda: START)
        self.mmsc = Mmsc(self.network, centre)
        self.port = unused_port()
        self._settings = settings

    async def start(self) -> None:
        await self.mmsc.start()
        wishes = {
            "url": self.mmsc.url,
            "username": "outreach",
            "password": "secret",
            "vasp_id": "outreach",
            "vas_id": "news",
            "sender": "10086",
            "public_url": f"http://127.0.0.1:{self.port}",
            "deadline_s": 60.0,
            **self._settings,
        }
        self.channel = MmsChannel("mms", MmsSettings(**wishes), MEANS)
        self.server = await serve(self.channel, self.port)
        await self.channel.start(self.kept.inbox)
        self.mmsc.callback = self.channel.callbacks().get("reports and replies", "")

    async def stop(self) -> None:
        await self.channel.stop()
        await self.mmsc.stop()  # before whom it calls: it would wait for an answer
        await self.server.close()

    def message(self, number: int, text: str = "Hi", **said: Any) -> Outgoing:
        content = Content(
            text=text, subject=said.pop("subject", ""), image=said.pop("image", "hello/small.png")
        )
        return Outgoing(number, 1, said.pop("address", NUMBER), content, **said)

    def shown(self, number: str = NUMBER) -> list[Arrived]:
        return list(self.network.handset(number).arrived)


@asynccontextmanager
async def benched(
    centre: MmscSettings = MmscSettings(),  # noqa: B008 — frozen
    **settings: Any,
) -> AsyncIterator[Bench]:
    bench = Bench(settings, centre)
    await bench.start()
    try:
        yield bench
    finally:
        await bench.stop()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with benched() as made:
        yield made
