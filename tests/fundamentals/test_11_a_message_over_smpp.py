"""11. A message goes out over the carrier's own protocol.

A channel turns messages into what its carrier speaks, and back; it knows nothing of journeys or
databases. Here it is SMS over SMPP 3.4, and the carrier is a simulated one that listens on a real
socket and has a telephone for every number. A failed send is not an exception but an outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest_asyncio

from channels.base import Inbox
from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms import status
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.core.delivery import Outgoing, Receipt, Reply
from orchestrator.core.model import Content

ANNS = "+8613800138000"


class Desk:
    """Where the channel hands in what comes from outside."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.receipts: list[Receipt] = []

    @property
    def inbox(self) -> Inbox:
        return Inbox(replies=self._take_replies, receipts=self._take_receipts)

    async def _take_replies(self, replies: Sequence[Reply]) -> None:
        self.replies += replies

    async def _take_receipts(self, receipts: Sequence[Receipt]) -> None:
        self.receipts += receipts


@pytest_asyncio.fixture
async def carrier() -> AsyncIterator[Smsc]:
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01))
    await smsc.start()
    yield smsc
    await smsc.stop()


@pytest_asyncio.fixture
async def desk() -> Desk:
    return Desk()


@pytest_asyncio.fixture
async def channel(carrier: Smsc, desk: Desk) -> AsyncIterator[SmsChannel]:
    url = f"smpp://outreach:secret@127.0.0.1:{carrier.port}?source=10086"
    sms = SmsChannel(SmppSettings.from_url(url))
    await sms.start(desk.inbox)
    await until(lambda: sms.health() == "up")
    yield sms
    await sms.stop()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)


async def test_it_arrives_and_a_receipt_says_so(
    channel: SmsChannel, carrier: Smsc, desk: Desk
) -> None:
    (outcome,) = await channel.send([Outgoing(1, 1, ANNS, Content(text="欢迎Ann！"))])
    assert outcome.result == "accepted", "the carrier has it"

    phone = carrier.handset(ANNS)
    await until(lambda: phone.arrived)
    assert (phone.arrived[0].text, phone.arrived[0].sender) == ("欢迎Ann！", "10086")

    await until(lambda: desk.receipts)
    assert desk.receipts[0].carrier_id == outcome.carrier_id
    assert desk.receipts[0].state == "delivered", "and now Ann has it"


async def test_a_long_text_is_several_parts_and_one_message(
    channel: SmsChannel, carrier: Smsc
) -> None:
    story = "Once upon a time there was a subscriber. " * 8
    (outcome,) = await channel.send([Outgoing(1, 1, ANNS, Content(text=story))])
    assert outcome.parts == 3
    phone = carrier.handset(ANNS)
    await until(lambda: phone.arrived)
    assert phone.arrived[0].text == story


async def test_a_refusal_is_a_value(channel: SmsChannel, carrier: Smsc) -> None:
    carrier.faults.reject = lambda number: status.INVALID_DESTINATION
    (outcome,) = await channel.send([Outgoing(1, 1, ANNS, Content(text="hello"))])
    assert (outcome.result, outcome.retry) == ("rejected", "never")
    assert outcome.code == "ESME_RINVDSTADR"


async def test_what_she_says_comes_in_once(channel: SmsChannel, carrier: Smsc, desk: Desk) -> None:
    carrier.handset(ANNS).say("points", to="10086")
    await until(lambda: desk.replies)
    (reply,) = desk.replies
    assert (reply.channel, reply.address, reply.text) == ("sms", ANNS, "points")
