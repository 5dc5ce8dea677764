"""SMGP sessions with gateways that behave oddly, played by hand on a real socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from channels.smgp import pdu
from channels.smgp.channel import SmgpChannel
from channels.smgp.session import SmgpSession
from channels.smgp.settings import SmgpSettings
from orchestrator.core.delivery import Outcome
from tests.channels.china.far import RESPONSE, Far, gateway
from tests.channels.china.worlds import NUMBER, message, world
from tests.channels.contract.rig import Kept, until

MSG_ID = "01006101161700012345"


async def admit(far: Far) -> None:
    """The login is read and accepted, without proof."""
    _, sequence, _ = await far.read()
    far.say(pdu.LOGIN | RESPONSE, sequence, pdu.login_resp_body(pdu.LoginResp(0)))


@asynccontextmanager
async def up(port: int, **changed: Any) -> AsyncIterator[tuple[SmgpChannel, Kept]]:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "client_id": "1234",
        "secret": "888888",
        "source": "1181234",
        "deadline_s": 60.0,
        "reconnect_s": 0.05,
        **changed,
    }
    channel, kept = SmgpChannel("sms", SmgpSettings(**values)), Kept()
    await channel.start(kept.inbox)
    try:
        await until(lambda: channel.health() == "up")
        yield channel, kept
    finally:
        await channel.stop()


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
        (bytes.fromhex(MSG_ID + "00000000"), "accepted", "", "never"),
        (bytes.fromhex("00" * 10 + "0000002f"), "rejected", "SMGP-47", "never"),
        (bytes.fromhex("00" * 10 + "0000004b"), "rejected", "SMGP-75", "later"),
        (bytes.fromhex("00" * 10 + "000000c8"), "rejected", "SMGP-200", "never"),
        (b"\0\0\0", "unknown", "", "never"),
    ],
)
async def test_every_answer_means_something(
    body: bytes, result: str, code: str, retry: str
) -> None:
    outcome = await answered(body)
    assert (outcome.result, outcome.code, outcome.retry) == (result, code, retry)
    assert outcome.carrier_id == (MSG_ID if result == "accepted" else "")


async def test_the_settings_are_on_the_wire() -> None:
    seen: list[pdu.Submit] = []
    logins: list[pdu.Login] = []

    async def play(far: Far) -> None:
        _, sequence, body = await far.read()
        logins.append(pdu.read_login(body))
        far.say(pdu.LOGIN | RESPONSE, sequence, pdu.login_resp_body(pdu.LoginResp(0)))
        for _ in range(2):
            _, sequence, body = await far.read()
            seen.append(pdu.read_submit(body))
            far.say(pdu.SUBMIT | RESPONSE, sequence, pdu.result_body(MSG_ID, 0))
        await far.read()

    options = {
        "mode": "send",
        "service_id": "HELP",
        "m_service_id": "product-1",
        "msg_src": "corp",
        "fee_type": "01",
        "fee_code": "15",
        "priority": 3,
        "numbers": "international",
    }
    async with gateway(play) as port, up(port, **options) as (channel, _):
        await channel.send([message(1, "您" * 100)])
    assert (logins[0].client_id, logins[0].mode, logins[0].version) == ("1234", 0, 0x30)
    first, second = seen
    assert (first.service_id, first.fee_type, first.fee_code) == ("HELP", "01", "15")
    assert (first.priority, first.msg_format, first.msg_type) == (3, 15, 6)
    assert (first.phones, first.src_term_id) == (("8613800138000",), "1181234")
    assert (first.need_report, second.need_report) == (0, 1)
    assert dict(second.tlvs) == {
        pdu.MSG_SRC: b"corp\0\0\0\0",
        pdu.M_SERVICE_ID: b"product-1".ljust(21, b"\0"),
        pdu.TP_UDHI: b"\1",
        pdu.PK_TOTAL: b"\2",
        pdu.PK_NUMBER: b"\2",
    }


async def test_an_id_in_digits_is_the_same_id() -> None:
    async with world("smgp") as there:
        there.exchange.id_as_digits = True  # type: ignore[attr-defined]
        async with there.up() as (channel, kept):
            [outcome] = await channel.send([message(1)])
            await until(lambda: kept.receipts)
            assert kept.receipts[0].carrier_id == outcome.carrier_id


@pytest.mark.parametrize(
    ("proof", "health"), [("warn", "up"), ("ignore", "up"), ("require", "down")]
)
async def test_a_gateway_that_does_not_know_the_secret(
    proof: str, health: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with world("smgp") as there:
        there.exchange.proves_by = "another"  # type: ignore[attr-defined]
        channel = there.channel(gateway_proof=proof)
        await channel.start(Kept().inbox)
        await until(lambda: channel.health() == health)
        assert ("gateway_unproven" in caplog.text) == (proof == "warn")
        await channel.stop()


async def test_a_test_of_the_line_and_a_goodbye_are_answered() -> None:
    heard: list[tuple[int, int, bytes]] = []
    is_up = asyncio.Event()

    async def play(far: Far) -> None:
        await admit(far)
        await is_up.wait()
        far.say(pdu.ACTIVE_TEST, 41)
        heard.append(await far.read())
        far.say(pdu.EXIT, 42)
        heard.append(await far.read())

    async with gateway(play) as port, up(port):
        is_up.set()
        await until(lambda: len(heard) >= 2)
    assert heard[:2] == [(pdu.ACTIVE_TEST | RESPONSE, 41, b""), (pdu.EXIT | RESPONSE, 42, b"")]


@pytest.mark.parametrize(
    ("content", "state", "code"),
    [
        (b"stat:DELIVRD err:000", "delivered", "DELIVRD"),
        (b"stat:EXPIRED err:002", "expired", "EXPIRED/002"),
        (b"stat:UNDELIV err:004", "undelivered", "UNDELIV/004"),
        (b"stat:UNKNOWN err:999", "undelivered", "UNKNOWN/999"),
        (b"stat:ACCEPTD err:000", None, ""),
        (b"nothing of the kind", None, ""),
    ],
)
async def test_every_report_is_answered(content: bytes, state: str | None, code: str) -> None:
    answers: list[bytes] = []

    async def play(far: Far) -> None:
        await admit(far)
        report = b"id:" + bytes.fromhex(MSG_ID) + b" sub:001 dlvrd:001 " + content
        deliver = pdu.Deliver("00" * 9 + "07", "13300133000", "1181234", report, 0, 1)
        far.say(pdu.DELIVER, 3, pdu.deliver_body(deliver))
        answers.append((await far.read())[2])
        await far.read()

    async with gateway(play) as port, up(port) as (_, kept):
        await until(lambda: answers)
    assert answers == [bytes.fromhex("00" * 9 + "07" + "00000000")]
    assert [(it.carrier_id, it.state, it.code) for it in kept.receipts] == (
        [(MSG_ID, state, code)] if state else []
    )


async def test_a_delivery_that_cannot_be_read_is_refused_and_stored_nowhere() -> None:
    heard: list[tuple[int, int, bytes]] = []

    async def play(far: Far) -> None:
        await admit(far)
        far.say(pdu.DELIVER, 9, bytes.fromhex(MSG_ID) + b"short")
        heard.append(await far.read())
        await far.read()

    async with gateway(play) as port, up(port) as (_, kept):
        await until(lambda: heard)
    answer = bytes.fromhex(MSG_ID) + struct.pack(">I", 10)
    assert heard == [(pdu.DELIVER | RESPONSE, 9, answer)]
    assert not kept.replies


async def test_messages_can_be_counted() -> None:
    async with world("smgp") as there, there.up() as (channel, _):
        await channel.send([message(1)])
        assert channel._line is not None
        session = channel._line.session
        assert isinstance(session, SmgpSession)
        day = datetime.now(UTC).strftime("%Y%m%d")
        counts = await session.query(day, "HELP")
        assert (counts.day, counts.service_id, counts.mt_messages) == (day, "HELP", 1)


async def test_a_landline_is_written_with_its_area() -> None:
    seen: list[str] = []

    async def play(far: Far) -> None:
        await admit(far)
        _, sequence, body = await far.read()
        seen.extend(pdu.read_submit(body).phones)
        far.say(pdu.SUBMIT | RESPONSE, sequence, pdu.result_body(MSG_ID, 0))
        deliver = pdu.Deliver(MSG_ID, "02087310323", "1181234", b"TD")
        far.say(pdu.DELIVER, 1, pdu.deliver_body(deliver))
        await far.read()
        await far.read()

    async with gateway(play) as port, up(port) as (channel, kept):
        await channel.send([message(1, address="+862087310323")])
        await until(lambda: kept.replies)
    assert seen == ["02087310323"]
    assert kept.replies[0].address == "+862087310323"
    assert kept.replies[0].address != NUMBER
