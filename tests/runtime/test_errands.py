"""What operators ask of carriers: answered by whoever holds the channel, and what it means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from channels.base import Capabilities, Channel, Health, Inbox
from channels.carriers.smsc import Smsc
from channels.sms.channel import SmsChannel
from orchestrator.core.delivery import Fate, Held, Outcome, Outgoing
from orchestrator.runtime import errands
from orchestrator.runtime.context import Context
from orchestrator.runtime.errands import run_errands
from orchestrator.runtime.gateway import holding
from orchestrator.store import errands as store
from orchestrator.store import timeline
from orchestrator.store.errands import Kind, Meant
from tests.runtime.installation import (
    FILES,
    NOON,
    carrier,
    do,
    happened,
    installed,
    number,
    people,
    rows,
    sms,
    turns,
    until,
    until_found,
    value,
)

ALL = Meant(NOON + timedelta(days=1), NOON - timedelta(days=1))
FALLING_BACK = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"].replace("[sms]", "[sms, telegram]"),
}
STATES = "SELECT state, reason, via FROM messages ORDER BY id"


class Silent:
    """A channel that takes everything, and whose carrier says of it what it is told to."""

    capabilities = Capabilities(max_text=1000, two_way=False, receipts=False)

    def __init__(self, name: str, fates: dict[str, Fate]) -> None:
        self.name = name
        self.fates = fates
        self.asked: list[Held] = []

    async def start(self, inbox: Inbox) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Health:
        return "up"

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        return [Outcome(it.message_id, "accepted", str(it.message_id)) for it in batch]

    async def query(self, batch: Sequence[Held]) -> list[Fate]:
        self.asked += batch
        return [
            Fate(it.message.message_id, told.word, told.code, told.reason, told.carrier_id)
            for it in batch
            if (told := self.fates.get(it.message.address)) is not None
        ]


@asynccontextmanager
async def waiting(
    database_url: str, redis_url: str, *, count: int = 1
) -> AsyncIterator[tuple[Context, Smsc, SmsChannel]]:
    """People whose message their carrier holds: their phones are off."""
    async with (
        carrier() as smsc,
        installed(database_url, redis_url, FALLING_BACK) as context,
    ):
        smsc.now = context.clock.now
        channel = sms(smsc)
        async with holding(context, [channel], alone=True):
            await until(lambda: channel.health() == "up")
            for n in range(count):
                smsc.handset(number(n)).switch_off()
            known = await people(context, range(count))
            telegram = """UPDATE subscribers SET addresses = addresses || '{"telegram": "42"}'"""
            await do(context, telegram)
            await happened(context, known)
            await context.bell.ring_delivery((await turns(context)).channels)
            accepted = "SELECT count(*) FROM messages WHERE state = 'accepted'"
            await until_found(context, count, accepted)
            yield context, smsc, channel


async def asked(context: Context, kind: Kind, meant: Meant = ALL) -> tuple[int, int]:
    """An operator has asked: the batch, and of how many messages."""
    async with context.pool.acquire() as connection, connection.transaction():
        return await store.ask(connection, kind, meant, "cli:op@host", context.clock.now(), 1000)


async def words(context: Context, batch: int) -> list[str | None]:
    async with context.pool.acquire() as connection:
        return [it.word for it in await store.answers(connection, batch, 100)]


async def answered(context: Context, batch: int) -> list[str | None]:
    left = "SELECT count(*) FROM errands WHERE word IS NULL AND batch = $1"
    await until_found(context, 0, left, batch)
    return await words(context, batch)


async def test_what_a_carrier_holds_is_taken_back_and_goes_on_to_no_other_channel(
    database_url: str, redis_url: str
) -> None:
    async with waiting(database_url, redis_url) as (context, smsc, _):
        batch, count = await asked(context, "recall")
        assert (count, await answered(context, batch)) == (1, ["recalled"])
        [(state, reason, via)] = await rows(context, STATES)
        assert state in ("rejected", "undelivered")  # its receipt may have come before the answer
        assert (reason, via) == ("recalled", [])
        smsc.handset(number(0)).switch_on()
        await turns(context)
        assert await value(context, "SELECT count(*) FROM messages WHERE channel = 'sms'") == 1
        assert not smsc.handset(number(0)).arrived


async def test_the_story_tells_who_asked_and_what_the_carrier_said(
    database_url: str, redis_url: str
) -> None:
    async with waiting(database_url, redis_url) as (context, _, _):
        for kind in ("query", "recall"):
            batch, _ = await asked(context, kind)
            await answered(context, batch)
        async with context.pool.acquire() as connection:
            found = await timeline.find(connection, "0")
            assert found is not None
            story = await timeline.load(connection, found)
        told = {(it.kind, it.facts["said"]) for it in story.moments if it.what == "carrier"}
        assert told == {("query", "held"), ("recall", "recalled")}
        assert all(it.facts["by"] == "cli:op@host" for it in story.moments if it.what == "carrier")
        [message] = [it.facts for it in story.moments if it.kind == "message"]
        assert message["reason"] == "recalled"


async def test_a_message_without_a_receipt_is_settled_by_what_its_carrier_says(
    database_url: str, redis_url: str
) -> None:
    async with waiting(database_url, redis_url) as (context, smsc, _):
        smsc.faults.drop_receipts = 1.0
        smsc.handset(number(0)).switch_on()
        await until(lambda: smsc.handset(number(0)).arrived)
        assert (await rows(context, STATES))[0][0] == "accepted"
        batch, _ = await asked(context, "query")
        assert await answered(context, batch) == ["delivered"]
        assert await rows(context, STATES) == [("delivered", None, ["telegram"])]
        assert await value(context, "SELECT count(*) FROM parked_receipts") == 0


async def test_errands_wait_while_the_carrier_is_away(database_url: str, redis_url: str) -> None:
    async with waiting(database_url, redis_url, count=3) as (context, smsc, channel):
        await smsc.stop()
        await until(lambda: channel.health() != "up")
        batch, count = await asked(context, "recall")
        await run_errands(context, [channel], alone=True)
        assert (count, await words(context, batch)) == (3, [None] * 3)
        await smsc.start()
        assert await answered(context, batch) == ["recalled"] * 3


async def accepted(context: Context, count: int, state: str = "accepted") -> None:
    """So many messages on the channel `sms` are out."""
    known = await people(context, range(count))
    await happened(context, known)
    await turns(context)
    named = "id::text" if state == "accepted" else "NULL"
    await do(context, f"UPDATE messages SET state = '{state}', carrier_id = {named}")
    await do(context, "DELETE FROM attempts")


@pytest.mark.parametrize(
    ("word", "state", "after"),
    [
        ("held", "accepted", "accepted"),
        ("held", "unknown", "accepted"),
        ("delivered", "unknown", "delivered"),
        ("expired", "accepted", "expired"),
        ("missing", "unknown", "unknown"),
        ("silent", "accepted", "accepted"),
        ("delivered", "delivered", "delivered"),
    ],
)
async def test_an_answer_never_makes_a_message_take_a_step_back(
    office: Context, word: str, state: str, after: str
) -> None:
    await accepted(office, 1, state)
    fate = Fate(0, word, carrier_id="theirs")  # type: ignore[arg-type]
    channel = Silent("sms", {number(0): fate})
    batch, _ = await asked(office, "query")
    if state == "delivered":
        await do(office, "UPDATE messages SET state = 'accepted'")
        batch, _ = await asked(office, "query")
        await do(office, "UPDATE messages SET state = 'delivered'")
    for _ in range(2):
        await run_errands(office, [channel], alone=True)
    assert await words(office, batch) == [word]
    [(found, carrier_id)] = await rows(office, "SELECT state, carrier_id FROM messages")
    assert found == after
    assert carrier_id == ("theirs" if state == "unknown" and after != "unknown" else carrier_id)


async def test_a_channel_that_has_no_way_to_ask_says_so(office: Context) -> None:
    await accepted(office, 1)
    channel: Channel = Silent("sms", {})
    batch, _ = await asked(office, "recall")
    await run_errands(office, [channel], alone=True)
    async with office.pool.acquire() as connection:
        [answer] = await store.answers(connection, batch, 10)
        [tally] = await store.tally(connection, batch)
    assert (answer.word, answer.reason) == ("cannot", "sms has no way to take a message back")
    assert (answer.state, answer.subscriber) == ("accepted", "0")
    assert (tally.channel, tally.word, tally.messages) == ("sms", "cannot", 1)


async def test_many_errands_are_taken_in_lots_and_each_message_is_asked_about_once(
    office: Context,
) -> None:
    count = errands.LOT * 2 + 3
    await accepted(office, count)
    held = {number(n): Fate(0, "held") for n in range(count)}
    channel = Silent("sms", held)
    batch, asked_about = await asked(office, "query")
    await run_errands(office, [channel], alone=True)
    assert asked_about == count
    assert await value(office, "SELECT count(*) FROM errands WHERE word = 'held'") == count
    assert len(channel.asked) == count
    assert {it.carrier_id for it in channel.asked} == {
        str(it.message.message_id) for it in channel.asked
    }
    assert {it.message.series for it in channel.asked} == {"welcome/hello"}
    async with office.pool.acquire() as connection:
        assert [it.messages for it in await store.tally(connection, batch)] == [count]


async def test_what_another_process_has_taken_is_left_to_it_unless_it_is_gone(
    office: Context,
) -> None:
    await accepted(office, 1)
    channel = Silent("sms", {number(0): Fate(0, "held")})
    batch, _ = await asked(office, "query")
    await do(office, "UPDATE errands SET taken_by = 'other', taken_until = now() + '1 hour'")
    await run_errands(office, [channel], alone=False)
    assert await words(office, batch) == [None]
    await do(office, "UPDATE errands SET taken_until = now() - '1 hour'::interval")
    await run_errands(office, [channel], alone=False)
    assert await words(office, batch) == ["held"]
    batch, _ = await asked(office, "query")
    await do(office, "UPDATE errands SET taken_by = 'other', taken_until = now() + '1 hour'")
    await run_errands(office, [channel], alone=True)  # whoever had the channel before is gone
    assert await words(office, batch) == ["held"]


async def test_a_message_whose_state_is_final_is_asked_about_only_by_its_id(
    office: Context,
) -> None:
    await accepted(office, 1, "delivered")
    assert (await asked(office, "query"))[1] == 0
    message_id = await value(office, "SELECT id FROM messages")
    named = Meant(ALL.before, ALL.since, message_id=message_id)
    assert (await asked(office, "query", named))[1] == 1


async def test_what_is_queued_is_dropped_unless_a_gateway_has_it(office: Context) -> None:
    known = await people(office, range(2))
    await happened(office, known)
    await turns(office)
    await do(office, "UPDATE attempts SET claimed_by = 'gateway', lease_until = now()")
    async with office.pool.acquire() as connection:
        assert await store.drop_queued(connection, ALL, NOON) == 0
        await do(office, "UPDATE attempts SET claimed_by = NULL, lease_until = NULL")
        assert await store.drop_queued(connection, ALL, NOON) == 2
    assert await rows(office, "SELECT DISTINCT state, reason FROM messages") == [
        ("suppressed", "recalled")
    ]
