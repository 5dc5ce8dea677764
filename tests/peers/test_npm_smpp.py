"""Our channel and our carrier against npm `smpp`, which shares no code with us."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.core.delivery import Held, Outgoing
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until
from tests.peers.node import Peer, peer

NUMBER = "+8613800138000"
FROM = {"from": "10086"}


def message(message_id: int, text: str, address: str = NUMBER) -> Outgoing:
    return Outgoing(message_id, message_id, address, Content(text=text))


@asynccontextmanager
async def bound() -> AsyncIterator[tuple[SmsChannel, Kept, Peer]]:
    """Our channel, up, at their carrier."""
    async with peer("smsc.js") as carrier:
        port = (await carrier.next("listening"))["port"]
        url = f"smpp://outreach:secret@127.0.0.1:{port}?source=10086&deadline=5&receipt_ids=same"
        channel, kept = SmsChannel(SmppSettings.from_url(url)), Kept()
        await channel.start(kept.inbox)
        try:
            await until(lambda: channel.health() == "up")
            assert (await carrier.next("bind"))["command"] == "bind_transceiver"
            yield channel, kept, carrier
        finally:
            await channel.stop()


async def test_their_carrier_reads_our_gsm_text_and_its_receipt_comes_back() -> None:
    async with bound() as (channel, kept, carrier):
        [outcome] = await channel.send([message(1, "Hello @ {€} Üniversity")])
        assert (outcome.result, outcome.carrier_id) == ("accepted", "npm-1")
        seen = await carrier.next("submit")
        assert (seen["text"], seen["coding"]) == ("Hello @ {€} Üniversity", 0)
        assert (seen["to"], seen["ton"], seen["from"]) == ("8613800138000", 1, "10086")
        await until(lambda: kept.receipts)
        assert (kept.receipts[0].carrier_id, kept.receipts[0].state) == ("npm-1", "delivered")
        assert (await carrier.next("receipt_answer"))["status"] == 0


async def test_their_carrier_reads_our_chinese_and_emoji() -> None:
    async with bound() as (channel, _, carrier):
        await channel.send([message(1, "您好，账单已出 😀")])
        seen = await carrier.next("submit")
        assert (seen["text"], seen["coding"]) == ("您好，账单已出 😀", 8)


async def test_their_carrier_puts_our_long_messages_together() -> None:
    words = {1: "Dear customer, your {statement} is ready. " * 8, 2: "账单😀" * 60}
    async with bound() as (channel, kept, carrier):
        outcomes = await channel.send([message(key, text) for key, text in words.items()])
        assert {outcome.result for outcome in outcomes} == {"accepted"}
        parts = sum(outcome.parts for outcome in outcomes)
        seen = [await carrier.next("submit") for _ in range(parts)]
        for outcome, reference in zip(
            outcomes, sorted({s["udh"][0][:6] for s in seen}), strict=True
        ):
            mine = [s for s in seen if s["udh"][0].startswith(reference)]
            assert "".join(s["text"] for s in mine) == words[outcome.message_id]
            assert [s["registered"] for s in mine] == [0] * (outcome.parts - 1) + [1]
        await until(lambda: len(kept.receipts) == 2)
        assert {r.carrier_id for r in kept.receipts} == {o.carrier_id for o in outcomes}


async def test_their_refusal_is_a_bare_status() -> None:
    async with bound() as (channel, _, _carrier):
        [outcome] = await channel.send([message(1, "hello", "+8613800138099")])
        assert (outcome.result, outcome.code) == ("rejected", "ESME_RINVDSTADR")


async def test_texts_from_their_carrier_come_in_and_are_acknowledged() -> None:
    async with bound() as (_, kept, carrier):
        # Left to itself, the package labels GSM 7-bit as data_coding 1, which is ASCII (§5.2.19).
        for text, coding in (("TD", 0), ("我要退订 😀", 8), ("{€}", 0)):
            carrier.tell(source_addr="8613800138000", short_message=text, data_coding=coding)
            assert (await carrier.next("deliver_answer"))["status"] == 0
        assert [reply.text for reply in kept.replies] == ["TD", "我要退订 😀", "{€}"]
        assert {reply.address for reply in kept.replies} == {NUMBER}


async def test_a_text_that_could_not_be_stored_is_refused_to_their_carrier() -> None:
    async with bound() as (_, kept, carrier):
        kept.broken = True
        carrier.tell(source_addr="8613800138000", short_message="TD")
        assert (await carrier.next("deliver_answer"))["status"] == 0x64


async def test_a_thousand_messages_in_a_window_all_get_their_own_id() -> None:
    async with bound() as (channel, kept, _):
        outcomes = await channel.send([message(number, f"n {number}") for number in range(1000)])
        assert {outcome.result for outcome in outcomes} == {"accepted"}
        assert len({outcome.carrier_id for outcome in outcomes}) == 1000
        await until(lambda: len(kept.receipts) == 1000)


async def test_their_carrier_is_asked_what_became_of_a_message_and_gives_it_back() -> None:
    async with bound() as (channel, _, carrier):
        [outcome] = await channel.send([message(1, "hello")])
        held, strange = Held(message(1, "hello"), outcome.carrier_id), Held(message(2, "x"), "9")
        assert [it.word for it in await channel.query([held])] == ["held"]
        assert await carrier.next("query") == {"saw": "query", "id": "npm-1", "ton": 0, **FROM}
        assert [it.word for it in await channel.query([strange])] == ["missing"]
        assert [it.word for it in await channel.recall([held])] == ["recalled"]
        asked = {"saw": "cancel", "id": "npm-1", "to": NUMBER[1:], "ton": 1, **FROM}
        assert await carrier.next("cancel") == asked
        [again] = await channel.recall([held])
        assert (again.word, again.code) == ("undelivered", "DELETED")


async def test_they_are_asked_to_unbind() -> None:
    async with bound() as (channel, _, carrier):
        await channel.stop()
        await carrier.next("unbind")


@asynccontextmanager
async def their_customer(password: str = "secret") -> AsyncIterator[tuple[Smsc, Peer]]:
    """Their customer, connected to our carrier."""
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01))
    await smsc.start()
    try:
        async with peer("esme.js", str(smsc.port), password) as customer:
            yield smsc, customer
    finally:
        await smsc.stop()


async def test_their_customer_sends_through_our_carrier_and_gets_a_receipt() -> None:
    async with their_customer() as (smsc, customer):
        assert (await customer.next("bound"))["carrier"] == "simulated"
        # Left to itself, the package labels GSM 7-bit as data_coding 1, which is ASCII (§5.2.19).
        for text, coding in (("Hello @ {€}", 0), ("您好 😀", 8)):
            customer.tell(
                command="submit_sm",
                destination_addr="8613800138000",
                dest_addr_ton=1,
                source_addr="10086",
                registered_delivery=1,
                data_coding=coding,
                short_message=text,
            )
            answer = await customer.next("answer")
            assert answer["status"] == 0
            receipt = await customer.next("deliver")
            assert (receipt["esm_class"], receipt["state"]) == (4, 2)
            assert receipt["receipted"] == answer["id"]
            assert smsc.handset(NUMBER).arrived[-1].text == text


async def test_their_customer_hears_our_handsets_in_one_part_and_in_several() -> None:
    async with their_customer() as (smsc, customer):
        await customer.next("bound")
        short = smsc.handset(NUMBER).say("兑换 😀", "10086")
        heard = await customer.next("deliver")
        assert (heard["text"], heard["from"], heard["to"]) == ("兑换 😀", "8613800138000", "10086")
        words = "I would like to know more. " * 10
        long = smsc.handset(NUMBER).say(words, "10086")
        parts = [await customer.next("deliver") for _ in range(2)]
        assert "".join(part["text"] for part in parts) == words
        assert [part["udh"][0][-4:] for part in parts] == ["0201", "0202"]
        await until(lambda: short.acknowledged_at and long.acknowledged_at)


async def test_their_customer_asks_our_carrier_for_a_message_and_takes_it_back() -> None:
    async with their_customer() as (smsc, customer):
        smsc.now = lambda: datetime(2026, 11, 22, 4, 5, 6, tzinfo=UTC)
        smsc.handset(NUMBER).switch_off()
        await customer.next("bound")
        to = {"destination_addr": NUMBER[1:], "dest_addr_ton": 1, "source_addr": "10086"}
        customer.tell(command="submit_sm", short_message="hello", **to)
        taken = (await customer.next("answer"))["id"]
        ours = {"message_id": taken, "source_addr": "10086"}
        customer.tell(command="query_sm", **ours)
        held = await customer.next("answer")
        assert (held["id"], held["state"], held["ended"]) == (taken, 1, None)
        for status in (0, 0x11):
            customer.tell(command="cancel_sm", **ours)
            assert (await customer.next("answer"))["status"] == status
        customer.tell(command="query_sm", **ours)
        over = await customer.next("answer")
        assert (over["state"], over["ended"]) == (4, "2026-11-22T04:05:06.000Z")


async def test_their_customer_may_query_and_is_refused_with_a_wrong_password() -> None:
    async with their_customer() as (_, customer):
        await customer.next("bound")
        customer.tell(command="enquire_link")
        assert (await customer.next("answer"))["status"] == 0
        customer.tell(command="query_sm", message_id="999")
        assert (await customer.next("answer"))["status"] == 0x67
        customer.tell(command="submit_sm", destination_addr="nobody", short_message="x")
        assert (await customer.next("answer"))["status"] == 0x0B
    async with their_customer("wrong") as (_, customer):
        assert (await customer.next("bound"))["status"] == 0x0E
