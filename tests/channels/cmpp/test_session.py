"""CMPP sessions with gateways that behave oddly, played by hand on a real socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from channels.base import Recalling
from channels.carriers.cmpp import CmppExchange
from channels.carriers.exchange import ExchangeSettings
from channels.cmpp import pdu
from channels.cmpp.channel import CmppChannel
from channels.cmpp.session import CmppSession
from channels.cmpp.settings import CmppSettings
from orchestrator.core.delivery import Held, Outcome
from tests.channels.china.far import RESPONSE, Far, gateway
from tests.channels.china.worlds import NUMBER, message, world
from tests.channels.contract.rig import Kept, until


async def admit(far: Far, version: int = pdu.V3) -> None:
    """The login is read and accepted, without proof."""
    _, sequence, _ = await far.read()
    answer = pdu.ConnectResp(0, bytes(16), version, version)
    far.say(pdu.CONNECT | RESPONSE, sequence, pdu.connect_resp_body(answer))


def made(port: int, **changed: Any) -> CmppChannel:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "sp_id": "900001",
        "secret": "888888",
        "source": "10086",
        "deadline_s": 60.0,
        "reconnect_s": 0.05,
        **changed,
    }
    return CmppChannel("sms", CmppSettings(**values))


@asynccontextmanager
async def up(port: int, **changed: Any) -> AsyncIterator[tuple[CmppChannel, Kept]]:
    channel, kept = made(port, **changed), Kept()
    await channel.start(kept.inbox)
    try:
        await until(lambda: channel.health() == "up")
        yield channel, kept
    finally:
        await channel.stop()


def session_of(channel: CmppChannel) -> CmppSession:
    assert channel._line is not None
    session = channel._line.session
    assert session is not None
    return session


async def answered(body: bytes) -> Outcome:
    """The outcome of one message whose submit gets this answer."""

    async def play(far: Far) -> None:
        await admit(far)
        command_id, sequence, _ = await far.read()
        assert command_id == pdu.SUBMIT
        far.say(pdu.SUBMIT | RESPONSE, sequence, body)
        await far.read()

    async with gateway(play) as port, up(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
        return outcome


@pytest.mark.parametrize(
    ("body", "result", "code", "retry"),
    [
        (struct.pack(">QI", 77, 0), "accepted", "", "never"),
        (struct.pack(">QB", 77, 0), "accepted", "", "never"),
        (struct.pack(">QI", 0, 13), "rejected", "CMPP-13", "never"),
        (struct.pack(">QI", 0, 8), "unsent", "CMPP-8", "later"),
        (struct.pack(">QI", 0, 137), "rejected", "CMPP-137", "never"),
        (b"\0\0\0", "unknown", "", "never"),
        (b"", "unknown", "", "never"),
    ],
)
async def test_every_answer_means_something(
    body: bytes, result: str, code: str, retry: str
) -> None:
    outcome = await answered(body)
    if result == "unsent":  # tried again until the deadline, which nobody answers
        assert outcome.result in ("unsent", "unknown")
        return
    assert (outcome.result, outcome.code, outcome.retry) == (result, code, retry)
    assert outcome.carrier_id == ("77" if result == "accepted" else "")


async def test_a_gateway_of_2_0_is_spoken_to_in_2_0() -> None:
    async with world("cmpp") as there:
        there.exchange.highest_version = pdu.V2  # type: ignore[attr-defined]
        async with there.up(chinese="gbk") as (channel, kept):
            assert isinstance(channel, CmppChannel)
            assert session_of(channel).version == pdu.V2
            [outcome] = await channel.send([message(1, "您好" * 100)])
            assert outcome.result == "accepted"
            handset = there.exchange.handset(NUMBER)
            await until(lambda: handset.arrived and kept.receipts)
            assert handset.arrived[0].text == "您好" * 100
            assert kept.receipts[0].carrier_id == outcome.carrier_id
            handset.say("退订", "10086")
            await until(lambda: kept.replies)
            assert (kept.replies[0].text, kept.replies[0].address) == ("退订", NUMBER)


async def test_a_gateway_that_answers_in_2_0_is_taken_at_its_word() -> None:
    async def play(far: Far) -> None:
        await admit(far, pdu.V2)
        _, sequence, body = await far.read()
        assert pdu.read_submit(body, pdu.V2).phones == ("13800138000",)
        far.say(pdu.SUBMIT | RESPONSE, sequence, struct.pack(">QB", 5, 0))
        await far.read()

    async with gateway(play) as port, up(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
        assert outcome.carrier_id == "5"


@pytest.mark.parametrize(
    ("answer", "spoken"),
    [
        (pdu.ConnectResp(0, version=0x30, layout=pdu.V3), pdu.V3),
        (pdu.ConnectResp(0, version=0x00, layout=pdu.V3), pdu.V3),
        (pdu.ConnectResp(0, version=0x21, layout=pdu.V3), pdu.V2),
        (pdu.ConnectResp(0, version=0x30, layout=pdu.V2), pdu.V2),
    ],
)
async def test_the_layout_of_the_answer_counts_before_its_version(
    answer: pdu.ConnectResp, spoken: int
) -> None:
    async def play(far: Far) -> None:
        _, sequence, _ = await far.read()
        far.say(pdu.CONNECT | RESPONSE, sequence, pdu.connect_resp_body(answer))
        await far.read()

    async with gateway(play) as port, up(port) as (channel, _):
        assert session_of(channel).version == spoken


async def test_a_version_that_was_asked_for_and_refused_is_said() -> None:
    async with world("cmpp") as there:
        there.exchange.highest_version = pdu.V2  # type: ignore[attr-defined]
        channel = there.channel(version="3.0")
        await channel.start(Kept().inbox)
        await until(lambda: channel.health() == "down")
        assert "offers 2.0" in channel.trouble
        await channel.stop()


@pytest.mark.parametrize(
    ("proof", "health"), [("warn", "up"), ("ignore", "up"), ("require", "down")]
)
async def test_a_gateway_that_does_not_know_the_secret(
    proof: str, health: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with world("cmpp") as there:
        there.exchange.proves_by = "another"  # type: ignore[attr-defined]
        channel = there.channel(gateway_proof=proof)
        await channel.start(Kept().inbox)
        await until(lambda: channel.health() == health)
        assert ("gateway_unproven" in caplog.text) == (proof == "warn")
        await channel.stop()


async def test_a_gateway_that_knows_it_needs_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with world("cmpp") as there, there.up(gateway_proof="require"):
        assert "unproven" not in caplog.text


async def test_an_active_test_is_answered_with_one_octet() -> None:
    heard: list[tuple[int, int, bytes]] = []
    is_up = asyncio.Event()

    async def play(far: Far) -> None:
        await admit(far)
        await is_up.wait()
        far.say(pdu.ACTIVE_TEST, 41)
        heard.append(await far.read())
        far.say(pdu.TERMINATE, 42)
        heard.append(await far.read())

    async with gateway(play) as port, up(port):
        is_up.set()
        await until(lambda: len(heard) >= 2)
    assert heard[:2] == [
        (pdu.ACTIVE_TEST | RESPONSE, 41, b"\0"),
        (pdu.TERMINATE | RESPONSE, 42, b""),
    ]


async def test_an_idle_line_is_tried_three_times_and_then_cut() -> None:
    heard: list[int] = []
    connections: list[int] = []

    async def play(far: Far) -> None:
        connections.append(1)
        await admit(far)
        while True:
            heard.append((await far.read())[0])

    options = {"test_after_s": 0.1, "test_wait_s": 0.1, "tests": 3}
    async with gateway(play) as port, up(port, **options):
        await until(lambda: len(connections) >= 2)
    assert heard[:3] == [pdu.ACTIVE_TEST] * 3


async def test_a_line_that_answers_is_kept() -> None:
    async with world("cmpp") as there, there.up(test_after_s=0.05) as (channel, _):
        session = channel._line.session  # type: ignore[union-attr]
        await asyncio.sleep(0.4)
        assert channel._line.session is session  # type: ignore[union-attr]


async def test_nobody_brings_anything_before_our_login_is_accepted() -> None:
    async def play(far: Far) -> None:
        await far.read()
        deliver = pdu.Deliver(1, "10086", "13800138000", b"TD")
        far.say(pdu.DELIVER, 1, pdu.deliver_body(deliver, pdu.V3))
        assert await far.reader.read() == b""

    async with gateway(play) as port:
        channel, kept = made(port), Kept()
        await channel.start(kept.inbox)
        await until(lambda: channel.trouble)
        assert not kept.replies
        await channel.stop()


async def test_a_delivery_that_cannot_be_read_is_refused_and_stored_nowhere() -> None:
    heard: list[tuple[int, int, bytes]] = []

    async def play(far: Far) -> None:
        await admit(far)
        far.say(pdu.DELIVER, 9, b"\0" * 7 + b"\x05" + b"short")
        heard.append(await far.read())
        await far.read()

    async with gateway(play) as port, up(port) as (_, kept):
        await until(lambda: heard)
    assert heard == [(pdu.DELIVER | RESPONSE, 9, struct.pack(">QI", 5, 1))]
    assert not kept.replies


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        ("DELIVRD", "delivered"),
        ("EXPIRED", "expired"),
        ("DELETED", "undelivered"),
        ("UNDELIV", "undelivered"),
        ("UNKNOWN", "undelivered"),
        ("REJECTD", "rejected"),
        ("MA:0001", "undelivered"),
        ("MK:0010", "undelivered"),
        ("ACCEPTD", None),
        ("MC:0055", None),
        ("", None),
    ],
)
async def test_every_stat_means_something_and_is_answered(stat: str, state: str | None) -> None:
    answers: list[bytes] = []

    async def play(far: Far) -> None:
        await admit(far)
        content = pdu.report_content(pdu.Report(77, stat, "", "", "13800138000"), pdu.V3)
        deliver = pdu.Deliver(6, "10086", "13800138000", content, registered=1)
        far.say(pdu.DELIVER, 3, pdu.deliver_body(deliver, pdu.V3))
        answers.append((await far.read())[2])
        await far.read()

    async with gateway(play) as port, up(port) as (_, kept):
        await until(lambda: answers)
    assert answers == [struct.pack(">QI", 6, 0)]
    if state is None:
        assert not kept.receipts
    else:
        [receipt] = kept.receipts
        assert (receipt.carrier_id, receipt.state, receipt.code) == ("77", state, stat)


async def test_what_cannot_be_stored_is_answered_so() -> None:
    answers: list[bytes] = []

    async def play(far: Far) -> None:
        await admit(far)
        deliver = pdu.Deliver(6, "10086", "13800138000", b"TD")
        far.say(pdu.DELIVER, 3, pdu.deliver_body(deliver, pdu.V3))
        answers.append((await far.read())[2])
        await far.read()

    async with gateway(play) as port:
        channel, kept = made(port), Kept()
        kept.broken = True
        await channel.start(kept.inbox)
        await until(lambda: answers)
        await channel.stop()
    assert answers == [struct.pack(">QI", 6, 9)]


@pytest.mark.parametrize("length", [0xFFFFFFFF, 70_000_000, 11, 0])
async def test_a_length_that_cannot_be_ends_the_connection(
    length: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(far: Far) -> None:
        await admit(far)
        await far.read()
        far.writer.write(struct.pack(">III", length, pdu.SUBMIT | RESPONSE, 1))
        assert await far.reader.read() == b""

    async with gateway(play) as port, up(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
    assert outcome.result == "unknown"
    assert f"cmpp_unframed length={length}" in caplog.messages


async def test_an_answer_in_single_octets_is_an_answer() -> None:
    async def play(far: Far) -> None:
        await admit(far)
        _, sequence, _ = await far.read()
        body = struct.pack(">QI", 77, 0)
        for octet in struct.pack(">III", 24, pdu.SUBMIT | RESPONSE, sequence) + body:
            far.writer.write(bytes((octet,)))
            await far.writer.drain()
            await asyncio.sleep(0.001)
        await far.read()

    async with gateway(play) as port, up(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
    assert outcome.carrier_id == "77"


async def test_messages_can_be_counted_and_deleted() -> None:
    exchange = CmppExchange(ExchangeSettings(receipt_delay_s=0.01))
    await exchange.start()
    exchange.handset(NUMBER).switch_off()
    async with up(exchange.port) as (channel, kept):
        [outcome] = await channel.send([message(1)])
        session = session_of(channel)
        day = datetime.now(UTC).strftime("%Y%m%d")
        counts = await session.query(day, "HELP")
        assert (counts.day, counts.service_id, counts.mt_messages) == (day, "HELP", 1)
        assert await session.cancel(int(outcome.carrier_id))
        await until(lambda: kept.receipts)
        assert (kept.receipts[0].state, kept.receipts[0].code) == ("undelivered", "DELETED")
        assert not await session.cancel(12345)
    await exchange.stop()


async def test_what_the_gateway_still_holds_never_reaches_the_phone_once_recalled() -> None:
    """All parts of it; and what is out already is out."""
    exchange = CmppExchange(ExchangeSettings(receipt_delay_s=0.01))
    await exchange.start()
    phone = exchange.handset(NUMBER)
    async with up(exchange.port) as (channel, kept):
        assert isinstance(channel, Recalling)
        texts = {1: "out already", 2: "hello", 3: "很长的故事" * 30}
        sent = {number: message(number, text) for number, text in texts.items()}
        held = {}
        for number, it in sent.items():
            if number == 2:
                await until(lambda: kept.receipts)
                phone.switch_off()
            [outcome] = await channel.send([it])
            held[number] = Held(it, outcome.carrier_id)
        fates = {it.message_id: it for it in await channel.recall([*held.values()])}
        assert [fates[n].word for n in (1, 2, 3)] == ["refused", "recalled", "recalled"]
        assert fates[1].reason
        assert [it.state for it in exchange.taken.values()][1:] == [4] * 4, "DELETED"
        phone.switch_on()
        await until(lambda: len(kept.receipts) == 3)
        assert [it.text for it in phone.arrived] == ["out already"]
        [nameless] = await channel.recall([Held(sent[2])])
        assert nameless.word == "cannot"
    [silent] = await channel.recall([held[2]])
    assert silent.word == "silent"
    await exchange.stop()


async def test_a_gateway_that_does_not_know_the_request_is_silent() -> None:
    """Some let it drop, some hang up; either way the message stays where it is."""

    async def play(far: Far) -> None:
        await admit(far)
        command_id, sequence, body = await far.read()
        assert (command_id, body) == (pdu.CANCEL, bytes(7) + b"\x4d")
        far.writer.write(struct.pack(">III", 12, pdu.CANCEL | RESPONSE, sequence))
        assert (await far.read())[0] == pdu.CANCEL

    async with gateway(play) as port, up(port) as (channel, _):
        [unreadable] = await channel.recall([Held(message(1), "77")])
        [unanswered] = await channel.recall([Held(message(1), "78")])
    assert (unreadable.word, unanswered.word) == ("silent", "silent")
    assert unreadable.reason != unanswered.reason
