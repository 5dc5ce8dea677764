"""SGIP with gateways that behave oddly, and the door at which they knock."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from channels.sgip import pdu
from channels.sgip.channel import SgipChannel
from channels.sgip.door import Door
from channels.sgip.settings import SgipSettings
from orchestrator.core.delivery import Outcome
from orchestrator.core.errors import OutreachError
from tests.channels.china.far import RESPONSE, Far, gateway
from tests.channels.china.worlds import NUMBER, message, world
from tests.channels.contract.rig import Kept, until

HEADER = 20
SETTINGS: dict[str, Any] = {
    "host": "127.0.0.1",
    "login": "outreach",
    "password": "secret",
    "listen_host": "127.0.0.1",
    "listen_port": 0,
    "listen_login": "unicom",
    "listen_password": "knock",
    "node": 3_0010_99999,
    "corp_id": "99999",
    "source": "10655",
    "deadline_s": 60.0,
    "reconnect_s": 0.05,
}


async def idle(far: Far) -> None:
    """The login is accepted, and then nothing happens."""
    _, sequence, _ = await far.read()
    far.say(pdu.BIND | RESPONSE, sequence, pdu.result_body(0))
    await far.read()


@asynccontextmanager
async def up(port: int, **changed: Any) -> AsyncIterator[tuple[SgipChannel, Kept]]:
    channel, kept = (
        SgipChannel("sms", SgipSettings(**{**SETTINGS, "port": port, **changed})),
        Kept(),
    )
    await channel.start(kept.inbox)
    try:
        await until(lambda: channel.health() == "up")
        yield channel, kept
    finally:
        await channel.stop()


@asynccontextmanager
async def visiting(channel: SgipChannel) -> AsyncIterator[Far]:
    """A connection to the channel's door."""
    reader, writer = await asyncio.open_connection("127.0.0.1", channel.listen_port)
    try:
        yield Far(reader, writer, HEADER)
    finally:
        writer.close()


async def knock(far: Far, *, login_type: int = 2, password: str = "knock") -> int:
    """The result with which a login is answered."""
    far.say(pdu.BIND, 5, pdu.bind_body(pdu.Bind(login_type, "unicom", password)))
    command_id, sequence, body = await far.read()
    assert (command_id, sequence) == (pdu.BIND | RESPONSE, 5)
    return body[0]


async def answered(body: bytes) -> Outcome:
    """The outcome of one message whose submit gets this answer."""

    async def play(far: Far) -> None:
        _, sequence, _ = await far.read()
        far.say(pdu.BIND | RESPONSE, sequence, pdu.result_body(0))
        command_id, sequence, _ = await far.read()
        assert command_id == pdu.SUBMIT
        far.say(pdu.SUBMIT | RESPONSE, sequence, body)
        await far.read()

    async with gateway(play, HEADER) as port, up(port) as (channel, _):
        [outcome] = await channel.send([message(1)])
        return outcome


@pytest.mark.parametrize(
    ("body", "result", "code", "retry"),
    [
        (b"\0" * 9, "accepted", "", "never"),
        (b"\0", "accepted", "", "never"),
        (b"\x06" + b"\0" * 8, "rejected", "SGIP-6", "never"),
        (b"\x20" + b"\0" * 8, "rejected", "SGIP-32", "later"),
        (b"\xc8" + b"\0" * 8, "rejected", "SGIP-200", "never"),
        (b"", "unknown", "", "never"),
    ],
)
async def test_every_answer_means_something(
    body: bytes, result: str, code: str, retry: str
) -> None:
    outcome = await answered(body)
    assert (outcome.result, outcome.code, outcome.retry) == (result, code, retry)
    assert outcome.carrier_id.startswith("3001099999.") == (result == "accepted")


