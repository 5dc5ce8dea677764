"""A life is told anew as it was, whatever befell the person: pauses, failures, purchases, lists,
segments, moves, and becoming one with somebody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest_asyncio
from msgspec.structs import replace

from orchestrator.cli.apply import apply_files
from orchestrator.cli.retelling import Retold, life_of
from orchestrator.core.acts import Deed
from orchestrator.core.delivery import Outcome, Reply
from orchestrator.core.invitations import hash_invitation
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.replay import replay
from orchestrator.runtime.settings import Settings
from orchestrator.runtime.sweep import sweep
from orchestrator.store import (
    acts,
    claims,
    halts,
    invitations,
    letters,
    lists,
    outcomes,
    subscribers,
)
from orchestrator.store.failures import MOST_TRIES
from orchestrator.store.subscribers import NewSubscriber
from tests.runtime.installation import (
    CONTACT,
    FILES,
    NOON,
    at,
    do,
    happened,
    installed,
    number,
    people,
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
  - {id: rest, wait: 2h}
  - {id: second, send: hello, via: [sms]}
  - {id: gift, award: 30, for: tour}
  - {id: later, wait: 1d}
  - {id: third, send: hello, via: [sms]}
"""
NIGHTLY = """
journey: nightly
class: promotion
again: always
enter: [{segment: quiet, every: day at 13:00}]
steps:
  - {id: nudge, send: hello, via: [sms]}
"""
WORLD = {
    **FILES,
    "journeys/tour.yaml": TOUR,
    "journeys/nightly.yaml": NIGHTLY,
    "journeys/program/segments.yaml": "segments: {quiet: subscriber.quiet}\n",
    "journeys/program/points.yaml": "{expires: 10d, hold: 15m}\n",
    "journeys/program/rewards.yaml": """
rewards:
  - {id: coffee, names: {en: Coffee}, cost_points: 20, stock: 5, per_member: 2, code: false}
""",
    "journeys/program/contact.yaml": CONTACT.replace(
        "    per_day: 1\n", "    per_day: 1\n    not_on: [dnd]\n    fresh: 30d\n"
    ),
}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CHAT = ("telegram", "4200001")
CODE = "7Q2M0RXA9KTVC4HE"


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    async with installed(database_url, redis_url, WORLD) as context:
        await put(context, [])
        yield context


async def put(context: Context, numbers: list[str]) -> None:
    async with context.pool.acquire() as connection, lists.loading(connection, "dnd") as version:
        version.add(map(int, numbers))
        await version.put_in_force("a file", context.clock.now())


async def says(context: Context, text: str, sender: tuple[str, str] = ("sms", number(0))) -> None:
    ingest = Ingest(context)
    source = f"{text}:{context.clock.now()}"
    await ingest.inbox.replies([Reply(*sender, text, source)])
    await ingest.answered()


async def told(context: Context, who: str = "0") -> Retold:
    async with context.pool.acquire() as connection:
        return await life_of(connection, who, None, context.clock.now())


async def as_on_record(context: Context, who: str = "0") -> list[str]:
    """The life again, which does not differ: its lines."""
    story = await told(context, who)
    assert [(it.at, it.event, it.differs) for it in story.decisions if it.differs] == []
    return [f"{it.event}: {line.what}" for it in story.decisions for line in it.lines]


async def asked(office: Context) -> None:
    await people(office, [0])
    await happened(office, ["0"], "tour.asked")
    await turns(office)


def did(what: str) -> Deed:
    return Deed("cli:ann@host", what, "journey:tour", {}, {})


async def test_a_pause_and_its_end(office: Context) -> None:
    await asked(office)
    async with office.pool.acquire() as connection, connection.transaction():
        await halts.pause(connection, "tour", NOON + HOUR)
        await acts.record(connection, did("journey.paused"), NOON + HOUR, b"secret")
    await turns(at(office, NOON + 3 * HOUR))
    await happened(at(office, NOON + 4 * HOUR), ["0"])
    await turns(at(office, NOON + 4 * HOUR))
    async with office.pool.acquire() as connection:
        await halts.resume(connection, "tour")
        async with connection.transaction():
            await acts.record(connection, did("journey.resumed"), NOON + 5 * HOUR, b"secret")
    await turns(at(office, NOON + 5 * HOUR))
    await turns(at(office, NOON + 2 * DAY))
    assert "time: sends hello by sms" in await as_on_record(office)


async def test_purchases_and_points_that_expire(office: Context) -> None:
    await asked(office)
    await turns(at(office, NOON + 2 * HOUR))
    for minutes, text in enumerate(("rewards", "redeem coffee", "yes", "redeem coffee", "points")):
        await says(at(office, NOON + 3 * HOUR + timedelta(minutes=minutes)), text)
    assert await value(office, "SELECT spent_points FROM accounts") == 20
    await turns(at(office, NOON + 12 * DAY))
    await says(at(office, NOON + 12 * DAY + HOUR), "redeem coffee")
    assert await value(office, "SELECT expired_points FROM accounts") == 10
    lines = await as_on_record(office)
    assert "reply by sms: sells coffee" in lines


async def test_lists_that_are_loaded_later_and_days_of_putting_off(office: Context) -> None:
    await people(office, [0, 1])
    await put(office, [number(0)])
    await happened(office, ["0"])
    await turns(office)
    late = at(office, NOON + 10 * HOUR)
    await happened(late, ["1"])
    await turns(late)
    stale = at(office, NOON + 40 * DAY)
    await turns(stale)
    await happened(stale, ["0"], "subscriber.activated", again=2)
    await turns(stale)
    for days in (41, 42):
        await turns(at(office, NOON + days * DAY))
    await put(at(office, NOON + 43 * DAY), [])
    await turns(at(office, NOON + 43 * DAY))
    for who in "01":
        await as_on_record(office, who)


