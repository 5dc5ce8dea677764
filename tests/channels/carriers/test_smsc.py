"""The simulated carrier, spoken to by hand: what it takes, what it refuses, how it misbehaves."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from channels.carriers.handset import answering
from channels.carriers.smsc import Change, Smsc, SmscSettings
from channels.sms import codec, pdu, status
from tests.channels.contract.rig import until

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Esme:
    """A customer's end, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sequence = 0

    async def read(self) -> tuple[int, int, int, bytes]:
        async with asyncio.timeout(30):
            header = await self.reader.readexactly(16)
            length, command_id, command_status, sequence = codec.HEADER.unpack(header)
            return command_id, command_status, sequence, await self.reader.readexactly(length - 16)

    async def ask(self, request: pdu.Pdu) -> tuple[int, pdu.Pdu]:
        """The response's status and value; anything else that comes first is dropped."""
        self.sequence += 1
        self.writer.write(codec.encode(request, self.sequence))
        while True:
            command_id, command_status, sequence, body = await self.read()
            if command_id & pdu.RESPONSE and sequence == self.sequence:
                return command_status, codec.decode(command_id, body)

    async def next(self) -> tuple[int, pdu.DeliverSm]:
        """The next deliver_sm and its sequence number."""
        while True:
            command_id, _, sequence, body = await self.read()
            if command_id == pdu.DeliverSm.command_id:
                return sequence, codec.decode_message(pdu.DeliverSm, body)


@asynccontextmanager
async def esme(smsc: Smsc, *, bind: bool = True) -> AsyncIterator[Esme]:
    reader, writer = await asyncio.open_connection("127.0.0.1", smsc.port)
    made = Esme(reader, writer)
    try:
        if bind:
            assert (await made.ask(pdu.BindTransceiver("outreach", "secret")))[0] == status.OK
        yield made
    finally:
        writer.close()


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    made = Smsc(
        SmscSettings(receipt_delay_s=0.05, redeliver_after_s=0.2, deliver_window=2),
        now=lambda: NOON,
    )
    await made.start()
    yield made
    await made.stop()


def submit(words: bytes = b"hello", number: str = "8613800138000") -> pdu.SubmitSm:
    return pdu.SubmitSm(
        source_addr="10086",
        dest_addr_ton=1,
        destination_addr=number,
        registered_delivery=1,
        short_message=words,
    )


@pytest.mark.parametrize(
    ("system_id", "password", "refusal"),
    [
        ("nobody", "secret", status.INVALID_SYSTEM_ID),
        ("outreach", "wrong", status.INVALID_PASSWORD),
        ("outreach", "", status.INVALID_PASSWORD),
    ],
)
async def test_a_bind_needs_the_right_name_and_password(
    smsc: Smsc, system_id: str, password: str, refusal: int
) -> None:
    async with esme(smsc, bind=False) as customer:
        assert (await customer.ask(pdu.BindTransmitter(system_id, password)))[0] == refusal
        assert (await customer.ask(submit()))[0] == status.INCORRECT_BIND_STATUS
        assert not smsc.handsets


async def test_a_second_bind_on_one_connection_is_refused(smsc: Smsc) -> None:
    async with esme(smsc) as customer:
        answer, _ = await customer.ask(pdu.BindTransceiver("outreach", "secret"))
        assert answer == status.ALREADY_BOUND


async def test_a_receiver_may_not_submit(smsc: Smsc) -> None:
    async with esme(smsc, bind=False) as customer:
        await customer.ask(pdu.BindReceiver("outreach", "secret"))
        assert (await customer.ask(submit()))[0] == status.INCORRECT_BIND_STATUS