async def test_the_settings_are_on_the_wire() -> None:
    logins: list[pdu.Bind] = []
    seen: list[tuple[int, pdu.Submit]] = []

    async def play(far: Far) -> None:
        _, sequence, body = await far.read()
        logins.append(pdu.read_bind(body))
        far.say(pdu.BIND | RESPONSE, sequence, pdu.result_body(0))
        for _ in range(2):
            _, sequence, body = await far.read()
            seen.append((sequence, pdu.read_submit(body)))
            far.say(pdu.SUBMIT | RESPONSE, sequence, pdu.result_body(0))
        await far.read()

    options = {"service_type": "HELP", "fee_type": 2, "fee_value": "15", "reason": 3, "priority": 9}
    async with gateway(play, HEADER) as port, up(port, **options) as (channel, _):
        [outcome] = await channel.send([message(1, "您" * 100)])
    assert logins == [pdu.Bind(1, "outreach", "secret")]
    (_, first), (number, second) = seen
    assert first.phones == ("8613800138000",)
    assert (first.sp_number, first.corp_id, first.service_type) == ("10655", "99999", "HELP")
    assert (first.fee_type, first.fee_value, first.charge_number) == (2, "15", "0" * 21)
    assert (first.reason, first.priority, first.coding, first.udhi) == (3, 9, 8, 1)
    assert (first.report_flag, second.report_flag) == (2, 1)
    assert outcome.carrier_id == pdu.sequence_text(number)


@pytest.mark.parametrize(
    ("state", "error", "told", "code"),
    [
        (0, 0, "delivered", ""),
        (2, 29, "undelivered", "SGIP-29"),
        (1, 0, None, ""),
        (9, 0, None, ""),
    ],
)
async def test_the_gateway_calls_us_to_report(
    state: int, error: int, told: str | None, code: str
) -> None:
    sequence = 3_0010_99999 << 64 | 1120203225 << 32 | 7
    async with (
        gateway(idle, HEADER) as port,
        up(port) as (channel, kept),
        visiting(channel) as far,
    ):
        assert await knock(far) == 0
        far.say(pdu.REPORT, 77, pdu.report_body(pdu.Report(sequence, "861", state, error)))
        assert await far.read() == (pdu.REPORT | RESPONSE, 77, b"\0" * 9)
        told_all = [(it.carrier_id, it.state, it.code) for it in kept.receipts]
        assert told_all == ([("3001099999.1120203225.7", told, code)] if told else [])
        far.say(pdu.UNBIND, 78)
        assert await far.read() == (pdu.UNBIND | RESPONSE, 78, b"")
        assert await far.reader.read() == b""


async def test_the_gateway_calls_us_with_what_people_write() -> None:
    deliver = pdu.Deliver("8613001125453", "10655", "退订".encode("gbk"), 15)
    async with (
        gateway(idle, HEADER) as port,
        up(port) as (channel, kept),
        visiting(channel) as far,
    ):
        assert await knock(far) == 0
        for _ in range(2):
            far.say(pdu.DELIVER, 1 << 64 | 7, pdu.deliver_body(deliver))
            assert await far.read() == (pdu.DELIVER | RESPONSE, 1 << 64 | 7, b"\0" * 9)
        kept.broken = True
        far.say(pdu.DELIVER, 8, pdu.deliver_body(deliver))
        assert (await far.read())[2][0] == 11
        user = pdu.UserReport("10655", "8613001125453", 1)
        far.say(pdu.USER_REPORT, 9, pdu.user_report_body(user))
        assert await far.read() == (pdu.USER_REPORT | RESPONSE, 9, b"\0" * 9)
        far.say(pdu.DELIVER, 10, b"short")
        assert (await far.read())[2][0] == 5
    first, second = kept.replies
    assert (first.text, first.address, first.to) == ("退订", "+8613001125453", "10655")
    assert first.source_id == second.source_id


@pytest.mark.parametrize(
    ("login_type", "password", "result"), [(2, "wrong", 1), (1, "knock", 4), (2, "", 1)]
)
async def test_a_caller_who_does_not_know_the_password_is_hung_up_on(
    login_type: int, password: str, result: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        gateway(idle, HEADER) as port,
        up(port) as (channel, _),
        visiting(channel) as far,
    ):
        assert await knock(far, login_type=login_type, password=password) == result
        assert await far.reader.read() == b""
    assert "sgip_visit_refused" in caplog.text
    assert "unicom" not in caplog.text


async def test_nobody_brings_anything_before_logging_in() -> None:
    report = pdu.report_body(pdu.Report(7, "861", 0))
    async with (
        gateway(idle, HEADER) as port,
        up(port) as (channel, kept),
        visiting(channel) as far,
    ):
        far.say(pdu.REPORT, 77, report)
        assert await far.reader.read() == b""
        assert not kept.receipts


async def test_a_caller_who_says_nothing_is_hung_up_on() -> None:
    async with (
        gateway(idle, HEADER) as port,
        up(port, deadline_s=0.2) as (channel, _),
        visiting(channel) as far,
    ):
        assert await far.reader.read() == b""


