"""A channel bound to a simulated carrier, and the two ends of a bare socket for odd carriers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms import codec, pdu
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.core.delivery import Outgoing
from orchestrator.core.model import Content
from tests.channels.bare import listening
from tests.channels.contract.rig import Kept, until

NUMBER = "+8613800138000"
CALLED = "&bind=transmitter&outbind_host=127.0.0.1&outbind_port=0&outbind_password=knock"
"""Options of an account whose carrier may call us."""


def message(message_id: int, text: str = "hello", address: str = NUMBER) -> Outgoing:
    return Outgoing(message_id, message_id, address, Content(text=text))


@asynccontextmanager
async def bound(
    port: int, options: str = "", deadline_s: float = 60.0
) -> AsyncIterator[tuple[SmsChannel, Kept]]:
    """A channel that is up, and its inbox."""
    wishes = f"source=10086&reconnect=0.05&deadline={deadline_s}{options}"
    url = f"smpp://outreach:secret@127.0.0.1:{port}?{wishes}"
    channel, kept = SmsChannel(SmppSettings.from_url(url)), Kept()
    await channel.start(kept.inbox)
    try:
        await until(lambda: channel.health() == "up")
        yield channel, kept
    finally:
        await channel.stop()


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    """A simulated carrier that is quick about everything."""
    made = Smsc(SmscSettings(receipt_delay_s=0.01, redeliver_after_s=0.2))
    await made.start()
    yield made
    await made.stop()


class Far:
    """A carrier's end of a bare connection, to say odd things by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read(self) -> tuple[int, int, int, bytes]:
        """The next PDU: command_id, status, sequence, body."""
        header = await self.reader.readexactly(16)
        length, command_id, command_status, sequence = codec.HEADER.unpack(header)
        return command_id, command_status, sequence, await self.reader.readexactly(length - 16)

    async def bind(self) -> None:
        """The bind is read and accepted."""
        command_id, _, sequence, _ = await self.read()
        self.writer.write(codec.encode(pdu.PDUS[command_id | pdu.RESPONSE](), sequence))


def carrier(play: Callable[[Far], Awaitable[None]]) -> AbstractAsyncContextManager[int]:
    """A listening port; `play` is the carrier's part on each connection, then it hangs up."""
    return listening(lambda reader, writer: play(Far(reader, writer)))
