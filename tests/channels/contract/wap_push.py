"""WAP push over SMS: a simulated carrier whose handsets show what comes to port 2948."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from channels.base import Outgoing
from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms import status
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from channels.wap_push.channel import WapPush
from channels.wap_push.settings import WapPushSettings
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, Rig, until


class PushRig(Rig):
    """Every message has a link: without one there is nothing to push."""

    def message(self, message_id: int, text: str, address: str | None = None) -> Outgoing:
        content = Content(text=text, href="http://wap.example/start")
        return Outgoing(message_id, message_id, address or self.reachable[0], content)


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01, redeliver_after_s=0.2))
    await smsc.start()
    wishes = f"source=10086&deadline={deadline_s}&reconnect=0.05"
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?{wishes}"
    sms, kept = SmsChannel(SmppSettings.from_url(url)), Kept()
    settings = WapPushSettings()
    channel = WapPush("wap_push", settings, sms, lambda: datetime.now(UTC))
    await sms.start(kept.inbox)
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")

    def shown(address: str) -> Sequence[str]:
        return [arrived.text for arrived in smsc.handset(address).arrived if arrived.href]

    async def say(address: str, words: str) -> None:
        smsc.handset(address).say(words, "10086")

    def refuse() -> None:
        smsc.faults.reject = lambda number: status.INVALID_DESTINATION

    def mute() -> None:
        smsc.faults.drop_responses = 1.0

    yield PushRig(
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
    await sms.stop()
    await smsc.stop()
