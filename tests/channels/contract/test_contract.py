"""What every channel promises (`channels.base.Channel`), against a real far end of each."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import channels
from channels.base import Rider
from tests.channels.contract.rig import Rig, until
from tests.channels.mms.conftest import PICTURES

CHANNELS = sorted(path.parent.name for path in Path(channels.__path__[0]).glob("*/channel.py"))


@pytest.fixture
def deadline_s() -> float:
    """No far end is ever that late, on however busy a machine; a test of lateness sets another."""
    return 60.0


@pytest.fixture(params=CHANNELS)
async def rig(request: pytest.FixtureRequest, deadline_s: float) -> AsyncIterator[Rig]:
    name = request.param
    try:
        table = importlib.import_module(f"tests.channels.contract.{name}")
    except ModuleNotFoundError:
        pytest.fail(
            f"channels/{name} has no case table: write tests/channels/contract/{name}.py with a "
            f"`rig(deadline_s)` as tests/channels/contract/rig.py says"
        )
    async with table.rig(deadline_s) as made:
        yield made


def test_the_registry_of_channels_is_not_empty() -> None:
    assert "sms" in CHANNELS


async def test_a_message_is_accepted_and_shown_to_its_subscriber_alone(rig: Rig) -> None:
    [outcome] = await rig.channel.send([rig.message(7, "Hello, 您好 😀")])
    assert (outcome.message_id, outcome.result) == (7, "accepted")
    first, second = rig.reachable
    await until(lambda: rig.shown(first))
    assert list(rig.shown(first)) == ["Hello, 您好 😀"]
    assert not rig.shown(second)


async def test_a_batch_gets_one_outcome_per_message(rig: Rig) -> None:
    batch = [rig.message(number, f"number {number}") for number in range(50)]
    outcomes = await rig.channel.send(batch)
    assert sorted(outcome.message_id for outcome in outcomes) == list(range(50))
    assert {outcome.result for outcome in outcomes} == {"accepted"}
    await until(lambda: len(rig.shown(rig.reachable[0])) == 50)


async def test_an_empty_batch_gets_no_outcomes(rig: Rig) -> None:
    assert await rig.channel.send([]) == []


async def test_a_wrong_address_fails_alone_and_says_why(rig: Rig) -> None:
    batch = [rig.message(1, "one"), rig.message(2, "two", rig.wrong), rig.message(3, "three")]
    outcomes = {outcome.message_id: outcome for outcome in await rig.channel.send(batch)}
    assert outcomes[1].result == outcomes[3].result == "accepted"
    assert outcomes[2].result == "rejected"
    assert outcomes[2].retry == "never"
    assert outcomes[2].reason


@pytest.mark.parametrize(
    "text", ["", "\x1b", "\ud800", "a\0b", "😀" * 1000, "x" * 100_000, "\u202e\u200f"]
)
async def test_any_text_gets_an_outcome_and_the_channel_lives_on(rig: Rig, text: str) -> None:
    [outcome] = await rig.channel.send([rig.message(1, text)])
    assert outcome.result in ("accepted", "rejected")
    assert outcome.result == "accepted" or (outcome.reason and outcome.retry == "never")
    [after] = await rig.channel.send([rig.message(2, "still here")])
    assert after.result == "accepted"


async def test_a_reply_comes_in_from_an_address_that_can_be_answered(rig: Rig) -> None:
    if not rig.channel.capabilities.two_way:
        return
    await rig.say(rig.reachable[0], "TD 退订")
    await until(lambda: rig.kept.replies)
    [reply] = rig.kept.replies
    assert (reply.channel, reply.text) == (rig.channel.name, "TD 退订")
    assert reply.address == rig.reachable[0]
    assert reply.source_id


async def test_the_same_words_twice_are_two_replies(rig: Rig) -> None:
    if not rig.channel.capabilities.two_way:
        return
    await rig.say(rig.reachable[0], "1")
    await rig.say(rig.reachable[0], "1")
    await until(lambda: len(rig.kept.replies) == 2)
    assert len({reply.source_id for reply in rig.kept.replies}) == 2


async def test_a_receipt_names_the_id_under_which_the_message_was_accepted(rig: Rig) -> None:
    if not rig.channel.capabilities.receipts:
        return
    [outcome] = await rig.channel.send([rig.message(1, "hello")])
    await until(lambda: rig.kept.receipts)
    [receipt] = rig.kept.receipts
    by = rig.channel.over if isinstance(rig.channel, Rider) else rig.channel.name
    assert (receipt.channel, receipt.carrier_id) == (by, outcome.carrier_id)
    assert receipt.state == "delivered"


async def test_a_picture_of_the_project_is_shown_with_the_words(rig: Rig) -> None:
    if not rig.channel.capabilities.media:
        return
    assert rig.pictures is not None, "a channel with pictures needs `pictures` in its case table"
    message = rig.message(1, "Look")
    content = msgspec.structs.replace(message.content, image="hello/small.png")
    [outcome] = await rig.channel.send([msgspec.structs.replace(message, content=content)])
    assert (outcome.result, outcome.code) == ("accepted", "")
    first, second = rig.reachable
    await until(lambda: rig.shown(first) and "Look" in rig.shown(first)[-1])
    assert list(rig.pictures(first)) == [PICTURES["hello/small.png"].octets]
    assert not rig.pictures(second)


async def test_a_picture_that_is_not_there_is_said_and_stops_no_other_message(rig: Rig) -> None:
    if not rig.channel.capabilities.media:
        return
    batch = [rig.message(number, f"number {number}") for number in (1, 2)]
    lost = msgspec.structs.replace(batch[0].content, image="hello/nowhere.png")
    batch[0] = msgspec.structs.replace(batch[0], content=lost)
    outcomes = {it.message_id: it for it in await rig.channel.send(batch)}
    assert outcomes[1].result in ("accepted", "rejected")
    assert "picture" in outcomes[1].reason
    assert (outcomes[2].result, outcomes[2].reason) == ("accepted", "")


async def test_a_refusal_is_a_value_with_a_reason(rig: Rig) -> None:
    if rig.refuse is None:
        return
    rig.refuse()
    [outcome] = await rig.channel.send([rig.message(1, "hello")])
    assert outcome.result == "rejected"
    assert outcome.code
    assert outcome.reason


@pytest.mark.parametrize("deadline_s", [0.5])
async def test_no_answer_is_unknown_and_not_a_failure(rig: Rig) -> None:
    if rig.mute is None:
        return
    rig.mute()
    [outcome] = await rig.channel.send([rig.message(1, "hello")])
    assert outcome.result == "unknown"
    assert outcome.reason


async def test_without_a_connection_nothing_is_sent_and_trying_again_is_safe(rig: Rig) -> None:
    if rig.cut is None:
        return
    await rig.cut()
    await until(lambda: rig.channel.health() != "up")
    [outcome] = await rig.channel.send([rig.message(1, "hello")])
    assert (outcome.result, outcome.retry) == ("unsent", "later")
    assert outcome.reason


async def test_after_stop_the_channel_is_down_and_sends_nothing(rig: Rig) -> None:
    await rig.channel.stop()
    assert rig.channel.health() == "down"
    [outcome] = await rig.channel.send([rig.message(1, "hello")])
    assert (outcome.result, outcome.retry) == ("unsent", "later")
