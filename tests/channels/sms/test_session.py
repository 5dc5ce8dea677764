"""The session against carriers that behave oddly, played by hand on a real socket."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.sms import codec, pdu, status
from orchestrator.core.delivery import Outcome
from tests.channels.contract.rig import until
from tests.channels.sms.conftest import Far, bound, carrier, message

SUBMIT, SUBMIT_RESP = 0x04, 0x80000004


async def answered(answer: bytes) -> Outcome:
    """The outcome of one message whose submit_sm gets these octets (`%seq` is its number)."""

    async def play(far: Far) -> None:
        await far.bind()
        command_id, _, sequence, _ = await far.read()
        assert command_id == SUBMIT
        far.writer.write(answer.replace(b"%seq", struct.pack(">I", sequence)))
        await far.read()

    async with carrier(play) as port, bound(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
        return outcome


@pytest.mark.parametrize(
    ("body", "carrier_id"),
    [(b"", ""), (b"\0", ""), (b"abc\0", "abc"), (b"abc", "abc"), (b"abc\0\x04\x27\0\1\2", "abc")],
)
async def test_an_accepted_message_may_have_any_kind_of_id_or_none(
    body: bytes, carrier_id: str
) -> None:
    header = struct.pack(">III", 16 + len(body), SUBMIT_RESP, 0) + b"%seq"
    outcome = await answered(header + body)
    assert (outcome.result, outcome.carrier_id) == ("accepted", carrier_id)


@pytest.mark.parametrize(
    ("command_status", "code", "retry"),
    [
        (status.INVALID_DESTINATION, "ESME_RINVDSTADR", "never"),
        (status.SYSTEM_ERROR, "ESME_RSYSERR", "later"),
        (0x0400, "0x00000400", "never"),
    ],
)
async def test_a_refusal_that_is_a_bare_header_is_a_refusal(
    command_status: int, code: str, retry: str
) -> None:
    outcome = await answered(struct.pack(">III", 16, SUBMIT_RESP, command_status) + b"%seq")
    assert (outcome.result, outcome.code, outcome.retry) == ("rejected", code, retry)


async def test_a_generic_nack_of_our_submit_is_a_refusal() -> None:
    outcome = await answered(struct.pack(">III", 16, 0x80000000, 3) + b"%seq")
    assert (outcome.result, outcome.code) == ("rejected", "ESME_RINVCMDID")


async def test_a_carrier_that_is_full_all_the_time_leaves_it_unsent() -> None:
    async def play(far: Far) -> None:
        await far.bind()
        while True:
            command_id, _, sequence, _ = await far.read()
            if command_id == SUBMIT:
                far.writer.write(codec.response(SUBMIT, sequence, status.QUEUE_FULL))

    async with carrier(play) as port, bound(port, deadline_s=1.0) as (channel, _):
        [outcome] = await channel.send([message(1)])
    assert (outcome.result, outcome.code, outcome.retry) == ("unsent", "ESME_RMSGQFUL", "later")


async def test_an_answer_in_single_octets_is_an_answer() -> None:
    async def play(far: Far) -> None:
        await far.bind()
        _, _, sequence, _ = await far.read()
        for octet in codec.encode(pdu.SubmitSmResp("77"), sequence):
            far.writer.write(bytes((octet,)))
            await far.writer.drain()
            await asyncio.sleep(0.001)
        await far.read()

    async with carrier(play) as port, bound(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
    assert outcome.carrier_id == "77"


async def test_an_answer_after_the_deadline_changes_nothing() -> None:
    late = asyncio.Event()

    async def play(far: Far) -> None:
        await far.bind()
        _, _, sequence, _ = await far.read()
        await late.wait()
        far.writer.write(codec.encode(pdu.SubmitSmResp("77"), sequence))
        _, _, sequence, _ = await far.read()
        far.writer.write(codec.encode(pdu.SubmitSmResp("78"), sequence))
        await far.read()

    async with carrier(play) as port, bound(port, deadline_s=1.0) as (channel, _):
        [first] = await channel.send([message(1)])
        late.set()
        [second] = await channel.send([message(2)])
    assert (first.result, second.result, second.carrier_id) == ("unknown", "accepted", "78")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 70_000_000, 15, 0])
async def test_a_length_that_cannot_be_ends_the_connection_takes_no_memory_and_is_told(
    length: int, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[int, int, int, bytes]] = []

    async def play(far: Far) -> None:
        await far.bind()
        await far.read()
        far.writer.write(struct.pack(">IIII", length, SUBMIT_RESP, 0, 1))
        heard.append(await far.read())
        assert await far.reader.read() == b""

    async with carrier(play) as port, bound(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
    assert outcome.result == "unknown"
    assert heard[0][:2] == (0x80000000, status.INVALID_COMMAND_LENGTH)
    assert f"smpp_unframed command_length={length}" in caplog.messages


async def test_an_unknown_command_is_nacked_and_life_goes_on() -> None:
    heard: list[tuple[int, int, int, bytes]] = []

    async def play(far: Far) -> None:
        await far.bind()
        far.writer.write(struct.pack(">IIII", 20, 0x7777, 0, 42) + b"what")
        heard.append(await far.read())
        _, _, sequence, _ = await far.read()
        far.writer.write(codec.encode(pdu.SubmitSmResp("1"), sequence))
        await far.read()

    async with carrier(play) as port, bound(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
    assert heard == [(0x80000000, status.INVALID_COMMAND_ID, 42, b"")]
    assert outcome.result == "accepted"


async def test_a_deliver_sm_that_cannot_be_read_is_refused_and_stored_nowhere() -> None:
    heard: list[tuple[int, int, int, bytes]] = []

    async def play(far: Far) -> None:
        await far.bind()
        far.writer.write(struct.pack(">IIII", 20, 0x05, 0, 9) + b"\0\1\2\3")
        heard.append(await far.read())
        await far.read()

    async with carrier(play) as port, bound(port) as (_, kept):
        await until(lambda: heard)
    assert heard[0][:3] == (0x80000005, status.INVALID_COMMAND_LENGTH, 9)
    assert not kept.replies


async def test_a_carrier_that_sends_one_part_at_a_time_is_not_kept_waiting_for_ever() -> None:
    words = b"a" * 10

    async def play(far: Far) -> None:
        await far.bind()
        for number in (1, 2):
            part = bytes((5, 0, 3, 9, 2, number)) + words
            body = codec.message_body(
                codec.address(1, 1, "8613800138000"), codec.address(0, 1, "10086"), 0x40, 0, 0, part
            )
            far.writer.write(struct.pack(">IIII", 16 + len(body), 5, 0, number) + body)
            command_id, command_status, sequence, _ = await far.read()
            assert (command_id, command_status, sequence) == (0x80000005, 0, number)
        await far.read()

    async with carrier(play) as port, bound(port) as (_, kept):
        await until(lambda: kept.replies)
    assert kept.replies[0].text == "a" * 20


async def test_receipts_of_ids_nobody_knows_are_handed_in_and_answered() -> None:
    answered: list[int] = []

    async def play(far: Far) -> None:
        await far.bind()
        body = codec.message_body(
            codec.address(1, 1, "861"),
            codec.address(0, 1, "1"),
            4,
            0,
            0,
            b"id:never stat:DELIVRD",
        )
        far.writer.write(struct.pack(">IIII", 16 + len(body), 5, 0, 1) + body)
        answered.append((await far.read())[1])
        await far.read()

    async with carrier(play) as port, bound(port) as (_, kept):
        await until(lambda: answered)
    assert [receipt.carrier_id for receipt in kept.receipts] == ["never"]
    assert answered == [status.OK]


async def test_enquire_link_and_unbind_are_answered() -> None:
    heard: list[int] = []
    is_up = asyncio.Event()

    async def play(far: Far) -> None:
        await far.bind()
        await is_up.wait()
        far.writer.write(codec.encode(pdu.EnquireLink(), 5))
        heard.append((await far.read())[0])
        far.writer.write(codec.encode(pdu.AlertNotification(source_addr="861"), 6))
        far.writer.write(codec.encode(pdu.Unbind(), 7))
        heard.append((await far.read())[0])

    async with carrier(play) as port, bound(port):
        is_up.set()
        await until(lambda: len(heard) >= 2)
    assert heard[:2] == [0x80000015, 0x80000006]


async def test_a_line_that_goes_silent_is_cut_and_made_again() -> None:
    connections: list[int] = []

    async def play(far: Far) -> None:
        connections.append(1)
        await far.bind()
        if len(connections) == 1:
            command_id, _, _, _ = await far.read()
            assert command_id == pdu.EnquireLink.command_id
            await far.reader.read()
        await far.read()

    async with carrier(play) as port, bound(port, "&enquire_link=0.1", 0.5):
        await until(lambda: len(connections) >= 2)


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=400))
def test_a_carrier_that_talks_nonsense_is_survived(octets: bytes) -> None:
    connections: list[int] = []

    async def play(far: Far) -> None:
        connections.append(1)
        await far.bind()
        if len(connections) == 1:
            far.writer.write(octets)
            far.writer.write_eof()
            await far.reader.read()
        await far.read()

    async def talk() -> None:
        async with carrier(play) as port, bound(port) as (channel, _):
            await until(lambda: len(connections) >= 2 and channel.health() == "up")

    asyncio.run(talk())