async def test_a_message_arrives_with_its_time_and_is_receipted(smsc: Smsc) -> None:
    async with esme(smsc) as customer:
        _, taken = await customer.ask(submit())
        assert isinstance(taken, pdu.SubmitSmResp)
        sequence, receipt = await customer.next()
        assert receipt.esm_class == pdu.RECEIPT
        assert receipt.short_message == (
            b"id:0000001001 sub:001 dlvrd:001 submit date:2603021200 done date:2603021200 "
            b"stat:DELIVRD err:000 text:hello"
        )
        assert receipt.tlv(pdu.RECEIPTED_MESSAGE_ID) == taken.message_id.encode() + b"\0"
        customer.writer.write(codec.response(pdu.DeliverSm.command_id, sequence))
    [arrived] = smsc.handset("+8613800138000").arrived
    assert (arrived.text, arrived.sender, arrived.at) == ("hello", "10086", NOON)


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        (submit(b"x" * 161), status.INVALID_MESSAGE_LENGTH),
        (submit(b"x" * 160), status.OK),
        (submit(number="nobody"), status.INVALID_DESTINATION),
        (submit(number=""), status.INVALID_DESTINATION),
        (pdu.SubmitSm(destination_addr="861", data_coding=8, short_message=b"x" * 142), 1),
        (pdu.SubmitSm(destination_addr="861", data_coding=8, short_message=b"x" * 140), 0),
        (
            pdu.SubmitSm(
                destination_addr="861",
                esm_class=0x40,
                short_message=bytes((5, 0, 3, 1, 2, 1)) + b"x" * 153,
            ),
            status.OK,
        ),
        (
            pdu.SubmitSm(
                destination_addr="861",
                esm_class=0x40,
                short_message=bytes((5, 0, 3, 1, 2, 1)) + b"x" * 154,
            ),
            status.INVALID_MESSAGE_LENGTH,
        ),
    ],
)
async def test_what_no_phone_could_get_is_refused(
    smsc: Smsc, message: pdu.SubmitSm, refusal: int
) -> None:
    async with esme(smsc) as customer:
        assert (await customer.ask(message))[0] == refusal


def cancel(message_id: str, to: str = "") -> pdu.CancelSm:
    return pdu.CancelSm(message_id=message_id, source_addr="10086", destination_addr=to)


async def state(customer: Esme, message_id: str) -> pdu.QuerySmResp:
    _, said = await customer.ask(pdu.QuerySm(message_id, source_addr="10086"))
    assert isinstance(said, pdu.QuerySmResp)
    return said


async def taken(customer: Esme, number: str = "8613800138000") -> str:
    _, said = await customer.ask(submit(number=number))
    assert isinstance(said, pdu.SubmitSmResp)
    return said.message_id


async def test_a_message_on_its_way_can_be_queried_replaced_and_cancelled(smsc: Smsc) -> None:
    phone = smsc.handset("8613800138000")
    phone.switch_off()
    async with esme(smsc) as customer:
        one, two = await taken(customer), await taken(customer)
        assert await state(customer, one) == pdu.QuerySmResp(one, "", 1, 0)
        better = pdu.ReplaceSm(one, source_addr="10086", short_message=b"better words")
        assert (await customer.ask(better))[0] == status.OK
        assert (await customer.ask(cancel(two)))[0] == status.OK
        assert (await customer.ask(cancel(two)))[0] == status.CANCEL_FAILED
        assert await state(customer, two) == pdu.QuerySmResp(two, "260302120000000+", 4, 1)
        phone.switch_on()
        await until(lambda: phone.arrived)
        assert await state(customer, one) == pdu.QuerySmResp(one, "260302120000000+", 2, 0)
        assert (await customer.ask(better))[0] == status.REPLACE_FAILED
    assert [arrived.text for arrived in phone.arrived] == ["better words"]


async def test_a_message_is_known_only_to_whoever_sent_it_and_under_its_sender(smsc: Smsc) -> None:
    smsc.handset("8613800138000").switch_off()
    async with esme(smsc) as customer:
        one = await taken(customer)
        for asked in (pdu.QuerySm("999", source_addr="10086"), pdu.QuerySm(one, source_addr="1")):
            assert (await customer.ask(asked))[0] == status.QUERY_FAILED
        assert (await customer.ask(cancel(one, "861")))[0] == status.CANCEL_FAILED
        other = pdu.CancelSm(message_id=one, source_addr="95588")
        assert (await customer.ask(other))[0] == status.CANCEL_FAILED
        assert (await state(customer, one)).message_state == 1


