"""Web chat on a real server, with visitors who follow their personal links."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from channels.carriers.visitors import Visitors
from channels.webchat import Line, WebChat
from tests.channels.contract.rig import Kept, Rig, serve, until
from tests.channels.mms.conftest import MEANS


async def no_history(address: str, limit: int) -> list[Line]:
    return []


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    secret, kept = b"a secret of sixteen octets or more", Kept()
    channel = WebChat(secret, no_history, media=MEANS.media)
    server = await serve(channel)
    await channel.start(kept.inbox)
    visitors = Visitors(str(server.make_url("/")), channel.link)
    addresses = ("ann", "web-2f6c")
    for address in addresses:
        visitors.handset(address)
    await until(lambda: set(channel.connected) == set(addresses))

    def shown(address: str) -> Sequence[str]:
        return [arrived.text for arrived in visitors.handset(address).arrived]

    def pictures(address: str) -> Sequence[bytes]:
        return [it.picture.octets for it in visitors.handset(address).arrived if it.picture]

    async def say(address: str, words: str) -> None:
        visitors.handset(address).say(words)

    yield Rig(
        channel, kept, reachable=addresses, wrong="no body", shown=shown, say=say, pictures=pictures
    )
    await visitors.stop()
    await channel.stop()
    await server.close()
