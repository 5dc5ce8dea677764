"""A web chat on a real server at a free loopback port, with an inbox that keeps ids once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from channels.base import Inbox, Outgoing, Receipt, Reply
from channels.webchat import Line, WebChat
from channels.webchat.channel import COOKIE
from channels.webchat.link import mint
from orchestrator.core.model import Button, Content
from tests.channels.contract.rig import serve

SECRET = b"a secret of sixteen octets or more"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Kept:
    """An inbox in memory that stores a source id once; `broken` makes it fail."""

    def __init__(self) -> None:
        self.by_source: dict[str, Reply] = {}
        self.receipts: list[Receipt] = []
        self.broken = False

    async def take_replies(self, replies: Sequence[Reply]) -> None:
        if self.broken:
            raise RuntimeError("the database is away: +8613800138000")
        for reply in replies:
            self.by_source.setdefault(reply.source_id, reply)

    async def take_receipts(self, receipts: Sequence[Receipt]) -> None:
        self.receipts.extend(receipts)

    @property
    def texts(self) -> list[str]:
        return [it.text for it in self.by_source.values()]


class Chat:
    """The channel, its inbox, the server it is mounted on, and what the history holds."""

    def __init__(self) -> None:
        self.kept = Kept()
        self.lines: list[Line] = []
        self.channel = WebChat(SECRET, self.history, now=self.now)
        self.ticks = 0

    def now(self) -> datetime:
        self.ticks += 1
        return START + timedelta(seconds=self.ticks)

    async def history(self, address: str, limit: int) -> list[Line]:
        assert limit <= 100
        return self.lines[-limit:]

    async def run(self) -> None:
        self.server = await serve(self.channel)
        await self.channel.start(Inbox(self.kept.take_replies, self.kept.take_receipts))

    async def end(self) -> None:
        await self.channel.stop()
        await self.server.close()

    @asynccontextmanager
    async def page(self, address: str, **options: Any) -> AsyncIterator[Page]:
        """An open page of `address`, its history read."""
        cookies = {COOKIE: mint(address, SECRET)}
        async with (
            aiohttp.ClientSession(cookies=cookies) as session,
            session.ws_connect(
                self.server.make_url("/chat/socket"), max_msg_size=0, **options
            ) as socket,
        ):
            page = Page(socket)
            page.history = (await page.hears("lines"))["lines"]
            yield page


class Page:
    """A browser without a screen."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.history: list[dict[str, Any]] = []

    async def says(self, text: str, id: str) -> None:
        await self.socket.send_json({"type": "say", "id": id, "text": text})

    async def hears(self, type: str) -> dict[str, Any]:
        """The next frame, which is of `type`."""
        frame = await self.socket.receive_json(timeout=30)
        assert frame["type"] == type, frame
        return dict(frame)


def outgoing(message_id: int, address: str, text: str, **more: Any) -> Outgoing:
    return Outgoing(message_id, message_id, address, Content(text, **more))


BUTTONS = (Button("我的积分", "/points"), Button("Redeem", "/redeem"))


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    chat = Chat()
    await chat.run()
    yield chat
    await chat.end()
