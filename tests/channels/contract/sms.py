"""The SMS channel, bound to a simulated carrier with a handset for every number."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms import status
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from tests.channels.contract.rig import Kept, Rig, until


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01, redeliver_after_s=0.2))
    await smsc.start()
    wishes = f"source=10086&deadline={deadline_s}&reconnect=0.05"
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?{wishes}"
    channel, kept = SmsChannel(SmppSettings.from_url(url)), Kept()
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")

    def shown(address: str) -> Sequence[str]:
        return [arrived.text for arrived in smsc.handset(address).arrived]

    async def say(address: str, words: str) -> None:
        smsc.handset(address).say(words, "10086")

    def refuse() -> None:
        smsc.faults.reject = lambda number: status.INVALID_DESTINATION

    def mute() -> None:
        smsc.faults.drop_responses = 1.0

    yield Rig(
        channel,
        kept,
        reachable=("+8613800138000", "+8613800138001"),
        wrong="nobody",
        shown=shown,
        say=say,
        cut=smsc.stop,
        refuse=refuse,
        mute=mute,
    )
    await channel.stop()
    await smsc.stop()