async def test_a_segment_brings_in(office: Context) -> None:
    await people(office, [0], attributes={"name": "Q", "quiet": True})
    await sweep(office)
    for day in range(3):
        later = at(office, NOON + day * DAY + timedelta(minutes=65))
        await sweep(later)
        await turns(later)
    lines = await as_on_record(office)
    assert lines.count("brought into nightly: sends hello by sms") == 3


async def test_a_turn_that_failed_and_was_taken_again(office: Context) -> None:
    await people(office, [0])
    await do(office, "UPDATE subscribers SET attributes = '[1]'")
    await happened(office, ["0"], "tour.asked")
    await turns(office)
    await do(office, 'UPDATE subscribers SET attributes = \'{"name": "Ann"}\'')
    await turns(at(office, NOON + timedelta(minutes=11)))
    assert "event tour.asked: sends hello by sms" in await as_on_record(office)


async def test_an_event_that_was_given_up_and_replayed(office: Context) -> None:
    await people(office, [0])
    await do(office, "UPDATE subscribers SET attributes = '[1]'")
    await happened(office, ["0"], "tour.asked")
    for tries in range(MOST_TRIES):
        await turns(at(office, NOON + timedelta(minutes=11 * tries)))
    await do(office, 'UPDATE subscribers SET attributes = \'{"name": "Ann"}\'')
    lines = await as_on_record(office)
    assert any("was given up" in line for line in lines)
    tomorrow = at(office, NOON + DAY)
    async with office.pool.acquire() as connection:
        found = await letters.letters(connection, 50)
    assert await replay(tomorrow, found, "cli:ann@host") == 1
    await turns(tomorrow)
    lines = await as_on_record(office)
    assert "event tour.asked: sends hello by sms" in lines
    assert not any("was given up" in line for line in lines)


async def test_who_became_one_with_somebody(office: Context) -> None:
    known = await people(office, [0])
    await says(office, "hello", CHAT)
    stranger = f"{CHAT[0]}:{CHAT[1]}"
    await happened(office, ["0", stranger], "tour.asked")
    await turns(office)
    await turns(at(office, NOON + 2 * HOUR))
    async with office.pool.acquire() as connection:
        until = NOON + 4 * HOUR
        row = (hash_invitation(CODE, office.secret), known["0"], until)
        await invitations.add(connection, [row], NOON + 2 * HOUR)
    await says(at(office, NOON + 3 * HOUR), f"link {CODE}", CHAT)
    for minutes, text in enumerate(("redeem coffee", "yes", "redeem coffee", "yes")):
        await says(at(office, NOON + 4 * HOUR + timedelta(minutes=minutes)), text)
    assert await value(office, "SELECT spent_points FROM accounts") == 40
    await turns(at(office, NOON + 3 * DAY))
    await as_on_record(office)


async def refused(office: Context) -> None:
    """Carriers have refused whatever was queued by SMS."""
    clock, whole = office.clock, office.projects.project
    async with office.pool.acquire() as connection, connection.transaction():
        until = clock.real_now() + HOUR
        claim = await claims.claim(
            connection, "sms", "test", clock.now(), until, 9, office.ids, whole
        )
        said = [Outcome(it.outgoing.message_id, "rejected", code="1") for it in claim.messages]
        now, classes = clock.now(), whole.contact.classes
        await outcomes.record(connection, "sms", claim, said, classes, now, now, office.ids)


async def test_an_edit_that_people_follow_and_a_channel_that_fails(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    tour = TOUR.replace("via: [sms]", "via: [sms, chat]")
    async with installed(database_url, redis_url, {**WORLD, "journeys/tour.yaml": tour}) as office:
        await put(office, [])
        await people(office, [0])
        await do(office, 'UPDATE subscribers SET addresses = addresses || \'{"webchat": "w"}\'')
        await happened(office, ["0"], "tour.asked")
        await turns(office)
        await refused(office)
        await turns(at(office, NOON + HOUR))
        env = {"DATABASE_URL": database_url, "OUTREACH_SECRET": "the secret of this test only"}
        settings = replace(Settings.from_env(env, tmp_path), clock=at(office, NOON + HOUR).clock)
        edited = tour.replace("class:", "in_flight: follow\nclass:").replace(
            "  - {id: second, ", "  - {id: more, award: 2, for: more}\n  - {id: second, "
        )
        await apply_files(settings, database_url, {**WORLD, "journeys/tour.yaml": edited})
        async with office.pool.acquire() as connection:
            await office.projects.follow(connection)
        await turns(at(office, NOON + 3 * HOUR))
        await turns(at(office, NOON + 2 * DAY))
        lines = await as_on_record(office)
    assert any("moves on: hello by webchat" in line for line in lines)
    assert "time: +2 points for more" in lines


async def test_a_file_of_thousands_is_compared_with_what_was_known_at_once(
    database_url: str,
) -> None:
    """The trigger's plan was made when one person came, and is no loop in a loop."""
    said: list[str] = []
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("LOAD 'auto_explain'; SET auto_explain.log_nested_statements = on")
        news = [NewSubscriber("0", attributes={"name": "Ann"})]
        for _ in range(2):
            await subscribers.upsert(connection, news, NOON, "en")
        connection.add_log_listener(lambda _, message: said.append(message.message))
        await connection.execute(
            "SET auto_explain.log_min_duration = 0; SET client_min_messages = log"
        )
        await subscribers.upsert(connection, news, NOON, "en")
    finally:
        await connection.close()
    (plan,) = [it for it in said if "JOIN stale" in it]
    assert "Hash Join" in plan or "Merge Join" in plan