async def test_a_second_login_on_one_connection_is_refused_and_changes_nothing() -> None:
    async with (
        gateway(idle, HEADER) as port,
        up(port) as (channel, kept),
        visiting(channel) as far,
    ):
        assert await knock(far) == 0
        assert await knock(far) == 2
        far.say(pdu.REPORT, 77, pdu.report_body(pdu.Report(7, "861", 0)))
        await far.read()
        assert kept.receipts


async def test_one_caller_too_many_takes_the_place_of_the_most_silent() -> None:
    async with (
        gateway(idle, HEADER) as port,
        up(port, listen_most=2) as (channel, _),
        visiting(channel) as first,
        visiting(channel) as second,
    ):
        assert await knock(first) == 0
        assert await knock(second) == 0
        await knock(first)
        async with visiting(channel) as third:
            assert await knock(third) == 0
            assert await second.reader.read() == b""
            assert await knock(first) == 2


async def test_a_message_can_be_traced() -> None:
    async with world("sgip") as there, there.up() as (channel, _):
        [outcome] = await channel.send([message(1)])
        assert isinstance(channel, SgipChannel)
        assert channel._line is not None
        session = channel._line.session
        assert session is not None
        [sequence] = there.exchange.taken
        assert pdu.sequence_text(sequence) == outcome.carrier_id
        await until(lambda: there.exchange.handset(NUMBER).arrived)
        [stage] = await session.trace(sequence, NUMBER[1:])
        assert (stage.result, stage.node) == (0, "100101")
        assert await session.trace(1, NUMBER[1:]) == ()


async def test_a_gateway_that_closes_an_idle_line_finds_us_again() -> None:
    connections: list[int] = []

    async def play(far: Far) -> None:
        connections.append(1)
        _, sequence, _ = await far.read()
        far.say(pdu.BIND | RESPONSE, sequence, pdu.result_body(0))
        if len(connections) == 1:
            far.say(pdu.UNBIND, 3)
            assert (await far.read())[:2] == (pdu.UNBIND | RESPONSE, 3)
            return
        await far.read()

    async with gateway(play, HEADER) as port, up(port) as (channel, _):
        await until(lambda: len(connections) == 2 and channel.health() == "up")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 19, 0])
async def test_a_length_that_cannot_be_ends_the_connection(
    length: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        gateway(idle, HEADER) as port,
        up(port) as (channel, _),
        visiting(channel) as far,
    ):
        far.writer.write(struct.pack(">IIIII", length, pdu.BIND, 1, 2, 3))
        assert await far.reader.read() == b""
    assert f"sgip_unframed length={length}" in caplog.messages


async def test_a_port_that_is_taken_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    squatter = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = squatter.sockets[0].getsockname()[1]
    async with gateway(idle, HEADER) as far:
        options = {"port": far, "listen_port": port, "reconnect_max_s": 0.1}
        channel = SgipChannel("sms", SgipSettings(**{**SETTINGS, **options}))
        await channel.start(Kept().inbox)
        await until(lambda: channel.trouble.startswith("cannot listen"))
        assert channel.health() == "connecting"
        squatter.close()
        await squatter.wait_closed()
        await until(lambda: channel.health() == "up")
        assert channel.trouble == ""
        await channel.stop()
    assert f"sgip_cannot_listen port={port}" in caplog.messages


def test_a_door_without_a_password_is_not_opened() -> None:
    with pytest.raises(OutreachError, match="listen_password"):
        SgipSettings(**{**SETTINGS, "port": 8801, "listen_password": ""})


@pytest.mark.parametrize("turns", range(8))
async def test_a_caller_who_comes_while_the_door_closes_keeps_nobody_waiting(turns: int) -> None:
    channel = SgipChannel("sms", SgipSettings(**SETTINGS, port=1))
    door = Door("127.0.0.1", 0, channel._new_visit, most=5, login_within_s=30.0)
    await door.open()
    login = pdu.bind_body(pdu.Bind(pdu.TO_PROVIDER, "unicom", "knock"))
    with socket.create_connection(("127.0.0.1", door.port)) as caller:
        caller.sendall(struct.pack(">II12x", HEADER + len(login), pdu.BIND) + login)
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await door.close()
        await until(lambda: not door.visits)
        caller.setblocking(True)
        caller.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            while caller.recv(100):
                pass
