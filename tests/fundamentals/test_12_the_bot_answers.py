"""12. Everything together: Ann writes, and is answered.

Her phone says a word; the carrier brings it over SMPP; it is stored before the carrier hears that
we have it; the bot answers in a turn like any other; the answer is a message like any other, and
arrives on her phone. The whole way is real but for the phone and the carrier.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.carriers.handset import Handset
from channels.carriers.smsc import Smsc
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.gateway import holding
from tests.fundamentals.campaign import ANN
from tests.fundamentals.office import moved_in, one
from tests.fundamentals.test_11_a_message_over_smpp import until

CONSENT = "SELECT consents -> 'everything' ->> 'granted' FROM subscribers"


@asynccontextmanager
async def anns_phone(database_url: str, redis_url: str) -> AsyncIterator[tuple[Handset, Context]]:
    carrier = Smsc()
    await carrier.start()
    url = f"smpp://outreach:secret@127.0.0.1:{carrier.port}?source=10086"
    sms = SmsChannel(SmppSettings.from_url(url))
    try:
        async with open_context(database_url, redis_url, secret=b"tour", clock=Clock()) as office:
            await moved_in(office)
            async with holding(office, [sms]):
                await until(lambda: sms.health() == "up")
                yield carrier.handset(ANN.addresses["sms"]), office
    finally:
        await carrier.stop()


async def test_she_asks_for_her_points(database_url: str, redis_url: str) -> None:
    async with anns_phone(database_url, redis_url) as (phone, _):
        phone.say("Points?", to="10086")
        await until(lambda: phone.arrived)
        assert phone.arrived[0].text == "You have 0 points."


async def test_she_says_stop_and_that_holds_at_once(database_url: str, redis_url: str) -> None:
    """An opt-out is committed before it is acknowledged, whatever else is going on."""
    async with anns_phone(database_url, redis_url) as (phone, office):
        phone.say("STOP", to="10086")
        await until(lambda: phone.arrived)
        assert phone.arrived[0].text == "You will not hear from us again."
        assert await one(office, CONSENT) == ("false",)
