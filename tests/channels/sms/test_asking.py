"""What a carrier is asked of messages that it took before: what became of them, and to give them
back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from channels.base import Querying, Recalling
from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms import codec, pdu, status
from channels.sms.channel import SmsChannel
from channels.sms.receipt import ReceiptIds
from channels.sms.settings import Rule, SmsSettings
from channels.sms.siblings import Siblings
from orchestrator.core.delivery import Fate, Held
from tests.channels.contract.rig import Kept, until
from tests.channels.sms.conftest import NUMBER, Far, bound, carrier, message


async def sent(channel: SmsChannel, number: int, text: str = "hello") -> Held:
    """A message that the carrier took."""
    [outcome] = await channel.send([message(number, text)])
    assert outcome.result == "accepted"
    return Held(message(number, text), outcome.carrier_id)


def words(fates: Sequence[Fate]) -> list[str]:
    return [fate.word for fate in sorted(fates, key=lambda fate: fate.message_id)]


async def test_a_carrier_says_what_became_of_each_message(smsc: Smsc) -> None:
    phone = smsc.handset(NUMBER)
    async with bound(smsc.port) as (channel, kept):
        assert isinstance(channel, Querying)
        one = await sent(channel, 1)
        await until(lambda: kept.receipts)
        phone.switch_off()
        two = await sent(channel, 2)
        strange, nameless = Held(message(3), "999999"), Held(message(4))
        fates = await channel.query([one, two, strange, nameless])
        assert words(fates) == ["delivered", "held", "missing", "cannot"]
        by_id = {fate.message_id: fate for fate in fates}
        assert (by_id[1].code, by_id[3].code) == ("DELIVRD", "ESME_RQUERYFAIL")
        assert all(fate.reason for fate in fates if fate.word != "delivered")


async def test_what_a_carrier_still_holds_never_reaches_the_phone_once_recalled(
    smsc: Smsc,
) -> None:
    phone = smsc.handset(NUMBER)
    phone.switch_off()
    async with bound(smsc.port) as (channel, kept):
        assert isinstance(channel, Recalling)
        one, two = await sent(channel, 1), await sent(channel, 2)
        assert words(await channel.recall([one])) == ["recalled"]
        await until(lambda: kept.receipts)
        assert [(it.carrier_id, it.state, it.code) for it in kept.receipts] == [
            (one.carrier_id, "undelivered", "DELETED/001")
        ]
        phone.switch_on()
        await until(lambda: len(kept.receipts) == 2)
        assert len(phone.arrived) == 1
        [late] = await channel.recall([two])
        assert (late.word, late.code) == ("delivered", "DELIVRD")


async def test_a_text_of_several_parts_is_not_shown_once_it_was_recalled(smsc: Smsc) -> None:
    phone = smsc.handset(NUMBER)
    phone.switch_off()
    async with bound(smsc.port) as (channel, kept):
        long = await sent(channel, 1, "a long story " * 30)
        assert words(await channel.recall([long])) == ["recalled"]
        phone.switch_on()
        last = await sent(channel, 2)
        await until(lambda: len(kept.receipts) == 2)
        assert [it.text for it in phone.arrived] == ["hello"]
        assert words(await channel.query([long, last])) == ["undelivered", "delivered"]


@pytest.mark.parametrize("binds", [1, 2])
async def test_of_a_text_of_several_parts_all_are_taken_back(smsc: Smsc, binds: int) -> None:
    """By whichever bind of that carrier is asked; the last part first, as it stands for all."""
    phone = smsc.handset(NUMBER)
    phone.switch_off()
    account = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086"
    wanted = SmsSettings(binds=(account,) * binds)
    channel = SmsChannel(wanted.accounts(), "sms", wanted)
    await channel.start(Kept().inbox)
    await until(lambda: all(it.usable for it in channel.accounts))
    held = [await sent(channel, number, "a long story " * 30) for number in range(4)]
    single = await sent(channel, 4)
    assert set(words(await channel.recall([*held, single]))) == {"recalled"}
    states = [it.state for it in smsc._taken.values()]
    assert len(states) > 12
    assert set(states) == {4}, "DELETED"
    await channel.stop()


async def test_a_last_part_that_is_out_leaves_the_others_alone(smsc: Smsc) -> None:
    async with bound(smsc.port) as (channel, kept):
        long = await sent(channel, 1, "a long story " * 30)
        await until(lambda: kept.receipts)
        [fate] = await channel.recall([long])
        assert fate.word == "delivered"


def test_parts_are_known_of_so_many_messages() -> None:
    siblings = Siblings(most=2)
    for ids in (["1", "2", "3"], ["4", "5"], ["6"], ["7", "", "8"], ["9", "10"]):
        siblings.keep(ids)
    assert siblings.of("3") == ()
    assert siblings.of("5") == ("4",)
    assert siblings.of("10") == ("9",)
    assert siblings.of("6") == siblings.of("8") == ()


@pytest.mark.parametrize("receipt_ids", ["auto", "dec"])
async def test_the_carrier_is_asked_by_its_own_form_of_the_id(receipt_ids: str) -> None:
    smsc = Smsc(SmscSettings(receipt_delay_s=0.01, message_ids="hex"))
    await smsc.start()
    async with bound(smsc.port, f"&receipt_ids={receipt_ids}") as (channel, _):
        smsc.handset(NUMBER).switch_off()
        held = await sent(channel, 1)
        assert words(await channel.query([held])) == ["held"]
    await smsc.stop()


def test_ids_that_were_brought_into_one_form_are_asked_for_in_the_carriers() -> None:
    assert ReceiptIds("dec").asked("1001") == "3e9"
    assert ReceiptIds("dec").asked("not-a-number") == "not-a-number"
    assert ReceiptIds("hex").asked("1001") == "1001"
    assert ReceiptIds("auto").asked("03E9") == "03E9"


async def test_each_message_is_asked_for_at_the_carrier_and_under_the_sender_it_went_by() -> None:
    first, second = Smsc(SmscSettings(receipt_delay_s=0.01)), Smsc(SmscSettings())
    await first.start()
    await second.start()
    account = "smpp://outreach:secret@127.0.0.1:{}?source=10086&carrier={}"
    wanted = SmsSettings(
        binds=(account.format(first.port, "one"), account.format(second.port, "two")),
        rules=(Rule(contact_class="news", sender="95588"),),
    )
    channel = SmsChannel(wanted.accounts(), "sms", wanted)
    await channel.start(Kept().inbox)
    await until(lambda: all(it.usable for it in channel.accounts))
    for smsc in (first, second):
        smsc.handset(NUMBER).switch_off()
    news = [Held(replace(message(number), contact_class="news")) for number in range(20)]
    outcomes = {it.message_id: it for it in await channel.send([it.message for it in news])}
    assert {it.carrier_id.partition(":")[0] for it in outcomes.values()} == {"one", "two"}
    held = [Held(it.message, outcomes[it.message.message_id].carrier_id) for it in news]
    assert set(words(await channel.query(held))) == {"held"}
    assert set(words(await channel.recall(held))) == {"recalled"}
    await channel.stop()
    await first.stop()
    await second.stop()


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda seq: codec.encode(pdu.QuerySmResp("1", "", 3, 0), seq), "expired"),
        (lambda seq: codec.encode(pdu.QuerySmResp("1", "", 5, 27), seq), "undelivered"),
        (lambda seq: codec.encode(pdu.QuerySmResp("1", "", 8, 0), seq), "rejected"),
        (lambda seq: codec.encode(pdu.QuerySmResp("1", "", 6, 0), seq), "held"),
        (lambda seq: codec.encode(pdu.QuerySmResp("1", "", 7, 0), seq), "missing"),
        (lambda seq: codec.encode(pdu.QuerySmResp("1", "", 99, 0), seq), "silent"),
        (lambda seq: codec.HEADER.pack(17, 0x80000003, 0, seq) + b"x", "silent"),
        (lambda seq: codec.response(0x03, seq, status.THROTTLED), "silent"),
        (lambda seq: codec.response(0x03, seq, status.SYSTEM_ERROR), "refused"),
        (lambda seq: codec.encode(pdu.GenericNack(), seq, status.INVALID_COMMAND_ID), "cannot"),
        (lambda seq: b"", "silent"),
    ],
)
async def test_whatever_a_carrier_answers_is_a_value(
    answer: Callable[[int], bytes], word: str
) -> None:
    async def play(far: Far) -> None:
        await far.bind()
        command_id, _, sequence, body = await far.read()
        assert (command_id, body) == (0x03, b"1\0\x00\x0110086\0")
        said = answer(sequence)
        far.writer.write(said)
        if said:  # else it hangs up without a word
            await far.read()

    async with carrier(play) as port, bound(port) as (channel, _):
        [fate] = await channel.query([Held(message(1), "1")])
        assert fate.word == word
        assert fate.code or fate.reason


async def test_without_a_connection_nobody_answers(smsc: Smsc) -> None:
    async with bound(smsc.port) as (channel, _):
        held = await sent(channel, 1)
        await smsc.stop()
        await until(lambda: channel.health() != "up")
        assert words(await channel.query([held])) == ["silent"]
        assert words(await channel.recall([held])) == ["silent"]
    assert words(await channel.query([held])) == ["silent"]
