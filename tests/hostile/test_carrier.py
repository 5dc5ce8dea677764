"""A carrier, or somebody who pretends to be one, that says what no carrier should. Each case was
found by the fuzzers of this folder or beside them."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from contextlib import suppress

import pytest

from channels.carriers.smsc import Smsc
from channels.sms import codec, pdu, receipt, status
from channels.sms.arrivals import Arrivals
from channels.sms.channel import SmsChannel
from channels.sms.reassembly import Reassembly, unwrap
from channels.sms.receipt import ReceiptIds
from channels.sms.settings import SmppSettings
from channels.sms.wire import MOST_UNREAD_OCTETS
from tests.channels.contract.rig import Kept, until
from tests.channels.sms.conftest import CALLED, Far, bound, carrier, message, smsc
from tests.hostile.seeds import mutated
from tests.timely import timely

__all__ = ["smsc"]  # a fixture

DELIVER, DELIVER_RESP = pdu.DeliverSm.command_id, pdu.DeliverSmResp.command_id


@pytest.mark.parametrize("mode", ["auto", "same", "dec", "hex"])
@pytest.mark.parametrize("digit", ["f", "9", "a", "0"])
def test_an_id_of_thousands_of_digits_is_an_id(mode: str, digit: str) -> None:
    words = f"id:{digit * 5000} stat:DELIVRD"
    read = receipt.read(pdu.DeliverSm(esm_class=4, short_message=words.encode()))
    assert read is not None
    assert len(ReceiptIds(mode).receipted(read)) < 400  # type: ignore[arg-type]


def test_what_a_receipt_says_is_short_and_without_nul() -> None:
    read = receipt.read(
        pdu.DeliverSm(
            esm_class=4,
            short_message=b"id:1 stat:DELIVRD" + b"D" * 5000 + b" err:" + b"x" * 5000,
            tlvs=((pdu.RECEIPTED_MESSAGE_ID, b"12\x0034\0"),),
        )
    )
    assert read is not None
    assert read.message_id == "12"
    assert len(read.code) < 50


async def test_a_response_with_an_endless_id_is_kept_in_part() -> None:
    async def play(far: Far) -> None:
        await far.bind()
        _, _, sequence, _ = await far.read()
        body = b"7" * 60_000 + b"\0"
        far.writer.write(struct.pack(">IIII", 16 + len(body), 0x80000004, 0, sequence) + body)
        await far.read()

    async with carrier(play) as port, bound(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
    assert outcome.result == "accepted"
    assert outcome.carrier_id == "7" * receipt.MAX_ID_CHARACTERS


@pytest.mark.parametrize("field", ["source_addr", "destination_addr"])
async def test_an_address_without_an_end_is_refused_and_not_stored(field: str) -> None:
    body = b"\0\1\1%b\0\0\1%b\0\0\0\0\0\0\0\0\0\0\1x"
    long, short = b"8" * 3000, b"10086"
    octets = body % ((long, short) if field == "source_addr" else (short, long))
    answers: list[tuple[int, int]] = []

    async def play(far: Far) -> None:
        await far.bind()
        far.writer.write(struct.pack(">IIII", 16 + len(octets), DELIVER, 0, 7) + octets)
        command_id, command_status, _, _ = await far.read()
        answers.append((command_id, command_status))
        await far.read()

    async with carrier(play) as port, bound(port) as (_, kept):
        await until(lambda: answers)
    assert answers == [(DELIVER_RESP, status.INVALID_SOURCE_ADDRESS if field == "source_addr"
                        else status.INVALID_DESTINATION)]  # fmt: skip
    assert kept.replies == []


def test_parts_longer_than_the_air_can_carry_are_not_waited_for() -> None:
    parts: Reassembly[int] = Reassembly()
    tracemalloc.start()
    for reference in range(200):
        for number in (1, 2):
            payload = b"\5\0\3%c\xff%c" % (reference, number) + bytes(60_000)
            tlvs = ((pdu.MESSAGE_PAYLOAD, payload),)
            fragment, coding, octets = unwrap(pdu.DeliverSm(esm_class=0x40, tlvs=tlvs))
            if fragment is not None:
                parts.add(pdu.DeliverSm(), fragment, coding, octets, 0, 0.0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000


def test_the_same_words_a_hundred_thousand_times_stay_quick_and_small() -> None:
    def said() -> int:
        arrivals = Arrivals()
        names = {
            arrivals.name("+86138", "10086", "1", carrier_id=b"", came_by=None, now=0.0).source_id
            for _ in range(20_000)
        }
        return len(names)

    assert timely(2.0, said) == 20_000


async def test_a_caller_who_has_not_named_the_password_brings_nothing() -> None:
    forged = codec.message_body(b"\1\1861380\0", b"\0\x0110086\0", 0, 0, 0, b"STOP")

    async def play(far: Far) -> None:
        await far.bind()
        await far.read()

    async with carrier(play) as port, bound(port, CALLED) as (channel, kept):
        reader, writer = await asyncio.open_connection("127.0.0.1", channel.outbind_port)
        writer.write(struct.pack(">IIII", 16 + len(forged), DELIVER, 0, 9) + forged)
        _, command_id, command_status, _ = codec.HEADER.unpack(await reader.readexactly(16))
        writer.close()
        assert (command_id, command_status) == (DELIVER_RESP, status.INCORRECT_BIND_STATUS)
        assert kept.replies == []


async def test_a_carrier_that_asks_and_never_reads_is_hung_up_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    questions = struct.pack(">IIII", 16, pdu.EnquireLink.command_id, 0, 1) * 65_536
    sent, binds = 0, 0

    async def play(far: Far) -> None:
        nonlocal sent, binds
        await far.bind()
        binds += 1
        while binds == 1 and sent < 400 * len(questions):
            far.writer.write(questions)
            await far.writer.drain()
            sent += len(questions)

    async with carrier(play) as port:
        url = f"smpp://outreach:secret@127.0.0.1:{port}?source=10086&reconnect=60"
        channel = SmsChannel(SmppSettings.from_url(url))
        await channel.start(Kept().inbox)
        await until(lambda: "smpp_unread" in caplog.text)
        await channel.stop()
    assert 0 < sent < MOST_UNREAD_OCTETS + 30_000_000


async def test_a_carrier_serves_its_customers_while_others_talk_nonsense(smsc: Smsc) -> None:
    async def rude(octets: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", smsc.port)
        with suppress(ConnectionError):
            writer.write(octets)
            writer.write_eof()
            async with asyncio.timeout(20):
                while await reader.read(65_536):
                    pass
        writer.close()

    async with bound(smsc.port) as (channel, _):
        for number, octets in enumerate(mutated("customers", 200, seed=3)):
            await rude(octets)
            if number % 20 == 0:
                [outcome] = await channel.send([message(number)])
                assert outcome.result == "accepted"
        assert channel.health() == "up"


async def test_a_channel_carries_on_after_whatever_ended_its_connections() -> None:
    """On one connection each; whatever ends it, the next is bound and sends."""
    odd = iter([*mutated("customers", 40, seed=4)])
    binds = 0

    async def play(far: Far) -> None:
        nonlocal binds
        await far.bind()
        binds += 1
        if (octets := next(odd, None)) is not None:
            far.writer.write(octets)
            far.writer.write_eof()
            await far.reader.read()
            return
        while True:
            command_id, _, sequence, _ = await far.read()
            far.writer.write(codec.response(command_id, sequence))

    async with carrier(play) as port, bound(port, "&reconnect_max=0.05") as (channel, _):
        await until(lambda: binds == 41 and channel.health() == "up", within_s=60)
        [outcome] = await channel.send([message(1)])
        assert outcome.result == "accepted"
