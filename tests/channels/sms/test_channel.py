"""The SMS channel against the simulated carrier: long messages, receipts, replies, trouble."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from channels.base import Inbox
from channels.carriers.customer import Delivery
from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms import codec, pdu, status
from channels.sms.batch import NO_ANSWER, Batch
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.core.delivery import Outgoing
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until
from tests.channels.sms.conftest import CALLED, NUMBER, bound, message

LONG = "Dear customer, your statement is ready. " * 10


async def test_a_long_message_is_one_message_with_one_receipt(smsc: Smsc) -> None:
    async with bound(smsc.port) as (channel, kept):
        [outcome] = await channel.send([message(1, LONG)])
        assert (outcome.result, outcome.parts) == ("accepted", 3)
        await until(lambda: smsc.handset(NUMBER).arrived)
        [arrived] = smsc.handset(NUMBER).arrived
        assert (arrived.text, arrived.parts, arrived.sender) == (LONG, 3, "10086")
        await until(lambda: kept.receipts)
        await asyncio.sleep(0.05)
        [receipt] = kept.receipts
        assert receipt.carrier_id == outcome.carrier_id


async def test_a_long_message_is_as_good_as_its_worst_part(smsc: Smsc) -> None:
    taken = 0

    def refuse_second(number: str) -> int:
        nonlocal taken
        taken += 1
        return status.SYSTEM_ERROR if taken == 2 else status.OK

    smsc.faults.reject = refuse_second
    async with bound(smsc.port) as (channel, _):
        [outcome] = await channel.send([message(1, LONG)])
    assert (outcome.result, outcome.code, outcome.retry) == ("rejected", "ESME_RSYSERR", "later")
    assert outcome.parts == 3
    assert not smsc.handset(NUMBER).arrived


async def test_each_message_may_have_its_own_sender_and_end(smsc: Smsc) -> None:
    smsc.handset(NUMBER).switch_off()
    async with bound(smsc.port) as (channel, kept):
        until_then = datetime.now(UTC) + timedelta(seconds=1)
        await channel.send(
            [Outgoing(1, 1, NUMBER, Content(text="now or never"), "Bank", until_then)]
        )
        await until(lambda: kept.receipts)
        assert kept.receipts[0].state == "expired"
        await channel.send([Outgoing(2, 1, NUMBER, Content(text="whenever"), "+8610000")])
        await until(lambda: smsc.submits == 2)
        await asyncio.sleep(0.05)
        smsc.handset(NUMBER).switch_on()
        [arrived] = smsc.handset(NUMBER).arrived
        assert (arrived.text, arrived.sender) == ("whenever", "+8610000")


@pytest.mark.parametrize("ids", ["decimal", "hex"])
@pytest.mark.parametrize("tlvs", [True, False])
async def test_receipts_are_matched_however_ids_are_written(ids: str, tlvs: bool) -> None:
    smsc = Smsc(SmscSettings(message_ids=ids, receipt_tlvs=tlvs, receipt_delay_s=0.02))  # type: ignore[arg-type]
    await smsc.start()
    smsc.faults.undeliverable = lambda number: number.endswith("1")
    async with bound(smsc.port) as (channel, kept):
        batch = [message(number, address=f"+86138001380{number:02d}") for number in range(40)]
        outcomes = await channel.send(batch)
        await until(lambda: len(kept.receipts) == 40)
        by_id = {receipt.carrier_id: receipt for receipt in kept.receipts}
        for outcome in outcomes:
            wanted = "undelivered" if outcome.message_id % 10 == 1 else "delivered"
            assert by_id[outcome.carrier_id].state == wanted
    await smsc.stop()


async def test_receipts_that_come_while_their_batch_is_under_way_are_matched() -> None:
    smsc = Smsc(SmscSettings(message_ids="hex", receipt_tlvs=False, receipt_delay_s=0.0))
    await smsc.start()
    async with bound(smsc.port, "&rate=200") as (channel, kept):
        sending = asyncio.create_task(channel.send([message(number) for number in range(60)]))
        await until(lambda: len(kept.receipts) > 20)
        assert not sending.done()
        outcomes = await sending
        await until(lambda: len(kept.receipts) == 60)
        ids = {receipt.carrier_id for receipt in kept.receipts}
        assert ids == {outcome.carrier_id for outcome in outcomes}
    await smsc.stop()


async def test_a_receipt_that_comes_before_the_response_is_kept(smsc: Smsc) -> None:
    smsc.faults.drop_responses = 1.0
    async with bound(smsc.port) as (channel, kept):
        sending = asyncio.create_task(channel.send([message(1)]))
        await until(lambda: kept.receipts)
        assert not sending.done()
        smsc.cut()
        [outcome] = await sending
        assert outcome.result == "unknown"


async def test_a_long_reply_comes_in_whole(smsc: Smsc) -> None:
    words = "我想知道更多 😀" * 40
    async with bound(smsc.port) as (_, kept):
        said = smsc.handset(NUMBER).say(words, "10086")
        await until(lambda: kept.replies)
        [reply] = kept.replies
        assert (reply.text, reply.address, reply.to) == (words, NUMBER, "10086")
        await until(lambda: said.acknowledged_at)


@pytest.mark.parametrize("way", ["sar", "payload"])
async def test_a_long_reply_may_come_by_optional_parameters(smsc: Smsc, way: str) -> None:
    words = "Can you tell me more, please? " * 10
    pieces = [words] if way == "payload" else [words[:150], words[150:]]
    async with bound(smsc.port) as (_, kept):
        [customer] = smsc.customers
        for number, piece in enumerate(pieces, 1):
            tlvs = {
                "payload": ((pdu.MESSAGE_PAYLOAD, piece.encode()),),
                "sar": (
                    (pdu.SAR_REFERENCE, b"\1\2"),
                    (pdu.SAR_TOTAL, b"\2"),
                    (pdu.SAR_NUMBER, bytes((number,))),
                ),
            }[way]
            triples = (codec.address(1, 1, NUMBER[1:]), codec.address(0, 1, "10086"))
            short = piece.encode() if way == "sar" else b""
            body = codec.message_body(*triples, 0, 0, 0, short, b"", codec.pack_tlvs(*tlvs))
            customer.deliver(Delivery("outreach", body))
        await until(lambda: kept.replies)
        assert [reply.text for reply in kept.replies] == [words]


async def test_a_reply_waits_until_somebody_is_bound(smsc: Smsc) -> None:
    said = smsc.handset(NUMBER).say("anybody there?", "10086")
    assert said.acknowledged_at is None
    async with bound(smsc.port) as (_, kept):
        await until(lambda: said.acknowledged_at)
        assert kept.replies[0].text == "anybody there?"


@pytest.mark.parametrize("words", ["yes", "yes, please " * 30])
async def test_a_reply_that_could_not_be_stored_is_brought_again_and_is_one(
    smsc: Smsc, words: str
) -> None:
    async with bound(smsc.port) as (_, kept):
        kept.broken = True
        said = smsc.handset(NUMBER).say(words, "10086")
        await until(lambda: kept.refused)
        assert said.acknowledged_at is None
        kept.broken = False
        await until(lambda: said.acknowledged_at)
        assert [reply.text for reply in kept.replies] == [words]


async def test_a_reply_whose_answer_was_lost_with_the_connection_keeps_its_name() -> None:
    smsc = Smsc(SmscSettings(redeliver_after_s=30))
    await smsc.start()
    names: list[str] = []
    stored = asyncio.Event()

    async def store_slowly(replies: list[object]) -> None:
        names.extend(reply.source_id for reply in replies)  # type: ignore[attr-defined]
        if len(names) == 1:
            smsc.cut()
            stored.set()

    async def ignore(receipts: object) -> None: ...

    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?reconnect=0.05"
    channel = SmsChannel(SmppSettings.from_url(url))
    await channel.start(Inbox(replies=store_slowly, receipts=ignore))  # type: ignore[arg-type]
    said = smsc.handset(NUMBER).say("1", "10086")
    await stored.wait()
    await until(lambda: said.acknowledged_at)
    assert len(names) == 2
    assert len(set(names)) == 1
    await channel.stop()
    await smsc.stop()


async def test_the_same_words_over_two_living_connections_are_two_replies(smsc: Smsc) -> None:
    async with bound(smsc.port, CALLED.replace("transmitter", "transceiver")) as (channel, kept):
        await smsc.outbind("127.0.0.1", channel.outbind_port, "knock")
        await until(lambda: len(smsc.customers) == 2)
        for customer in smsc.customers:
            words = (codec.address(1, 1, NUMBER[1:]), codec.address(0, 1, "10086"))
            customer.deliver(Delivery("outreach", codec.message_body(*words, 0, 0, 0, b"1")))
        await until(lambda: len(kept.replies) == 2)
        assert len({reply.source_id for reply in kept.replies}) == 2


async def test_what_arrives_together_is_stored_together(smsc: Smsc) -> None:
    calls: list[int] = []

    async def store(items: list[object]) -> None:
        calls.append(len(items))

    for number in range(200):
        smsc.handset(f"+8613800{number:06d}").say("1", "10086")
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}"
    channel = SmsChannel(SmppSettings.from_url(url))
    await channel.start(Inbox(replies=store, receipts=store))  # type: ignore[arg-type]
    await until(lambda: sum(calls) == 200)
    assert len(calls) < 10
    await channel.stop()


async def test_one_reply_that_cannot_be_stored_does_not_hold_up_the_others(smsc: Smsc) -> None:
    kept: list[str] = []

    async def store(replies: list[object]) -> None:
        texts = [reply.text for reply in replies]  # type: ignore[attr-defined]
        if "poison" in texts:
            raise RuntimeError("cannot store that")
        kept.extend(texts)

    async def ignore(receipts: object) -> None: ...

    for number in range(9):
        words = "poison" if number == 4 else f"reply {number}"
        smsc.handset(f"+861380013800{number}").say(words, "10086")
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}"
    channel = SmsChannel(SmppSettings.from_url(url))
    await channel.start(Inbox(replies=store, receipts=ignore))  # type: ignore[arg-type]
    await until(lambda: len(kept) >= 8)
    assert sorted(set(kept)) == [f"reply {number}" for number in range(9) if number != 4]
    await channel.stop()


async def test_a_throttling_carrier_gets_everything_more_slowly(smsc: Smsc) -> None:
    smsc.faults.throttle_per_s = 40
    async with bound(smsc.port, "&window=20") as (channel, _):
        outcomes = await channel.send([message(number) for number in range(60)])
    results = {outcome.result for outcome in outcomes}
    assert results <= {"accepted", "unsent"}
    accepted = [outcome for outcome in outcomes if outcome.result == "accepted"]
    assert len(accepted) >= 40
    for outcome in outcomes:
        if outcome.result == "unsent":
            assert outcome.retry == "later"


async def test_the_agreed_rate_is_kept_on_the_wire(smsc: Smsc) -> None:
    async with bound(smsc.port, "&rate=100") as (channel, _):
        started = time.monotonic()
        outcomes = await channel.send([message(number) for number in range(60)])
        took_s = time.monotonic() - started
    assert {outcome.result for outcome in outcomes} == {"accepted"}
    assert took_s >= 0.5


async def test_an_answer_to_one_person_passes_a_blast(smsc: Smsc) -> None:
    async with bound(smsc.port, "&rate=100") as (channel, _):
        blast = asyncio.create_task(channel.send([message(number) for number in range(150)]))
        await until(lambda: smsc.submits)
        [outcome] = await channel.send([message(1000, address="+8613800138001")])
        assert outcome.result == "accepted"
        assert not blast.done()
        assert smsc.submits < 100
        await blast


@pytest.mark.parametrize("words", ["hello", LONG])
async def test_an_answer_after_its_deadline_is_told_later(smsc: Smsc, words: str) -> None:
    async with bound(smsc.port, deadline_s=0.5) as (channel, kept):
        smsc.faults.delay_s = 1.5
        [outcome] = await channel.send([message(7, words)])
        assert outcome.result == "unknown"
        await until(lambda: kept.late and kept.receipts)
        [late], [receipt] = kept.late, kept.receipts
        assert (late.subscriber_id, late.message_id) == (7, 7)
        assert late.carrier_id == receipt.carrier_id


async def test_an_answer_that_is_late_while_others_are_awaited_takes_its_place() -> None:
    told: list[int] = []
    batch = Batch((b"", b"", b""), asyncio.get_running_loop().create_future(), 0.0, told.append)
    batch.settle(0, NO_ANSWER)
    batch.correct(0, (0, "a"))
    batch.settle(1, NO_ANSWER)
    batch.settle(2, NO_ANSWER)
    assert await batch.done == [(0, "a"), NO_ANSWER, NO_ANSWER]
    batch.correct(1, (0, "b"))
    batch.correct(2, (status.SYSTEM_ERROR, ""))
    assert told == [1]
    assert batch.answers == [(0, "a"), (0, "b"), NO_ANSWER]


async def test_lost_answers_are_unknown_and_the_others_are_not(smsc: Smsc) -> None:
    smsc.faults.drop_responses = 0.3
    async with bound(smsc.port, deadline_s=3.0) as (channel, _):
        outcomes = await channel.send([message(number) for number in range(200)])
    counts = {
        result: sum(o.result == result for o in outcomes) for result in ("accepted", "unknown")
    }
    assert sum(counts.values()) == 200
    assert 30 <= counts["unknown"] <= 90


async def test_a_cut_connection_leaves_written_unknown_and_the_rest_unsent(smsc: Smsc) -> None:
    smsc.faults.delay_s = 30.0
    async with bound(smsc.port, "&window=10") as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(50)]))
        await until(lambda: smsc.submits == 10)
        smsc.cut()
        outcomes = await sending
        assert [outcome.result for outcome in outcomes] == ["unknown"] * 10 + ["unsent"] * 40
        smsc.faults.delay_s = 0.0
        await until(lambda: channel.health() == "up")
        [after] = await channel.send([message(100)])
        assert after.result == "accepted"


async def test_a_slow_carrier_never_has_more_than_the_window(smsc: Smsc) -> None:
    smsc.faults.delay_s = 0.5
    async with bound(smsc.port, "&window=7") as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(30)]))
        await until(lambda: smsc.submits == 7)
        await asyncio.sleep(0.02)
        assert smsc.submits == 7
        smsc.faults.delay_s = 0.0
        assert {outcome.result for outcome in await sending} == {"accepted"}


async def test_a_wrong_password_is_said_clearly_and_tried_again_slowly(
    smsc: Smsc, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"smpp://outreach:wrong@127.0.0.1:{smsc.port}?reconnect=0.01&refused=0.2"
    channel = SmsChannel(SmppSettings.from_url(url))
    with caplog.at_level(logging.ERROR, "outreach.sms"):
        await channel.start(Kept().inbox)
        await until(lambda: channel.health() == "down")
        [outcome] = await channel.send([message(1)])
        assert (outcome.result, outcome.retry) == ("unsent", "later")
        assert "ESME_RINVPASWD" in outcome.reason
        await until(lambda: len(caplog.records) == 2)
    assert "system_id, password" in channel.trouble
    first, second = caplog.records
    assert second.created - first.created >= 0.2
    assert "wrong" not in first.getMessage()
    await channel.stop()


async def test_a_carrier_that_comes_up_late_is_found(smsc: Smsc) -> None:
    await smsc.stop()
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?reconnect=0.05&reconnect_max=0.1"
    channel = SmsChannel(SmppSettings.from_url(url))
    await channel.start(Kept().inbox)
    await until(lambda: channel.trouble)
    assert channel.health() == "connecting"
    await smsc.start()
    await until(lambda: channel.health() == "up")
    assert channel.trouble == ""
    await channel.stop()


async def test_transmitter_and_receiver_may_be_two_connections(smsc: Smsc) -> None:
    async with bound(smsc.port, "&bind=split") as (channel, kept):
        assert sorted((c.transmits, c.receives) for c in smsc.customers) == [
            (False, True),
            (True, False),
        ]
        await channel.send([message(1)])
        smsc.handset(NUMBER).say("yes", "10086")
        await until(lambda: kept.receipts and kept.replies)


async def test_stop_waits_for_what_was_handed_in_and_unbinds(smsc: Smsc) -> None:
    smsc.faults.delay_s = 0.1
    async with bound(smsc.port, "&window=10") as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(20)]))
        await until(lambda: smsc.submits)
        await channel.stop()
        assert {outcome.result for outcome in await sending} == {"accepted"}
    await until(lambda: not smsc.customers)


async def test_a_send_that_is_given_up_does_not_disturb_the_next(smsc: Smsc) -> None:
    smsc.faults.delay_s = 0.05
    async with bound(smsc.port, "&window=5") as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(100)]))
        await until(lambda: smsc.submits)
        sending.cancel()
        outcomes = await channel.send([message(number) for number in range(200, 210)])
        assert {outcome.result for outcome in outcomes} == {"accepted"}
        assert smsc.submits <= 20


async def test_numbers_and_words_never_reach_the_log(
    smsc: Smsc, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with bound(smsc.port) as (channel, kept):
            await channel.send([message(1, "canary-words"), message(2, "\x1bcanary-words")])
            kept.broken = True
            smsc.handset(NUMBER).say("canary-reply", "10086")
            await until(lambda: kept.refused)
            smsc.cut()
            await until(lambda: "smpp_lost" in caplog.text)
    seen = "\n".join(record.getMessage() for record in caplog.records if "sms" in record.name)
    for canary in ("13800138000", "canary", "secret"):
        assert canary not in seen


def made(now: Callable[[], float]) -> SmsChannel:
    return SmsChannel(SmppSettings.from_url("smpp://me@host"), now=now)


def test_a_channel_that_was_never_started_is_down() -> None:
    assert made(lambda: 0.0).health() == "down"
