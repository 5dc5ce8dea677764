"""Pushes over every kind of channel that carries prepared octets."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime

import pytest

from channels.base import Bearer, Outgoing
from channels.wap_push.channel import WapPush
from channels.wap_push.settings import WapPushSettings
from orchestrator.core.model import Content
from tests.channels.contract.rig import until


@pytest.mark.parametrize("kind", ["sms", "cmpp", "sgip", "smgp"])
@pytest.mark.parametrize("words", ["Hi", "五大入口任您选：" * 12])
async def test_a_push_arrives_and_its_receipt_comes_by_the_bearers_name(
    kind: str, words: str
) -> None:
    table = importlib.import_module(f"tests.channels.contract.{kind}")
    async with table.rig(deadline_s=60.0) as rig:
        bearer = rig.channel
        assert isinstance(bearer, Bearer)
        channel = WapPush("wap_push", WapPushSettings(), bearer, lambda: datetime.now(UTC))
        await channel.start(rig.kept.inbox)
        number = rig.reachable[0]
        content = Content(text=words, href="http://wap.example/start")
        [outcome] = await channel.send([Outgoing(1, 1, number, content)])
        assert outcome.result == "accepted"
        await until(lambda: rig.shown(number))
        assert list(rig.shown(number)) == [words]
        await until(lambda: rig.kept.receipts)
        [receipt] = rig.kept.receipts
        assert (receipt.channel, receipt.carrier_id) == (bearer.name, outcome.carrier_id)
