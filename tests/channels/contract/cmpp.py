"""SMS over CMPP 3.0, logged in to a simulated gateway with a handset for every number."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from channels.carriers.cmpp import CmppExchange
from channels.carriers.exchange import ExchangeSettings
from channels.cmpp import status
from channels.cmpp.channel import CmppChannel
from channels.cmpp.settings import CmppSettings
from tests.channels.contract.rig import Kept, Rig, until


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    exchange = CmppExchange(ExchangeSettings(receipt_delay_s=0.01, redeliver_after_s=0.2))
    await exchange.start()
    settings = CmppSettings(
        host="127.0.0.1",
        port=exchange.port,
        sp_id="900001",
        secret="888888",
        source="10086",
        deadline_s=0.5,
        reconnect_s=0.05,
    )
    channel, kept = CmppChannel("sms", settings), Kept()
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")

    def shown(address: str) -> Sequence[str]:
        return [arrived.text for arrived in exchange.handset(address).arrived]

    async def say(address: str, words: str) -> None:
        exchange.handset(address).say(words, "10086")

    def refuse() -> None:
        exchange.faults.reject = lambda number: status.WRONG_PHONE

    def mute() -> None:
        exchange.faults.drop_responses = 1.0

    yield Rig(
        channel,
        kept,
        reachable=("+8613800138000", "+8613800138001"),
        wrong="nobody",
        shown=shown,
        say=say,
        cut=exchange.stop,
        refuse=refuse,
        mute=mute,
    )
    await channel.stop()
    await exchange.stop()
