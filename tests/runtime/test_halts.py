"""Journeys paused, going on and cancelled, with people in flight: nobody is lost or met twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio

from orchestrator.runtime.context import Context
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_due
from orchestrator.store import halts
from orchestrator.store.checks import examine
from tests.runtime.installation import (
    EVERY_SHARD,
    FILES,
    at,
    do,
    happened,
    installed,
    people,
    rows,
    turns,
    value,
)

TOUR = """
journey: tour
class: urgent
enter: [{on: tour.asked}]
again: always
steps:
  - {id: first, send: hello, via: [sms]}
  - {id: rest, wait: 1h}
  - {id: second, send: hello, via: [sms]}
"""

QUESTION = """
journey: question
class: urgent
enter: [{on: quiz.asked}]
steps:
  - id: ask
    ask: hello
    via: [sms]
    within: 1h
    reply:
      - is: ['yes']
        do: [{id: answered, send: hello, via: [sms]}]
"""

HELD_OUT = """
journey: held-out
class: urgent
control: 100%
enter: [{on: tour.asked}]
steps: [{id: hi, send: hello}]
"""

SENT = "SELECT count(*) FROM messages WHERE journey = 'tour'"


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    extra = {"tour": TOUR, "question": QUESTION, "held-out": HELD_OUT}
    files = {**FILES, **{f"journeys/{name}.yaml": text for name, text in extra.items()}}
    async with installed(database_url, redis_url, files) as context:
        yield context


def later(context: Context, hours: float) -> Context:
    return at(context, context.clock.now() + timedelta(hours=hours))


async def pause(context: Context, journey: str = "tour") -> None:
    async with context.pool.acquire() as connection:
        await halts.pause(connection, journey, context.clock.now())


async def resume(context: Context, journey: str = "tour") -> None:
    async with context.pool.acquire() as connection:
        await halts.resume(connection, journey)


async def sound(context: Context) -> None:
    async with context.pool.acquire() as connection:
        assert [it for it in await examine(connection, context.clock.now()) if it.found] == []


async def test_whoever_is_due_in_a_paused_journey_waits_and_is_claimed_but_once(
    office: Context,
) -> None:
    await people(office, range(20))
    await happened(office, [str(n) for n in range(10)], "tour.asked")
    await turns(office)
    await pause(office)
    await happened(office, [str(n) for n in range(10, 20)], "tour.asked")
    noon = later(office, 2)
    assert (await turns(noon)).subscribers == 20
    assert (await take_due(noon, EVERY_SHARD)).subscribers == 0
    assert await value(office, SENT) == 10
    due = "SELECT count(*) FROM enrollments WHERE journey = 'tour' AND due_at <= $1 AND held"
    assert await value(office, due, noon.clock.now()) == 20
    await resume(noon)
    await turns(noon)
    assert await value(office, SENT) == 10 + 10 + 10
    await turns(later(noon, 2))
    per_step = "SELECT subscriber_id, step, count(*) FROM messages GROUP BY 1, 2"
    found = await rows(office, per_step)
    assert len(found) == 40
    assert {count for *_, count in found} == {1}
    await sound(office)


async def test_other_journeys_go_on_meanwhile(office: Context) -> None:
    await people(office, ["0"])
    await pause(office)
    await happened(office, ["0"], "tour.asked")
    await happened(office, ["0"])
    await turns(office)
    journeys = "SELECT journey FROM messages"
    assert await rows(office, journeys) == [("welcome",)]


async def test_an_answer_in_a_pause_is_understood_and_answered_after_it(office: Context) -> None:
    (who,) = (await people(office, ["0"])).values()
    await happened(office, ["0"], "quiz.asked")
    await turns(office)
    await pause(office, "question")
    await do(
        office,
        "INSERT INTO events (id, subscriber_id, shard, kind, name, properties, at, source,"
        " source_id) SELECT 1, id, shard, 'reply', 'sms',"
        """ '{"text": "yes", "channel": "sms", "address": "x"}', $2, 'sms', 'r1' """
        " FROM subscribers WHERE id = $1",
        who,
        office.clock.now() + timedelta(minutes=1),
    )
    await turns(later(office, 0.5))
    steps = "SELECT step FROM messages ORDER BY id"
    assert await rows(office, steps) == [("ask",)]
    await resume(office, "question")
    await turns(later(office, 5))
    assert await rows(office, steps) == [("ask",), ("answered",)]


async def test_a_question_that_runs_out_in_a_pause_is_silent_only_after_it(office: Context) -> None:
    await people(office, ["0"])
    await happened(office, ["0"], "quiz.asked")
    await turns(office)
    await pause(office, "question")
    await turns(later(office, 2))
    stands = "SELECT status, step, waiting IS NOT NULL FROM enrollments"
    assert await rows(office, stands) == [("active", "ask", True)]
    await resume(office, "question")
    await turns(later(office, 2))
    assert await rows(office, stands) == [("finished", None, False)]


async def test_turns_and_pauses_at_once_lose_and_repeat_nobody(
    database_url: str, redis_url: str
) -> None:
    files = {**FILES, "journeys/tour.yaml": TOUR}
    async with installed(database_url, redis_url, files, batch=20, connections=8) as office:
        people_n = 300
        await people(office, range(people_n))
        ended = asyncio.Event()

        async def work() -> None:
            context = office
            while not ended.is_set():
                await take_due(context, EVERY_SHARD)
                await take_due(later(office, 2), EVERY_SHARD)

        async def meddle() -> None:
            chance = random.Random(7)
            for _ in range(25):
                await pause(office)
                await asyncio.sleep(chance.random() * 0.03)
                await resume(office)
                await asyncio.sleep(chance.random() * 0.03)

        async def enter() -> None:
            for n in range(0, people_n, 30):
                await happened(office, [str(i) for i in range(n, n + 30)], "tour.asked")
                await asyncio.sleep(0.05)

        workers = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.gather(meddle(), enter())
        ended.set()
        await asyncio.gather(*workers)
        await sweep(office)
        await turns(office)
        await turns(later(office, 2))
        await turns(later(office, 4))
        assert await value(office, "SELECT count(*) FROM enrollments WHERE held") == 0
        per_step = "SELECT subscriber_id, step, count(*) FROM messages GROUP BY 1, 2"
        found = await rows(office, per_step)
        assert len(found) == 2 * people_n
        assert {count for *_, count in found} == {1}
        await sound(office)


async def test_whoever_is_held_without_a_pause_is_let_go_by_a_sweep(office: Context) -> None:
    await people(office, ["0"])
    await pause(office)
    await happened(office, ["0"], "tour.asked")
    await turns(office)
    await do(office, "DELETE FROM halts")
    assert (await turns(office)).subscribers == 0
    await sweep(office)
    await turns(office)
    assert await value(office, SENT) == 1


async def test_a_cancelled_journey_is_left_by_all_and_entered_by_none(office: Context) -> None:
    await people(office, range(3))
    await happened(office, ["0", "1"], "tour.asked")
    await turns(office)
    async with office.pool.acquire() as connection:
        assert await halts.cancel(connection, "tour", office.clock.now()) == (2, 2)
        assert await halts.cancel(connection, "tour", office.clock.now()) == (0, 0)
    await happened(office, ["2"], "tour.asked")
    await turns(later(office, 2))
    states = "SELECT DISTINCT state, reason FROM messages"
    assert await rows(office, states) == [("suppressed", "cancelled")]
    stands = "SELECT DISTINCT journey, status, reason FROM enrollments ORDER BY 1"
    assert await rows(office, stands) == [
        ("held-out", "control", None),
        ("tour", "left", "cancelled"),
    ]
    await sound(office)
    await resume(office)
    await do(office, "DELETE FROM sources")
    await happened(office, ["2"], "tour.asked")
    await turns(later(office, 2))
    assert await value(office, SENT + " AND state = 'queued'") == 1


async def test_whoever_a_turn_had_in_hand_at_the_cancel_leaves_when_next_looked_at(
    office: Context,
) -> None:
    await people(office, ["0"])
    await happened(office, ["0"], "tour.asked")
    await turns(office)
    now = office.clock.now()
    await do(office, "INSERT INTO halts VALUES ('tour', 'cancelled', $1)", now)
    await turns(later(office, 2))
    stands = "SELECT status, reason FROM enrollments WHERE journey = 'tour'"
    assert await rows(office, stands) == [("left", "cancelled")]
    assert await value(office, SENT) == 1


async def test_whoever_comes_back_after_a_cancel_has_all_tries_again(office: Context) -> None:
    await people(office, ["0"])
    await happened(office, ["0"], "tour.asked")
    await turns(office)
    await do(office, "UPDATE enrollments SET tries = 4 WHERE journey = 'tour'")
    async with office.pool.acquire() as connection:
        await halts.cancel(connection, "tour", office.clock.now())
    assert await value(office, "SELECT tries FROM enrollments WHERE journey = 'tour'") == 0
