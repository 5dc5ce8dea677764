"""An operator at a terminal asks carriers what became of messages, and takes them back."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest_asyncio
from msgspec import Struct

from channels.carriers.smsc import Smsc
from orchestrator.cli.asking import Asked, told
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.gateway import holding
from orchestrator.store.errands import Answer, Tally
from tests.cli.shell import outreach
from tests.runtime.installation import (
    NOON,
    carrier,
    happened,
    installed,
    number,
    people,
    rows,
    sms,
    turns,
    until,
    until_found,
)


class Office(Struct):
    """An installation, its carrier, and the environment of its operators."""

    context: Context
    smsc: Smsc
    env: Mapping[str, str]

    async def outreach(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(outreach, *arguments, env=self.env)

    async def send(self, *persons: int) -> None:
        """These people, whose phones are off, have been written to."""
        for n in persons:
            self.smsc.handset(number(n)).switch_off()
        known = await people(self.context, persons)
        await happened(self.context, known)
        await self.context.bell.ring_delivery((await turns(self.context)).channels)
        accepted = "SELECT count(*) FROM messages WHERE state = 'accepted'"
        await until_found(self.context, len(persons), accepted)


@asynccontextmanager
async def working(database_url: str, redis_url: str) -> AsyncIterator[Office]:
    clock = Clock.starting(NOON, 0)
    async with carrier() as smsc, installed(database_url, redis_url, clock=clock) as context:
        smsc.now = clock.now
        env = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "OUTREACH_SECRET": "the secret of this test only",
            "OUTREACH_CLOCK": str(clock),
        }
        channel = sms(smsc)
        async with holding(context, [channel], alone=True):
            await until(lambda: channel.health() == "up")
            yield Office(context, smsc, env)


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Office]:
    async with working(database_url, redis_url) as made:
        yield made


async def test_a_journey_is_cancelled_and_what_its_carrier_holds_is_taken_back(
    office: Office,
) -> None:
    await office.send(0, 1)
    ended = await office.outreach("cancel", "welcome", "--recall", "--yes")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "sms: 2 recalled"
    assert await rows(office.context, "SELECT DISTINCT reason FROM messages") == [("recalled",)]
    audit = (await office.outreach("audit")).stdout
    assert "messages.recalled  journey:welcome" in audit
    shown = (await office.outreach("show", "1")).stdout
    assert "reason=recalled" in shown
    assert "recall       carrier  said=recalled" in shown


async def test_what_has_no_receipt_is_counted_and_then_asked_for(office: Office) -> None:
    await office.send(0)
    counted = await office.outreach("query")
    assert counted.stdout == (
        "sms: 1 accepted, the oldest since 2026-03-02 04:00Z\n"
        "ask for them: outreach query --older 1h\n"
    )
    held = await office.outreach("query", number(0))
    assert held.returncode == 0
    assert held.stdout.splitlines()[-1] == "sms: 1 held"
    [(message_id,)] = await rows(office.context, "SELECT id FROM messages")
    assert held.stdout.startswith(f"{message_id}  0  sms  held: the carrier has not brought it yet")
    shown = (await office.outreach("show", "0")).stdout
    assert f"id={message_id}" in shown


async def test_to_take_back_more_than_one_message_needs_a_yes(office: Office) -> None:
    await office.send(0)
    unsure = await office.outreach("recall", "0")
    assert (unsure.returncode, unsure.stdout) == (1, "")
    assert "carriers would be asked for 1 messages" in unsure.stderr
    assert "add --yes to do it" in unsure.stderr
    [(message_id,)] = await rows(office.context, "SELECT id FROM messages")
    one = await office.outreach("recall", "--message", str(message_id), "--json")
    assert one.returncode == 0, one.stderr
    said = json.loads(one.stdout)
    assert (said["asked"], [it["word"] for it in said["answers"]]) == (1, ["recalled"])


async def test_nobody_waits_for_ever_for_a_carrier_that_is_away(office: Office) -> None:
    await office.send(0)
    await office.smsc.stop()
    asked = await office.outreach("recall", "0", "--yes", "--wait", "0")
    assert asked.returncode == 1
    assert "sms: 1 without an answer yet" in asked.stdout
    assert "whoever holds sms asks as soon as it is connected" in asked.stdout


def test_of_many_messages_only_the_sums_are_told() -> None:
    answers = [Answer(n, "ann", "sms", "recalled", "", "", "rejected") for n in range(21)]
    many = Asked(1, 21, 4, [Tally("sms", "recalled", 21)], answers)
    assert list(told(many)) == [
        "4 messages were queued still, and are not sent",
        "sms: 21 recalled",
    ]


def test_what_a_carrier_says_cannot_steer_the_terminal() -> None:
    answer = Answer(1, "a\x1b[2Jnn", "sms", "refused", "\x07", "no\nway", "accepted")
    one = Asked(1, 1, 0, [Tally("sms", "refused", 1)], [answer])
    assert next(told(one)) == "1  a [2Jnn  sms  refused  : no way"
