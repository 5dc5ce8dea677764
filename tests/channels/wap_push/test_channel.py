"""The channel over SMS: what phones show, keep, replace and drop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels.base import Held, Means, Outgoing, Prepared
from channels.carriers.handset import Handset
from channels.carriers.smsc import Smsc, SmscSettings
from channels.registry import kind_of
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from channels.wap_push.channel import WapPush
from channels.wap_push.settings import WapPushSettings
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until

NUMBER = "+8613800138000"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Bench:
    """The channel, the phone, and a clock that both go by."""

    def __init__(
        self, smsc: Smsc, sms: SmsChannel, channel: WapPush, kept: Kept, clock: list[datetime]
    ) -> None:
        self.sms, self.channel, self.kept, self.clock = sms, channel, kept, clock
        self.phone: Handset = smsc.handset(NUMBER)

    def message(self, number: int, text: str = "Hi", **said: Any) -> Outgoing:
        href = said.pop("href", "http://wap.example/start")
        content = Content(text=text, href=href, action=said.pop("action", ""))
        return Outgoing(number, 1, NUMBER, content, **said)

    async def push(self, *messages: Outgoing) -> None:
        """They were accepted, and the network has settled each."""
        before = len(self.kept.receipts)
        outcomes = await self.channel.send(messages)
        assert {it.result for it in outcomes} == {"accepted"}
        await until(lambda: len(self.kept.receipts) == before + len(messages))

    def shown(self) -> list[tuple[str, str]]:
        return [(it.text, it.href) for it in self.phone.arrived]


@asynccontextmanager
async def benched(**wishes: Any) -> AsyncIterator[Bench]:
    clock = [START]
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01), now=lambda: clock[0])
    await smsc.start()
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086"
    sms, kept = SmsChannel(SmppSettings.from_url(url)), Kept()
    channel = WapPush("wap_push", WapPushSettings(**wishes), sms, lambda: clock[0])
    await sms.start(kept.inbox)
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")
    yield Bench(smsc, sms, channel, kept, clock)
    await channel.stop()
    await sms.stop()
    await smsc.stop()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with benched() as made:
        yield made


async def test_a_long_push_arrives_whole_as_one_notice(bench: Bench) -> None:
    words = "五大入口任您选：" * 12
    await bench.push(bench.message(1, words, href="https://www.example.com/" + "x" * 200))
    assert bench.shown() == [(words, "https://www.example.com/" + "x" * 200)]
    assert bench.phone.arrived[0].parts == 5
    assert bench.phone.arrived[0].sender == "10086"


async def test_a_later_message_of_the_same_step_takes_the_place_of_the_earlier(
    bench: Bench,
) -> None:
    await bench.push(bench.message(1, "old", series="days/offer"))
    await bench.push(bench.message(2, "other", series="days/quiz"))
    bench.clock[0] += timedelta(days=1)
    await bench.push(bench.message(3, "new", series="days/offer"))
    assert [text for text, _ in bench.shown()] == ["other", "new"]


async def test_messages_of_no_step_stand_side_by_side(bench: Bench) -> None:
    await bench.push(bench.message(1, "one"))
    await bench.push(bench.message(2, "two"))
    assert [text for text, _ in bench.shown()] == ["one", "two"]


async def test_messages_of_a_step_stand_side_by_side_if_the_channel_is_not_to_replace() -> None:
    async with benched(replaces=False) as bench:
        await bench.push(bench.message(1, "one", series="a/b"))
        await bench.push(bench.message(2, "two", series="a/b"))
        assert [text for text, _ in bench.shown()] == ["one", "two"]


async def test_a_cancelled_message_is_gone_from_the_phone(bench: Bench) -> None:
    one, two = bench.message(1, "one"), bench.message(2, "two")
    await bench.push(one, two)
    [outcome] = await bench.channel.cancel([one])
    assert outcome.result == "accepted"
    await until(lambda: [text for text, _ in bench.shown()] == ["two"])


async def test_a_push_that_the_carrier_still_holds_is_recalled_there(bench: Bench) -> None:
    bench.phone.switch_off()
    one = bench.message(1, "one", contact_class="news", series="days/offer")
    [outcome] = await bench.channel.send([one])
    held = Held(one, outcome.carrier_id)
    assert [it.word for it in await bench.channel.query([held])] == ["held"]
    assert [it.word for it in await bench.channel.recall([held])] == ["recalled"]
    bench.phone.switch_on()
    await bench.push(bench.message(2, "two"))
    assert [text for text, _ in bench.shown()] == ["two"]


async def test_a_push_that_was_delivered_is_withdrawn_from_the_phone(bench: Bench) -> None:
    one = bench.message(1, "one", valid_until=START - timedelta(hours=1))
    await bench.push(one, bench.message(2, "two"))
    ids = {it.carrier_id for it in bench.kept.receipts}
    held = Held(one, min(ids))
    assert [it.word for it in await bench.channel.query([held])] == ["delivered"]
    [fate] = await bench.channel.recall([held])
    assert (fate.word, fate.reason) == ("withdrawn", "the phone is told to delete it")
    await until(lambda: [text for text, _ in bench.shown()] == ["two"])


async def test_what_no_phone_keeps_by_a_name_cannot_be_withdrawn(bench: Bench) -> None:
    loaded = bench.message(1, action="execute-low")
    await bench.push(loaded)
    [receipt] = bench.kept.receipts
    [fate] = await bench.channel.recall([Held(loaded, receipt.carrier_id)])
    assert fate.word == "delivered"
    [nameless] = await bench.channel.recall([Held(loaded)])
    assert (nameless.word, nameless.reason) == (
        "cannot",
        "a phone keeps nothing of it that could be deleted",
    )


async def test_a_notice_is_dropped_by_the_phone_when_it_is_over(bench: Bench) -> None:
    until_noon = START + timedelta(hours=3)
    await bench.push(bench.message(1, "today", valid_until=until_noon))
    bench.clock[0] = until_noon + timedelta(hours=71)
    await bench.push(bench.message(2, "later"))
    assert [text for text, _ in bench.shown()] == ["today", "later"]
    bench.clock[0] = until_noon + timedelta(hours=72)
    await bench.push(bench.message(3, "last"))
    assert [text for text, _ in bench.shown()] == ["later", "last"]


async def test_the_template_decides_before_the_class_and_the_class_before_the_channel() -> None:
    async with benched(action="signal-none", actions={"urgent": "execute-high"}) as bench:
        await bench.push(bench.message(1, "silent"))
        await bench.push(bench.message(2, "loaded", contact_class="urgent"))
        await bench.push(bench.message(3, "said", contact_class="urgent", action="signal-low"))
        await bench.push(bench.message(4, "Shop", action="bookmark"))
        link = "http://wap.example/start"
        assert bench.shown() == [("", link), ("said", link), ("Shop", link)]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"text": ""}, "no words"),
        ({"href": ""}, "no link"),
        ({"href": "javascript:alert(1)"}, "no link"),
        ({"href": "http://a b\n"}, "no link"),
        ({"action": "shout"}, "wap_push_action"),
        ({"action": "delete"}, "wap_push_action"),
        ({"text": "long " * 300}, "max_sms"),
        ({"text": "a\0b"}, "U+0000"),
    ],
)
async def test_what_cannot_be_pushed_is_refused_for_good_and_says_why(
    bench: Bench, said: dict[str, str], why: str
) -> None:
    [outcome] = await bench.channel.send([bench.message(1, **said)])
    assert (outcome.result, outcome.retry) == ("rejected", "never")
    assert why in outcome.reason


async def test_a_phone_shows_nothing_of_a_push_that_it_cannot_read(bench: Bench) -> None:
    parts = (b"\x06\x05\x04\x0b\x84\x23\xf0\x01\x06\x01\xae\xff\xff",)
    [outcome] = await bench.sms.submit([Prepared(1, NUMBER, parts)])
    assert outcome.result == "accepted"
    await until(lambda: bench.kept.receipts)
    assert bench.shown() == []


async def test_octets_that_fit_into_no_short_message_are_refused(bench: Bench) -> None:
    batch = [Prepared(1, NUMBER, (bytes(141),)), Prepared(2, NUMBER, ()), Prepared(3, "x", (b"a",))]
    assert {it.result for it in await bench.sms.submit(batch)} == {"rejected"}


def test_a_channel_that_carries_no_octets_is_refused_as_bearer() -> None:
    async def none(channel: str, address: str, limit: int) -> list[Any]:
        return []

    means = Means(b"0123456789abcdef", lambda: START, none, {})
    with pytest.raises(OutreachError, match="wap_push cannot go over sms"):
        kind_of("wap_push").build("wap_push", WapPushSettings(), means)
