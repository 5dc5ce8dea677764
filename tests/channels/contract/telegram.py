"""Telegram on a real server, its bot at a simulated Bot API where two people have opened it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp.test_utils import unused_port

from channels.carriers.bot_api import TOKEN, BotApiServer
from channels.telegram.channel import Telegram
from channels.telegram.settings import TelegramSettings
from tests.channels.contract.rig import Kept, Rig, serve, until
from tests.channels.mms.conftest import MEANS


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    api = BotApiServer()
    await api.start()
    port = unused_port()
    settings = TelegramSettings(
        token=TOKEN,
        api_url=api.url,
        public_url=f"http://127.0.0.1:{port}",
        gap_s=0,
        rate_per_s=1000,
        deadline_s=deadline_s,
        probe_s=0.05,
    )
    channel, kept = Telegram("telegram", settings, "a-secret-token", MEANS.media), Kept()
    server = await serve(channel, port)
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")
    addresses = ("4200001", "4200002")
    for address in addresses:
        api.handset(address)

    def shown(address: str) -> Sequence[str]:
        return [arrived.text for arrived in api.handset(address).arrived]

    def pictures(address: str) -> Sequence[bytes]:
        return [it.picture.octets for it in api.handset(address).arrived if it.picture]

    async def say(address: str, words: str) -> None:
        api.handset(address).say(words)

    def refuse() -> None:
        api.handset(addresses[0]).switch_off()

    def mute() -> None:
        api.faults.mute = True

    yield Rig(
        channel,
        kept,
        reachable=addresses,
        wrong="nobody",
        shown=shown,
        say=say,
        cut=api.stop,
        refuse=refuse,
        mute=mute,
        pictures=pictures,
    )
    await channel.stop()
    await server.close()
    await api.stop()
