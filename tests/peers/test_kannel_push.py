"""Our pushes through Kannel's gateway: PAP → Kannel → SMPP → our carrier's telephones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from channels.base import Means, Outgoing
from channels.carriers.smsc import Change, Smsc, SmscSettings
from channels.pap.channel import PapChannel
from channels.pap.control import Order, order
from channels.pap.parcel import CONTROL, pack
from channels.pap.parcel import Content as Parcel
from channels.pap.settings import PapSettings
from channels.sms import pdu
from channels.wap_push import carriage, documents
from channels.wap_push.authored import document_of
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until
from tests.channels.pap.conftest import no_history
from tests.peers.kannel import Kannel, kannel

NUMBER = "+8613800138000"
NOW = datetime.now(UTC).replace(microsecond=0)
LINK = "http://wap.example.cn/start?a=1&b=2"


class Seen(Smsc):
    """The carrier, and what it was asked to carry."""

    messages: list[pdu.SubmitSm]

    def submitted(self, customer, sequence, message) -> None:  # type: ignore[no-untyped-def]
        self.messages.append(message)
        super().submitted(customer, sequence, message)


@asynccontextmanager
async def pushing(folder: Path, **wishes: Any) -> AsyncIterator[tuple[PapChannel, Seen, Kannel]]:
    """Our channel at Kannel's gateway, and our carrier, to which Kannel is bound."""
    smsc = Seen(SmscSettings(receipt_delay_s=0.01))
    smsc.messages = []
    bound: list[Change] = []
    smsc.on_change.append(bound.append)
    await smsc.start()
    try:
        async with kannel(folder, smsc.port) as peer:
            await until(lambda: any(change.kind == "bound" for change in bound))
            account: dict[str, Any] = {"username": "pi", "password": "pipass", **wishes}
            settings = PapSettings(url=peer.pap_url, **account)
            channel = PapChannel(
                "wap_push", settings, Means(b"0123456789abcdef", lambda: NOW, no_history)
            )
            await channel.start(Kept().inbox)
            try:
                yield channel, smsc, peer
            finally:
                await channel.stop()
    finally:
        await smsc.stop()


def message(number: int, text: str, href: str = LINK, **said: str) -> Outgoing:
    content = Content(text=text, href=href, action=said.get("action", ""))
    valid_until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    return Outgoing(number, 1, NUMBER, content, valid_until=valid_until)


def octets_for_the_phone(smsc: Seen) -> bytes:
    """The WSP push that came, its parts put together."""
    bodies = [it.short_message for it in smsc.messages]
    assert all(carriage.port(it[1 : it[0] + 1]) == carriage.PUSH_PORT for it in bodies)
    return b"".join(it[it[0] + 1 :] for it in bodies)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_kannel_brings_our_notice_to_the_phone(tmp_path: Path, version: str) -> None:
    async with pushing(tmp_path, version=version) as (channel, smsc, _):
        [outcome] = await channel.send([message(1, "您有一条新账单 & more")])
        assert (outcome.result, outcome.reason) == ("accepted", "")
        phone = smsc.handset(NUMBER)
        await until(lambda: phone.arrived)
        [arrived] = phone.arrived
        assert (arrived.text, arrived.href) == ("您有一条新账单 & more", LINK)
        assert arrived.sender.removeprefix("+") == "10086"
        # The same push once more is known to it, and costs the phone nothing.
        [again] = await channel.send([message(1, "您有一条新账单 & more")])
        assert again.result == "accepted"
        assert len(phone.arrived) == 1


async def test_kannel_makes_the_same_octets_of_our_notice_as_we_do(tmp_path: Path) -> None:
    long = "五大入口任您选，" * 20
    async with pushing(tmp_path) as (channel, smsc, _):
        for sent in (
            message(1, "short", "http://www.example.com/offer/1"),
            message(2, long, "https://www.example.org/a"),
            message(3, "x", "http://a.example/x", action="execute-low"),
        ):
            smsc.messages.clear()
            document = document_of(sent, channel.settings, NOW)
            [outcome] = await channel.send([sent])
            assert outcome.result == "accepted"
            ours = carriage.push(*documents.encode(document))
            parts = carriage.parts(ours, 0)
            await until(lambda: len(smsc.messages) == len(parts))  # noqa: B023
            theirs = octets_for_the_phone(smsc)
            assert documents.decode(carriage.unpush(theirs)) == document
            # The first octet numbers its pushes. Its table for links to load lacks a token.
            if sent.content.action != "execute-low":
                assert theirs[1:] == ours[1:]
            assert [(len(it.short_message), it.esm_class & 0x40) for it in smsc.messages] == [
                (len(part), 0x40) for part in parts
            ]
            assert {it.data_coding for it in smsc.messages} == {4}


async def test_kannel_refuses_what_is_wrong_and_we_understand_it(tmp_path: Path) -> None:
    async with pushing(tmp_path, password="wrong") as (channel, smsc, _):
        [outcome] = await channel.send([message(1, "Hi")])
        assert (outcome.result, outcome.code) == ("unsent", "HTTP 401")
        await channel.stop()
        channel.settings = replace(channel.settings, password="pipass")
        await channel.start(Kept().inbox)
        nonsense = pack(
            order(Order("1@x", "WAPPUSH=+86138/TYPE=PLMN@ppg"), "2.0"),
            Parcel("text/vnd.wap.si", b"<si><nonsense"),
        )
        refused = await channel._asked(message(2, "Hi"), *nonsense)
        assert (refused.result, refused.code, refused.retry) == ("rejected", "PAP 3006", "never")
        bad = await channel._asked(message(3, "Hi"), CONTROL, b"<pap>nonsense")
        assert bad.result == "rejected"
        assert not smsc.messages
