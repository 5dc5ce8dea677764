"""What the channels over CMPP, SMGP and SGIP have in common, at their simulated gateways."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from channels.base import Bearer, Prepared
from orchestrator.core.delivery import Outgoing
from orchestrator.core.model import Content
from tests.channels.china.worlds import NUMBER, PROTOCOLS, World, message, world
from tests.channels.contract.rig import Kept, until

LONG = "Dear customer, your statement is ready. " * 10
CHINESE = "尊敬的客户，您的账单已出。" * 12


@pytest.fixture(params=PROTOCOLS)
async def there(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(request.param) as made:
        yield made


@pytest.mark.parametrize("words", [LONG, CHINESE, "😀" * 200])
@pytest.mark.parametrize("chinese", ["ucs2", "gbk"])
async def test_a_long_message_is_one_message_with_one_receipt(
    there: World, words: str, chinese: str
) -> None:
    async with there.up(chinese=chinese) as (channel, kept):
        [outcome] = await channel.send([message(1, words)])
        assert outcome.result == "accepted"
        assert outcome.parts > 1
        handset = there.exchange.handset(NUMBER)
        await until(lambda: handset.arrived)
        [arrived] = handset.arrived
        assert (arrived.text, arrived.parts, arrived.sender) == (words, outcome.parts, "10086")
        await until(lambda: kept.receipts)
        await asyncio.sleep(0.05)
        assert [it.carrier_id for it in kept.receipts] == [outcome.carrier_id]


async def test_a_long_message_is_as_good_as_its_worst_part(there: World) -> None:
    taken = 0

    def refuse_second(number: str) -> int:
        nonlocal taken
        taken += 1
        return there.protocol.refusal if taken == 2 else 0

    there.exchange.faults.reject = refuse_second
    async with there.up() as (channel, _):
        [outcome] = await channel.send([message(1, LONG)])
    assert (outcome.result, outcome.code, outcome.retry) == (
        "rejected",
        there.protocol.code,
        "never",
    )
    assert "number" in outcome.reason
    assert not there.exchange.handset(NUMBER).arrived


async def test_each_message_may_have_its_own_sender_and_end(there: World) -> None:
    handset = there.exchange.handset(NUMBER)
    handset.switch_off()
    async with there.up() as (channel, kept):
        until_then = datetime.now(UTC) + timedelta(seconds=1)
        await channel.send(
            [Outgoing(1, 1, NUMBER, Content(text="now or never"), "1008611", until_then)]
        )
        await until(lambda: kept.receipts)
        assert kept.receipts[0].state in ("expired", "undelivered")
        await channel.send([Outgoing(2, 1, NUMBER, Content(text="whenever"), "1008612")])
        await until(lambda: there.exchange.submits == 2)
        await asyncio.sleep(0.05)
        handset.switch_on()
        await until(lambda: handset.arrived)
        [arrived] = handset.arrived
        assert (arrived.text, arrived.sender) == ("whenever", "1008612")


async def test_reports_name_the_messages_they_mean(there: World) -> None:
    there.exchange.faults.undeliverable = lambda number: number.endswith("1")
    async with there.up() as (channel, kept):
        batch = [message(number, address=f"+86138001380{number:02d}") for number in range(40)]
        outcomes = await channel.send(batch)
        await until(lambda: len(kept.receipts) == 40)
        by_id = {receipt.carrier_id: receipt for receipt in kept.receipts}
        for outcome in outcomes:
            wanted = "undelivered" if outcome.message_id % 10 == 1 else "delivered"
            assert by_id[outcome.carrier_id].state == wanted


async def test_a_report_that_comes_before_the_answer_is_kept(there: World) -> None:
    there.exchange.faults.drop_responses = 1.0
    async with there.up() as (channel, kept):
        sending = asyncio.create_task(channel.send([message(1)]))
        await until(lambda: kept.receipts)
        assert not sending.done()
        there.exchange.cut()
        [outcome] = await sending
        assert (outcome.result, outcome.carrier_id) == ("unknown", "")


@pytest.mark.parametrize("chinese", ["ucs2", "gbk"])
async def test_a_long_reply_comes_in_whole(chinese: str, request: pytest.FixtureRequest) -> None:
    words = "我想知道更多" * 40
    for name in PROTOCOLS:
        async with world(name, chinese=chinese) as there, there.up() as (_, kept):
            said = there.exchange.handset(NUMBER).say(words, "10086")
            await until(lambda kept=kept: kept.replies)  # type: ignore[misc]
            [reply] = kept.replies
            assert (reply.text, reply.address, reply.to) == (words, NUMBER, "10086")
            await until(lambda said=said: said.acknowledged_at)  # type: ignore[misc]


@pytest.mark.parametrize("words", ["yes", "yes, please " * 30])
async def test_a_reply_that_could_not_be_stored_is_brought_again_and_is_one(
    there: World, words: str
) -> None:
    async with there.up() as (_, kept):
        kept.broken = True
        said = there.exchange.handset(NUMBER).say(words, "10086")
        await until(lambda: kept.refused)
        assert said.acknowledged_at is None
        kept.broken = False
        await until(lambda: said.acknowledged_at)
        assert [reply.text for reply in kept.replies] == [words]


async def test_a_reply_that_is_brought_twice_keeps_its_name(there: World) -> None:
    async with there.up() as (_, kept):
        exchange = there.exchange
        parcel = exchange.message(exchange.handset(NUMBER), "10086", 0, 0, b"1")
        exchange.queue(parcel)
        exchange.queue(parcel)
        await until(lambda: len(kept.replies) == 2)
        assert len({reply.source_id for reply in kept.replies}) == 1


async def test_a_throttling_gateway_gets_everything_more_slowly(there: World) -> None:
    there.exchange.faults.throttle_per_s = 40
    async with there.up(window=20) as (channel, _):
        outcomes = await channel.send([message(number) for number in range(60)])
    assert {outcome.result for outcome in outcomes} <= {"accepted", "unsent"}
    assert sum(outcome.result == "accepted" for outcome in outcomes) >= 40
    assert {it.retry for it in outcomes if it.result == "unsent"} <= {"later"}


async def test_the_agreed_rate_is_kept_on_the_wire(there: World) -> None:
    async with there.up(rate_per_s=100.0) as (channel, _):
        started = time.monotonic()
        outcomes = await channel.send([message(number) for number in range(60)])
        assert time.monotonic() - started >= 0.5
    assert {outcome.result for outcome in outcomes} == {"accepted"}


async def test_lost_answers_are_unknown_and_the_others_are_not(there: World) -> None:
    there.exchange.faults.drop_responses = 0.3
    async with there.up(window=200, deadline_s=3.0) as (channel, _):
        outcomes = await channel.send([message(number) for number in range(200)])
    counts = [sum(o.result == result for o in outcomes) for result in ("accepted", "unknown")]
    assert sum(counts) == 200
    assert 30 <= counts[1] <= 90


async def test_a_cut_connection_leaves_written_unknown_and_the_rest_unsent(there: World) -> None:
    exchange = there.exchange
    exchange.faults.delay_s = 30.0
    async with there.up(window=10) as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(50)]))
        await until(lambda: exchange.submits == 10)
        exchange.cut()
        outcomes = await sending
        assert [outcome.result for outcome in outcomes] == ["unknown"] * 10 + ["unsent"] * 40
        exchange.faults.delay_s = 0.0
        await until(lambda: channel.health() == "up")
        [after] = await channel.send([message(100)])
        assert after.result == "accepted"


async def test_a_slow_gateway_never_has_more_than_the_window(there: World) -> None:
    there.exchange.faults.delay_s = 0.5
    async with there.up(window=7) as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(30)]))
        await until(lambda: there.exchange.submits == 7)
        await asyncio.sleep(0.02)
        assert there.exchange.submits == 7
        assert channel.in_flight() == 7
        there.exchange.faults.delay_s = 0.0
        assert {outcome.result for outcome in await sending} == {"accepted"}


async def test_a_wrong_secret_is_said_clearly_and_tried_again_slowly(
    there: World, caplog: pytest.LogCaptureFixture
) -> None:
    channel = there.channel(secret="wrong", reconnect_s=0.01, refused_s=0.2)
    with caplog.at_level(logging.ERROR, "outreach.sms"):
        await channel.start(Kept().inbox)
        await until(lambda: channel.health() == "down")
        [outcome] = await channel.send([message(1)])
        assert (outcome.result, outcome.retry) == ("unsent", "later")
        assert "refused the login" in outcome.reason
        await until(lambda: len(caplog.records) == 2)
    first, second = caplog.records
    assert second.created - first.created >= 0.2
    await channel.stop()


async def test_a_gateway_that_comes_up_late_is_found(there: World) -> None:
    await there.exchange.stop()
    channel = there.channel(reconnect_max_s=0.1)
    await channel.start(Kept().inbox)
    await until(lambda: channel.trouble)
    assert channel.health() == "connecting"
    await there.exchange.start()
    await until(lambda: channel.health() == "up")
    assert channel.trouble == ""
    await channel.stop()


async def test_stop_waits_for_what_was_handed_in_and_says_goodbye(there: World) -> None:
    there.exchange.faults.delay_s = 0.1
    async with there.up(window=10) as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(20)]))
        await until(lambda: there.exchange.submits)
        await channel.stop()
        assert {outcome.result for outcome in await sending} == {"accepted"}
    await until(lambda: not there.exchange.customers)


async def test_octets_that_another_channel_prepared_go_out_as_they_are(there: World) -> None:
    parts = tuple(bytes((5, 0, 3, 9, 2, number)) + b"\xae\x02\x05" for number in (1, 2))
    async with there.up() as (channel, kept):
        assert isinstance(channel, Bearer)
        [good, wrong] = await channel.submit(
            [Prepared(1, NUMBER, parts), Prepared(2, NUMBER, (b"x" * 141,))]
        )
        by_id = {it.message_id: it for it in (good, wrong)}
        assert (by_id[1].result, by_id[1].parts) == ("accepted", 2)
        assert (by_id[2].result, by_id[2].retry) == ("rejected", "never")
        sent = [it.message for it in there.exchange.taken.values()]
        assert [(it.short_message, it.data_coding, it.esm_class) for it in sent] == [
            (parts[0], 4, 0x40),
            (parts[1], 4, 0x40),
        ]
        await until(lambda: kept.receipts)
        assert kept.receipts[0].carrier_id == by_id[1].carrier_id


@pytest.mark.parametrize("address", ["+4479460000", "+12"])
async def test_a_number_of_another_country_is_refused_where_numbers_are_national(
    there: World, address: str
) -> None:
    async with there.up(numbers="national") as (channel, _):
        [outcome] = await channel.send([message(1, address=address)])
    assert (outcome.result, outcome.retry) == ("rejected", "never")
    assert "China" in outcome.reason or "telephone" in outcome.reason


async def test_a_sender_of_letters_is_refused(there: World) -> None:
    async with there.up() as (channel, _):
        [outcome] = await channel.send([Outgoing(1, 1, NUMBER, Content(text="hi"), "Bank")])
    assert (outcome.result, outcome.retry) == ("rejected", "never")
    assert "sender" in outcome.reason


async def test_numbers_words_and_secrets_never_reach_the_log(
    there: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with there.up() as (channel, kept):
            await channel.send([message(1, "canary-words"), message(2, "\x1bcanary-words")])
            kept.broken = True
            there.exchange.handset(NUMBER).say("canary-reply", "10086")
            await until(lambda: kept.refused)
            there.exchange.cut()
            await until(lambda: "_lost as=" in caplog.text)
            shown = repr(channel._gateway)
    seen = "\n".join(record.getMessage() for record in caplog.records if "sms" in record.name)
    for canary in ("13800138000", "canary", "888888"):
        assert canary not in seen
        assert canary not in shown


async def test_a_gateway_that_talks_nonsense_is_survived(there: World) -> None:
    async with there.up(reconnect_max_s=0.05) as (channel, _):
        for octets in (b"\xff" * 40, b"\0" * 40, bytes(range(256)), b"\0\0\0\x0c\0\0\x77\x77" * 9):
            await until(lambda: there.exchange.customers)
            met = set(there.exchange.customers)
            for customer in met:
                customer.write(octets)
                customer.close()
            await until(lambda met=met: not met & there.exchange.customers)  # type: ignore[misc]
        await until(lambda: there.exchange.customers and channel.health() == "up")
        [outcome] = await channel.send([message(1)])
    assert outcome.result == "accepted"
