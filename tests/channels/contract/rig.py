"""What a channel's case table gives to the contract suite.

Each channel folder with a `channel.py` has a module of its name here, with
`rig(deadline_s) -> AsyncContextManager[Rig]`: the real channel, connected to a real far end, whose
answers may take that long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.base import Called, Channel, Inbox, Late, Outgoing, Presence, Receipt, Reply
from orchestrator.core.model import Content


class Kept:
    """An inbox that keeps everything; `broken` makes it fail, as a store without its database."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.receipts: list[Receipt] = []
        self.late: list[Late] = []
        self.presence: list[Presence] = []
        self.refused = 0
        self.broken = False

    @property
    def inbox(self) -> Inbox:
        return Inbox(
            replies=self._take_replies,
            receipts=self._take_receipts,
            late=self._take_late,
            presence=self._take_presence,
        )

    async def _take_replies(self, replies: Sequence[Reply]) -> None:
        self._take(self.replies, replies)

    async def _take_receipts(self, receipts: Sequence[Receipt]) -> None:
        self._take(self.receipts, receipts)

    async def _take_late(self, late: Sequence[Late]) -> None:
        self._take(self.late, late)

    async def _take_presence(self, told: Sequence[Presence]) -> None:
        self._take(self.presence, told)

    def _take(self, kept: list[Any], items: Sequence[Any]) -> None:
        if self.broken:
            self.refused += len(items)
            raise RuntimeError("the store is away")
        kept.extend(items)


class Rig:
    """One channel, started, with its far end.

    `reachable` are two addresses of subscribers, `wrong` one that nobody can have. `shown` tells
    what a subscriber's device shows, `say` makes a subscriber write. `pictures` gives the octets
    of those that it shows, for a channel that brings any. The faults are None where a channel
    cannot have them: `cut` ends the connection for good, `refuse` makes the far end refuse
    everything, `mute` makes it answer nothing.
    """

    def __init__(
        self,
        channel: Channel,
        kept: Kept,
        *,
        reachable: tuple[str, str],
        wrong: str,
        shown: Callable[[str], Sequence[str]],
        say: Callable[[str, str], Awaitable[None]],
        cut: Callable[[], Awaitable[None]] | None = None,
        refuse: Callable[[], None] | None = None,
        mute: Callable[[], None] | None = None,
        pictures: Callable[[str], Sequence[bytes]] | None = None,
    ) -> None:
        self.channel = channel
        self.kept = kept
        self.reachable = reachable
        self.wrong = wrong
        self.shown = shown
        self.say = say
        self.cut = cut
        self.refuse = refuse
        self.mute = mute
        self.pictures = pictures

    def message(self, message_id: int, text: str, address: str | None = None) -> Outgoing:
        return Outgoing(message_id, message_id, address or self.reachable[0], Content(text=text))


async def serve(channel: Called, port: int | None = None) -> TestServer:
    """Whoever calls the channel is answered, as by a web process, until the server is closed."""
    application = web.Application()
    application.add_routes(channel.routes())
    server = TestServer(application, port=port)
    await server.start_server()
    return server


async def until(true: Callable[[], object], within_s: float = 30.0) -> None:
    """Returns once it is true; fails the test if that takes too long."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 — what is waited for has no event of its own
            await asyncio.sleep(0.005)