async def test_without_an_id_all_that_is_on_its_way_between_two_numbers_is_cancelled(
    smsc: Smsc,
) -> None:
    for number in ("8613800138000", "8613800138001"):
        smsc.handset(number).switch_off()
    async with esme(smsc) as customer:
        ids = [await taken(customer), await taken(customer)]
        other = await taken(customer, "8613800138001")
        assert (await customer.ask(cancel("", "8613800138000")))[0] == status.OK
        assert [(await state(customer, it)).message_state for it in (*ids, other)] == [4, 4, 1]
        assert (await customer.ask(cancel("", "8613800138000")))[0] == status.CANCEL_FAILED
        assert (await customer.ask(cancel("")))[0] == status.CANCEL_FAILED


async def test_data_sm_carries_its_words_in_message_payload(smsc: Smsc) -> None:
    async with esme(smsc) as customer:
        words = b"a long story " * 50
        request = pdu.DataSm(destination_addr="861", tlvs=((pdu.MESSAGE_PAYLOAD, words),))
        answer, taken = await customer.ask(request)
        assert answer == status.OK
        assert isinstance(taken, pdu.DataSmResp)
        await until(lambda: smsc.handset("861").arrived)
    assert smsc.handset("861").arrived[0].text == words.decode()


async def test_what_is_not_acknowledged_comes_again(smsc: Smsc) -> None:
    async with esme(smsc) as customer:
        said = smsc.handset("8613800138000").say("hello?", "10086")
        first, _ = await customer.next()
        second, again = await customer.next()
        assert (again.short_message, second > first) == (b"hello?", True)
        customer.writer.write(
            codec.response(pdu.DeliverSm.command_id, second, status.TEMPORARY_APPLICATION_ERROR)
        )
        third, _ = await customer.next()
        assert said.acknowledged_at is None
        customer.writer.write(codec.response(pdu.DeliverSm.command_id, third))
        await until(lambda: said.acknowledged_at)


async def test_what_was_under_way_when_the_connection_ended_goes_to_the_next_one_in_order(
    smsc: Smsc,
) -> None:
    handset = smsc.handset("8613800138000")
    for number in range(4):
        handset.say(str(number), "10086")
    async with esme(smsc) as customer:
        for expected in (b"0", b"1"):
            assert (await customer.next())[1].short_message == expected
    await until(lambda: not smsc.customers)
    async with esme(smsc) as customer:
        for expected in (b"0", b"1", b"2", b"3"):
            sequence, message = await customer.next()
            assert message.short_message == expected
            customer.writer.write(codec.response(pdu.DeliverSm.command_id, sequence))


async def test_a_throttled_customer_is_told_so(smsc: Smsc) -> None:
    smsc.faults.throttle_per_s = 3
    async with esme(smsc) as customer:
        answers = [(await customer.ask(submit()))[0] for _ in range(5)]
    assert answers == [status.OK] * 3 + [status.THROTTLED] * 2


