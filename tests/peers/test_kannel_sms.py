"""The HTTP channel against Kannel's smsbox: ours → Kannel → SMPP → telephones, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port

from channels.base import Outgoing
from channels.carriers.smsc import Change, Smsc, SmscSettings
from channels.http.channel import HttpChannel
from channels.http.signature import key_of
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until
from tests.channels.http.conftest import MEANS, mounted, settings
from tests.peers.kannel import kannel

NUMBER = "+8613800138000"


@asynccontextmanager
async def through_kannel(folder: Path) -> AsyncIterator[tuple[HttpChannel, Kept, Smsc]]:
    """The channel with the preset `kannel`, at a Kannel that is bound to our carrier."""
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01))
    bound: list[Change] = []
    smsc.on_change.append(bound.append)
    await smsc.start()
    port = unused_port()
    site = f"http://127.0.0.1:{port}"
    replies = f"{site}/callbacks/sms/replies?key={key_of(MEANS.secret, 'sms')}"
    try:
        async with kannel(
            folder, smsc.port, mo_url=f"{replies}&sender=%p&to=%P&text=%b&id=%I"
        ) as peer:
            await until(lambda: any(change.kind == "bound" for change in bound))
            made = settings(
                preset="kannel",
                public_url=site,
                sender="10086",
                values={
                    "username": "tester",
                    "password": "foobar",
                    "base": f"http://127.0.0.1:{peer.sendsms_port}",
                },
            )
            async with mounted(made, port) as (channel, kept):
                yield channel, kept, smsc
    finally:
        await smsc.stop()


@pytest.mark.parametrize("words", ["Hello @ {€}", "您好，账单已出。回复1查询", "long " * 60])
async def test_what_we_hand_to_kannel_is_on_the_phone_and_its_receipt_is_ours(
    tmp_path: Path, words: str
) -> None:
    async with through_kannel(tmp_path) as (channel, kept, smsc):
        [outcome] = await channel.send([Outgoing(77, 1, NUMBER, Content(text=words))])
        assert (outcome.result, outcome.carrier_id, outcome.reason) == ("accepted", "77", "")
        phone = smsc.handset(NUMBER)
        await until(lambda: phone.arrived)
        assert phone.arrived[0].text == words
        await until(lambda: kept.receipts)
        assert {(it.carrier_id, it.state) for it in kept.receipts} == {("77", "delivered")}


async def test_what_the_phone_says_comes_in_by_kannel(
    tmp_path: Path,
) -> None:
    async with through_kannel(tmp_path) as (_, kept, smsc):
        phone = smsc.handset(NUMBER)
        phone.say("退订 TD & stop=1", "10086")
        phone.say("second", "10086")
        await until(lambda: len(kept.replies) == 2)
        assert {(it.address, it.text) for it in kept.replies} == {
            (NUMBER, "退订 TD & stop=1"),
            (NUMBER, "second"),
        }
        assert len({it.source_id for it in kept.replies}) == 2


async def test_a_wrong_password_is_a_refusal_with_kannels_words(tmp_path: Path) -> None:
    async with through_kannel(tmp_path) as (channel, _, smsc):
        wrong = settings(
            preset="kannel",
            public_url="http://127.0.0.1:9",
            values={**channel.settings.values, "password": "wrong"},
        )
        async with mounted(wrong, unused_port()) as (other, _):
            [outcome] = await other.send([Outgoing(1, 1, NUMBER, Content(text="Hi"))])
        assert (outcome.result, outcome.code) == ("rejected", "403")
        assert not smsc.handset(NUMBER).arrived
