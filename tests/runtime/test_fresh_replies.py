"""A reply belongs to the process that received it, until it has had time to answer."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_due, take_named
from orchestrator.store import due, events
from orchestrator.store.events import NewEvent
from tests.runtime.installation import EVERY_SHARD, NOON, number, people, value


async def said(context: Context) -> int:
    """Somebody's reply is stored, and nobody has answered it: who."""
    (who,) = (await people(context, [1])).values()
    now = context.clock.now()
    async with context.pool.acquire() as connection:
        shard = await connection.fetchval("SELECT shard FROM subscribers")
        words = {"text": "points", "channel": "sms", "address": number(1)}
        await events.add(
            connection,
            [NewEvent(who, shard, "reply", "sms", words, now, "sms", "1")],
            now,
            context.ids,
        )
    return who


async def test_a_blasts_turns_leave_it_alone(office: Context) -> None:
    """Else it would wait until a batch of hundreds is committed."""
    running = replace(office, clock=Clock.starting(NOON, 1.0))
    who = await said(running)
    assert (await take_due(running, EVERY_SHARD)).subscribers == 0
    assert (await take_named(running, [who])).subscribers == 1
    assert await value(running, "SELECT template FROM messages") == "bot/balance"


async def test_if_that_process_died_any_other_answers(office: Context) -> None:
    running = replace(office, clock=Clock.starting(NOON, 1.0))
    await said(running)
    later = replace(running, clock=Clock.starting(NOON + timedelta(seconds=3), 1.0))
    await sweep(later)
    async with later.pool.acquire() as connection:
        assert await due.due_shards(connection, later.clock.now())
    assert (await take_due(later, EVERY_SHARD)).subscribers == 1
    assert await value(later, "SELECT template FROM messages") == "bot/balance"