async def test_faults_are_the_same_with_the_same_seed() -> None:
    from channels.carriers.faults import Faults

    def drawn(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.drop_responses = 0.5
        return [faults.loses_response() for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)


async def test_a_phone_answers_by_its_script_and_onlookers_see_it_all(smsc: Smsc) -> None:
    seen: list[Change] = []
    smsc.on_change.append(seen.append)
    smsc.script = answering([("quiz", "1"), (".", "what?")])
    async with esme(smsc) as customer:
        await customer.ask(submit(b"a quiz for you"))
        while True:
            sequence, message = await customer.next()
            customer.writer.write(codec.response(pdu.DeliverSm.command_id, sequence))
            if message.esm_class == 0:
                break
        assert (message.source_addr, message.short_message) == ("8613800138000", b"1")
        await until(lambda: smsc.handset("8613800138000").said[0].acknowledged_at == NOON)
    await until(lambda: seen and seen[-1].kind == "lost")
    kinds = [change.kind for change in seen]
    assert kinds == ["bound", "arrived", "said", "acknowledged", "lost"]
    assert seen[1].number == "8613800138000"


async def test_a_phone_that_is_off_gets_its_messages_when_it_is_on(smsc: Smsc) -> None:
    handset = smsc.handset("8613800138000")
    handset.switch_off()
    async with esme(smsc) as customer:
        await customer.ask(submit(b"one"))
        await customer.ask(submit(b"two"))
        await asyncio.sleep(0.1)
        assert not handset.arrived
        handset.switch_on()
        assert [arrived.text for arrived in handset.arrived] == ["one", "two"]
        assert b"DELIVRD" in (await customer.next())[1].short_message


def long_message(reference: int, *parts: bytes) -> list[pdu.SubmitSm]:
    """A message in parts, under this 8-bit reference (GSM 03.40 §9.2.3.24.1)."""
    return [
        replace(
            submit(bytes((5, 0, 3, reference, len(parts), number)) + part),
            esm_class=pdu.HAS_HEADER,
        )
        for number, part in enumerate(parts, 1)
    ]


async def test_a_phone_shows_every_long_message_even_one_that_came_before(smsc: Smsc) -> None:
    handset = smsc.handset("8613800138000")
    first, second = long_message(7, b"one ", b"two"), long_message(7, b"three ", b"four")
    for part in (*first, *second, *reversed(first)):
        handset.receive(part)
    assert [arrived.text for arrived in handset.arrived] == ["one two", "three four", "one two"]


async def test_an_unknown_command_is_nacked_with_its_number(smsc: Smsc) -> None:
    async with esme(smsc) as customer:
        customer.writer.write(struct.pack(">IIII", 16, 0x9999, 0, 77))
        assert (await customer.read())[:3] == (0x80000000, status.INVALID_COMMAND_ID, 77)
        assert (await customer.ask(pdu.EnquireLink()))[0] == status.OK


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x11001, 15, 0])
async def test_an_impossible_length_ends_the_connection(smsc: Smsc, length: int) -> None:
    async with esme(smsc) as customer:
        customer.writer.write(struct.pack(">IIII", length, 4, 0, 5))
        assert (await customer.read())[:2] == (0x80000000, status.INVALID_COMMAND_LENGTH)
        assert await customer.reader.read() == b""


async def test_a_body_cut_short_is_refused_and_the_connection_goes_on(smsc: Smsc) -> None:
    async with esme(smsc) as customer:
        customer.writer.write(struct.pack(">IIII", 19, 4, 0, 5) + b"\0\1\1")
        assert (await customer.read())[:3] == (0x80000004, status.INVALID_COMMAND_LENGTH, 5)
        assert (await customer.ask(submit()))[0] == status.OK


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=400))
def test_a_customer_who_talks_nonsense_is_survived(octets: bytes) -> None:
    async def talk() -> None:
        smsc = Smsc()
        await smsc.start()
        async with esme(smsc) as odd, esme(smsc) as other:
            odd.writer.write(octets)
            odd.writer.write_eof()
            async with asyncio.timeout(30):
                await odd.reader.read()
            assert (await other.ask(submit()))[0] == status.OK
        await smsc.stop()

    asyncio.run(talk())


async def test_what_waits_outlives_a_restart_of_the_carrier(smsc: Smsc) -> None:
    port = smsc.port
    smsc.handset("861").say("still there?", "10086")
    await smsc.stop()
    await smsc.start()
    assert smsc.port == port
    async with esme(smsc) as customer:
        assert (await customer.next())[1].short_message == b"still there?"
