"""Our channel and our carrier against PyPI `smpp34`, an SMPP stack in Rust."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import smpp34

from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.core.delivery import Outgoing
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until

NUMBER = "+8613800138000"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def bound() -> AsyncIterator[tuple[SmsChannel, Kept, smpp34.Server, smpp34.Esme]]:
    """Our channel, up, at their server, and the session as they see it."""
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="rust")
    await server.start()
    url = f"smpp://outreach:secret@127.0.0.1:{port}?source=10086&deadline=5&reconnect=0.05"
    channel, kept = SmsChannel(SmppSettings.from_url(url)), Kept()
    await channel.start(kept.inbox)
    try:
        async with asyncio.timeout(10):
            session = await server.next()
        assert isinstance(session, smpp34.Esme)
        await until(lambda: channel.health() == "up")
        yield channel, kept, server, session
    finally:
        await channel.stop()
        await server.stop()


async def test_their_server_takes_and_refuses_what_we_send() -> None:
    async with bound() as (channel, _, server, _session):
        batch = [
            Outgoing(1, 1, NUMBER, Content(text="您好 😀")),
            Outgoing(2, 2, "+8613800138001", Content(text="Hello {€}")),
        ]
        sending = asyncio.create_task(channel.send(batch))
        events = [await server.next(), await server.next()]
        # Their server hands events out in any order.
        first, second = sorted(
            (event for event in events if isinstance(event, smpp34.SubmitSmEvent)),
            key=lambda event: event.destination_addr,
        )
        assert first.short_message.decode("utf-16-be") == "您好 😀"
        assert (first.data_coding, first.destination_addr) == (8, "8613800138000")
        assert second.short_message == b"Hello \x1b(\x1be\x1b)"
        assert (second.source_addr, second.registered_delivery) == ("10086", 1)
        second.reject(0x0B)
        first.accept("rust-1")
        one, two = sorted(await sending, key=lambda outcome: outcome.message_id)
        assert (one.result, one.carrier_id) == ("accepted", "rust-1")
        assert (two.result, two.code) == ("rejected", "ESME_RINVDSTADR")


async def test_their_server_brings_texts_and_receipts() -> None:
    async with bound() as (_, kept, _server, session):
        answer = await session.deliver_sm(
            "10086", "退订".encode("utf-16-be"), source_addr="8613800138000", data_coding=8
        )
        assert answer.is_success
        assert (kept.replies[0].text, kept.replies[0].address) == ("退订", NUMBER)
        answer = await session.deliver_sm(
            "10086",
            b"id:rust-1 sub:001 dlvrd:000 stat:UNDELIV err:027",
            source_addr="8613800138000",
            esm_class=4,
        )
        assert answer.is_success
        assert (kept.receipts[0].carrier_id, kept.receipts[0].code) == ("rust-1", "UNDELIV/027")
        kept.broken = True
        answer = await session.deliver_sm("10086", b"TD", source_addr="8613800138000")
        assert answer.command_status == 0x64


async def test_their_client_sends_through_our_carrier_and_hears_from_it() -> None:
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01))
    await smsc.start()
    client = smpp34.Client("127.0.0.1", smsc.port, "outreach", "secret", bind_type="TRX")
    session = await client.connect()
    taken = await session.submit_sm(
        "8613800138000", b"hello", source_addr="10086", registered_delivery=1, dest_addr_ton=1
    )
    assert taken.is_success
    async with asyncio.timeout(30):
        receipt = await session.next()
    assert isinstance(receipt, smpp34.DeliverSmEvent)
    assert receipt.esm_class == 4
    assert taken.message_id is not None
    assert taken.message_id.encode() in receipt.short_message
    said = smsc.handset(NUMBER).say("1", "10086")
    async with asyncio.timeout(30):
        heard = await session.next()
    assert isinstance(heard, smpp34.DeliverSmEvent)
    assert heard.short_message == b"1"
    await until(lambda: said.acknowledged_at)
    await session.unbind()
    await client.stop()
    await smsc.stop()
