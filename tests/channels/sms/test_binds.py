"""Several binds: load spread over them, and one that dies takes only its own with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal, cast

import pytest

from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms.channel import SmsChannel
from channels.sms.settings import SettingsError, SmsSettings
from orchestrator.core.delivery import Outcome
from tests.channels.contract.rig import Kept, until
from tests.channels.sms.conftest import NUMBER, message

Two = tuple[Smsc, Smsc]


@pytest.fixture
async def carriers() -> AsyncIterator[Two]:
    """Two simulated carriers, of which one may die."""
    made = tuple(Smsc(SmscSettings(receipt_delay_s=0.01, redeliver_after_s=0.2)) for _ in "ab")
    for smsc in made:
        await smsc.start()
    yield made[0], made[1]
    for smsc in made:
        await smsc.stop()


@asynccontextmanager
async def bound(
    carriers: Sequence[Smsc],
    use: Literal["spread", "backup"] = "spread",
    options: Sequence[str] = ("", ""),
) -> AsyncIterator[tuple[SmsChannel, Kept]]:
    """A channel with a bind at each carrier, all up."""
    binds = tuple(
        f"smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086&reconnect=0.05&deadline=60{more}"
        for smsc, more in zip(carriers, options, strict=True)
    )
    wanted = SmsSettings(binds=binds, use=use)
    channel, kept = SmsChannel(wanted.accounts(), "sms", wanted), Kept()
    await channel.start(kept.inbox)
    try:
        await until(lambda: set(channel.lines().values()) == {"up"})
        yield channel, kept
    finally:
        await channel.stop()


def die(smsc: Smsc) -> None:
    """Every connection is cut, and the account is not let in again."""
    cast(dict[str, str], smsc.settings.accounts)["outreach"] = "changed"
    smsc.cut()


def shown(carriers: Two) -> Counter[str]:
    """How often each text stands on a phone, whichever carrier brought it."""
    return Counter(
        arrived.text
        for smsc in carriers
        for handset in smsc.handsets.values()
        for arrived in handset.arrived
    )


def results(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.result for outcome in outcomes)


async def test_a_blast_goes_over_both_binds_in_proportion_to_their_room(carriers: Two) -> None:
    one, other = carriers
    async with bound(carriers, options=("&window=10", "&window=30")) as (channel, kept):
        assert channel.capabilities.window == 40
        outcomes = await channel.send([message(number, f"m{number}") for number in range(400)])
        assert results(outcomes) == {"accepted": 400}
        assert one.submits + other.submits == 400
        assert 60 <= one.submits <= 200
        await until(lambda: len(kept.receipts) == 400)


async def test_each_bind_keeps_its_own_pace(carriers: Two) -> None:
    slow, quick = carriers
    async with bound(carriers, options=("&rate=20", "")) as (channel, _):
        async with asyncio.timeout(5):
            outcomes = await channel.send([message(number) for number in range(300)])
        assert results(outcomes) == {"accepted": 300}
        assert slow.submits < 40
        assert quick.submits > 260


async def test_a_carrier_that_dies_in_a_blast_loses_nothing_and_doubles_nothing(
    carriers: Two,
) -> None:
    dying, living = carriers
    dying.faults.delay_s = 0.05
    living.faults.delay_s = 0.02
    async with bound(carriers, options=("&window=20", "&window=20")) as (channel, _):
        blast = [message(n, f"m{n}", f"+86138{n:08d}") for n in range(1000)]
        sending = asyncio.create_task(channel.send(blast))
        await until(lambda: dying.submits >= 100)
        die(dying)
        outcomes = await sending
        assert channel.health() == "up"
        await until(lambda: sorted(channel.lines().values()) == ["down", "up"])
        assert "ESME_RINVPASWD" in channel.trouble
        seen = results(outcomes)
        assert seen["accepted"] + seen["unknown"] == len(outcomes) == 1000
        assert 1 <= seen["unknown"] <= 20
        await until(lambda: shown(carriers).total() >= dying.submits + living.submits)
        counts = shown(carriers)
        for outcome in outcomes:
            times = counts[f"m{outcome.message_id}"]
            assert times == 1 if outcome.result == "accepted" else times <= 1


async def test_without_any_bind_what_was_not_written_is_unsent(carriers: Two) -> None:
    one, other = carriers
    one.faults.delay_s = other.faults.delay_s = 30.0
    async with bound(carriers, options=("&window=5",) * 2) as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(50)]))
        await until(lambda: one.submits + other.submits == 10)
        die(one)
        die(other)
        assert results(await sending) == {"unknown": 10, "unsent": 40}
        assert channel.health() != "up"
        [later] = await channel.send([message(99)])
        assert (later.result, later.retry) == ("unsent", "later")
        assert later.reason


async def test_a_bind_that_comes_back_is_used_again(carriers: Two) -> None:
    one, _ = carriers
    async with bound(carriers) as (channel, _):
        one.cut()
        await until(lambda: set(channel.lines().values()) != {"up"})
        assert results(await channel.send([message(n) for n in range(20)])) == {"accepted": 20}
        await until(lambda: set(channel.lines().values()) == {"up"})
        before = one.submits
        await channel.send([message(number) for number in range(100)])
        assert one.submits > before


async def test_a_backup_is_used_only_while_the_first_is_away(carriers: Two) -> None:
    first, backup = carriers
    async with bound(carriers, "backup") as (channel, _):
        assert channel.capabilities.window == 100
        assert results(await channel.send([message(n) for n in range(50)])) == {"accepted": 50}
        assert (first.submits, backup.submits) == (50, 0)
        port = first.port
        await first.stop()
        await until(lambda: f"127.0.0.1:{port}: " in channel.trouble)
        assert channel.health() == "up"
        assert results(await channel.send([message(n) for n in range(50)])) == {"accepted": 50}
        assert backup.submits == 50
        await first.start()
        await until(lambda: channel.trouble == "")
        await channel.send([message(200)])
        assert (first.submits, backup.submits) == (51, 50)


async def test_a_receipt_may_come_over_another_bind_than_its_message() -> None:
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01, message_ids="hex", receipt_tlvs=False))
    await smsc.start()
    async with bound((smsc, smsc), options=("&bind=transmitter", "")) as (channel, kept):
        places = list(channel.lines())
        assert places[1] == f"{places[0]}#2"
        outcomes = await channel.send([message(number) for number in range(60)])
        await until(lambda: len(kept.receipts) == 60)
        assert smsc.submits == 60
        ids = {receipt.carrier_id for receipt in kept.receipts}
        assert ids == {outcome.carrier_id for outcome in outcomes}
    await smsc.stop()


async def test_ids_of_two_carriers_are_told_apart(carriers: Two) -> None:
    async with bound(carriers, options=("&carrier=a", "&carrier=b")) as (channel, kept):
        outcomes = await channel.send([message(number) for number in range(60)])
        ids = Counter(outcome.carrier_id for outcome in outcomes)
        assert max(ids.values()) == 1
        assert {it[:2] for it in ids} == {"a:", "b:"}
        await until(lambda: len(kept.receipts) == 60)
        assert {receipt.carrier_id for receipt in kept.receipts} == set(ids)


async def test_a_long_message_goes_whole_over_one_bind(carriers: Two) -> None:
    words = "Dear customer, your statement is ready. " * 10
    async with bound(carriers) as (channel, _):
        batch = [message(n, f"{n} {words}", f"+86138{n:08d}") for n in range(40)]
        outcomes = await channel.send(batch)
        assert {(it.result, it.parts) for it in outcomes} == {("accepted", 3)}
        assert all(smsc.submits % 3 == 0 for smsc in carriers)
        await until(lambda: shown(carriers).total() == 40)


async def test_a_send_that_is_given_up_does_not_disturb_the_next(carriers: Two) -> None:
    for smsc in carriers:
        smsc.faults.delay_s = 0.05
    async with bound(carriers, options=("&window=5",) * 2) as (channel, _):
        sending = asyncio.create_task(channel.send([message(number) for number in range(500)]))
        await until(lambda: sum(smsc.submits for smsc in carriers) >= 10)
        sending.cancel()
        outcomes = await channel.send([message(number) for number in range(600, 610)])
        assert results(outcomes) == {"accepted": 10}
        assert sum(smsc.submits for smsc in carriers) < 100


async def test_replies_come_in_over_any_bind(carriers: Two) -> None:
    one, other = carriers
    async with bound(carriers) as (_, kept):
        one.handset(NUMBER).say("yes", "10086")
        other.handset(NUMBER).say("no", "10086")
        await until(lambda: len(kept.replies) == 2)
        assert {reply.text for reply in kept.replies} == {"yes", "no"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({}, "either"),
        ({"url": "smpp://a@h", "binds": ("smpp://b@h",)}, "either"),
        ({"binds": ("smpp://a@h", "smpp://h")}, "system_id"),
        ({"binds": ("smpp://a@h?receipt_ids=hex", "smpp://a@g")}, "receipt_ids"),
    ],
)
def test_binds_that_make_no_sense_are_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        SmsSettings(**wrong)  # type: ignore[arg-type]
    assert named in refused.value.message


def test_no_password_of_any_bind_is_printed() -> None:
    wanted = SmsSettings(binds=("smpp://a:hunter2@h", "smpp://b:hunter3@g"))
    assert "hunter" not in repr(wanted)
