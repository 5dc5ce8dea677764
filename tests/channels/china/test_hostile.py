"""Thousands of PDUs that no gateway should send, into a session that is logged in: it lives, or it
hangs up, and what it holds is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from channels.base import Inbox
from channels.cmpp import pdu as cmpp
from channels.sgip import pdu as sgip
from channels.smgp import pdu as smgp
from orchestrator.core.delivery import Receipt, Reply
from tests.channels.china.mutations import mutated
from tests.channels.china.worlds import PROTOCOLS, world

MSG_ID = "01006101161700012345"
PART = bytes((5, 0, 3, 9, 2, 1)) + "您好".encode("utf-16-be")


def seeds(name: str) -> list[bytes]:
    """What a gateway may say, whole."""
    if name == "cmpp":
        header = 12
        report = cmpp.report_content(cmpp.Report(77, "DELIVRD"), cmpp.V3)
        said = [
            (cmpp.DELIVER, cmpp.deliver_body(cmpp.Deliver(1, "1", "138", b"TD"), cmpp.V3)),
            (cmpp.DELIVER, cmpp.deliver_body(cmpp.Deliver(1, "1", "138", PART, 8, 1), cmpp.V3)),
            (
                cmpp.DELIVER,
                cmpp.deliver_body(cmpp.Deliver(1, "1", "138", report, registered=1), cmpp.V3),
            ),
            (cmpp.SUBMIT | 1 << 31, cmpp.result_body(5, 0, cmpp.V3)),
            (cmpp.ACTIVE_TEST, b""),
        ]
    elif name == "smgp":
        header = 12
        udhi = ((smgp.TP_UDHI, b"\1"),)
        report = smgp.report_content(smgp.Report(MSG_ID, "DELIVRD"))
        said = [
            (smgp.DELIVER, smgp.deliver_body(smgp.Deliver(MSG_ID, "133", "1", b"TD"))),
            (smgp.DELIVER, smgp.deliver_body(smgp.Deliver(MSG_ID, "1", "1", PART, 8, tlvs=udhi))),
            (smgp.DELIVER, smgp.deliver_body(smgp.Deliver(MSG_ID, "1", "1", report, 0, 1))),
            (smgp.SUBMIT | 1 << 31, smgp.result_body(MSG_ID, 0)),
            (smgp.ACTIVE_TEST, b""),
        ]
    else:
        header = 20
        said = [
            (sgip.DELIVER, sgip.deliver_body(sgip.Deliver("86130", "1", b"TD"))),
            (sgip.DELIVER, sgip.deliver_body(sgip.Deliver("86130", "1", PART, 8, 1))),
            (sgip.REPORT, sgip.report_body(sgip.Report(7, "86130", 0))),
            (sgip.USER_REPORT, sgip.user_report_body(sgip.UserReport("1", "86130", 1))),
            (sgip.SUBMIT | 1 << 31, sgip.result_body(0)),
        ]
    return [
        (header + len(body)).to_bytes(4, "big")
        + command_id.to_bytes(4, "big")
        + (1).to_bytes(header - 8, "big")
        + body
        for command_id, body in said
    ]


class Nowhere(asyncio.Transport):
    """The far end of a connection that is nowhere: what is written is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.octets = 0
        self.closed = False

    def write(self, data: object) -> None:
        self.octets += len(data)  # type: ignore[arg-type]

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


def storable(words: str, most_characters: int) -> None:
    """PostgreSQL takes it."""
    assert "\0" not in words
    words.encode()
    assert len(words) <= most_characters


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_no_octets_are_too_odd(name: str) -> None:
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    stored = 0

    async def replies(items: Sequence[Reply]) -> None:
        nonlocal stored
        stored += len(items)
        for it in items:
            storable(it.text, 2_000)
            for word in (it.address, it.to, it.source_id):
                storable(word, 100)

    async def receipts(items: Sequence[Receipt]) -> None:
        nonlocal stored
        stored += len(items)
        for it in items:
            storable(it.carrier_id, 100)
            storable(it.code, 20)

    async with world(name) as there:
        channel = there.channel()
        channel.inbound.start(Inbox(replies=replies, receipts=receipts))
        whole = seeds(name)
        for number, octets in enumerate([*whole, *mutated(whole, 5_000, seed=2)]):
            session, nowhere = channel.new_session(), Nowhere()
            session.connection_made(nowhere)
            session._admitted = True
            session.open_window()
            waiting = asyncio.ensure_future(session.submit([b"x"]))
            await asyncio.sleep(0)
            if number % 2:  # the length at least is right, so that the body is read
                octets = len(octets).to_bytes(4, "big") + octets[4:]
            size = 1 + number % 97
            for at in range(0, len(octets), size):
                if not nowhere.closed:
                    session.data_received(octets[at : at + size])
            await asyncio.sleep(0)
            assert len(session._rest) <= session.max_octets
            assert nowhere.octets <= 200 + 3 * len(octets)
            session.connection_lost(None)
            assert len(await waiting) == 1
        await channel.inbound.stop()
    assert stored > 200
    assert not failed
