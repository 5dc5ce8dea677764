"""An official account with encrypted callbacks, at a simulated WeChat where two follow it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from channels.carriers.weixin import APP_ID, APP_SECRET, TOKEN, Weixin
from channels.wechat.channel import WeChat
from channels.wechat.settings import WeChatSettings
from tests.channels.contract.rig import Kept, Rig, serve, until
from tests.channels.mms.conftest import MEANS

AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    weixin = Weixin(aes_key=AES_KEY)
    await weixin.start()
    settings = WeChatSettings(
        app_id=APP_ID,
        app_secret=APP_SECRET,
        token=TOKEN,
        aes_key=AES_KEY,
        hold_s=0.05,
        api_url=weixin.url,
        deadline_s=deadline_s,
        probe_s=0.05,
    )
    channel, kept = WeChat("wechat", settings, MEANS.media), Kept()
    server = await serve(channel)
    weixin.callback = str(server.make_url("/wechat"))
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")
    addresses = ("oLVPpjqs9BhvzwPj5A-vTYAX3GLc", "oLVPpjqs2BhvzwPj5A-vTYAX4GLc")
    for address in addresses:
        weixin.handset(address)

    def shown(address: str) -> Sequence[str]:
        return [it.text for it in weixin.handset(address).arrived if not it.picture]

    def pictures(address: str) -> Sequence[bytes]:
        return [it.picture.octets for it in weixin.handset(address).arrived if it.picture]

    async def say(address: str, words: str) -> None:
        weixin.handset(address).say(words)

    def refuse() -> None:
        weixin.faults.errcode = 45015

    def mute() -> None:
        weixin.faults.mute = True

    yield Rig(
        channel,
        kept,
        reachable=addresses,
        wrong="no body",
        shown=shown,
        say=say,
        cut=weixin.stop,
        refuse=refuse,
        mute=mute,
        pictures=pictures,
    )
    await channel.stop()
    await server.close()
    await weixin.stop()
