"""A life can be told anew: every decision comes out as it did, and what it saw is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from orchestrator.cli.retelling import Retold, life_of
from orchestrator.core.delivery import Reply
from orchestrator.core.errors import OutreachError
from orchestrator.core.retelling import Told
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.projects import apply
from orchestrator.store import halts, subscribers
from orchestrator.store.subscribers import NewSubscriber
from tests.runtime.installation import (
    FILES,
    NOON,
    at,
    do,
    happened,
    installed,
    number,
    people,
    turns,
)

QUIZ = """
journey: quiz
class: urgent
enter: [{on: quiz.wanted}]
again: always
steps:
  - id: by-city
    when:
      - if: subscriber.city == 'Bonn'
        do: [{send: hello}]
      - else: [{emit: seen.elsewhere, with: {city: x}}]
  - id: question
    ask: hello
    within: 2h
    reply:
      - is: ['yes']
        do: [{award: 7, for: quiz}, {set: {tags: [+keen]}}]
      - else: [{send: hello}]
    silence: [{set: {attributes: {mood: silent}}}]
  - id: later
    wait: 1d
  - id: bye
    leave: done
"""

HOURS = timedelta(hours=1)


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    files = {**FILES, "journeys/quiz.yaml": QUIZ}
    async with installed(database_url, redis_url, files) as context:
        yield context


async def told(context: Context, who: str = "0") -> Retold:
    async with context.pool.acquire() as connection:
        return await life_of(connection, who, None, context.clock.now())


async def says(context: Context, text: str, who: int = 0) -> None:
    ingest = Ingest(context)
    source = f"{text}:{context.clock.now()}"
    await ingest.inbox.replies([Reply("sms", number(who), text, source)])
    await ingest.answered()


async def known(context: Context, who: str = "0", **known: object) -> None:
    """An import says so of somebody we know."""
    async with context.pool.acquire() as connection:
        news = [NewSubscriber(who, attributes=known)]
        await subscribers.upsert(connection, news, context.clock.now(), "en")


def lines(story: Retold) -> list[str]:
    return [line.what for it in story.decisions for line in it.lines]


def decision(story: Retold, event: str) -> Told:
    return next(it for it in story.decisions if it.event == event)


async def test_a_whole_life_comes_out_as_it_did(office: Context) -> None:
    await people(office, [0], attributes={"name": "Ann", "city": "Bonn"})
    await happened(office, ["0"])
    await turns(office)
    soon = at(office, NOON + timedelta(minutes=1))
    await happened(soon, ["0"], "quiz.wanted")
    await turns(soon)
    await known(office, city="Trier", name="Anna")
    await says(at(office, NOON + HOURS), "what?")
    await says(at(office, NOON + HOURS + timedelta(minutes=1)), "yes")
    await says(at(office, NOON + 2 * HOURS), "points")
    await turns(at(office, NOON + 26 * HOURS))
    await says(at(office, NOON + 27 * HOURS), "stop")
    await happened(at(office, NOON + 28 * HOURS), ["0"], "nobody.cares")
    await turns(at(office, NOON + 28 * HOURS))
    story = await told(office)
    assert [it.differs for it in story.decisions if it.differs] == []
    assert story.differing == 0
    wanted = decision(story, "event quiz.wanted")
    branch = next(line for line in wanted.lines if "goes case-1" in line.what)
    assert branch.rule == "subscriber.city == 'Bonn'"
    assert branch.saw == {"subscriber.city": "Bonn"}
    sent = next(line for line in wanted.lines if line.what == "sends hello by sms")
    assert (sent.rule, sent.saw) == ("class urgent", {"subscriber.name": "Ann"})
    assert decision(story, "changed from outside").lines[0].what == "attributes: city, name"
    again = decision(story, "reply by sms")
    assert any(line.saw == {"subscriber.name": "Anna"} for line in again.lines)
    assert "+7 points for quiz" in lines(story)
    assert "no to everything is on record" in lines(story)
    assert decision(story, "event nobody.cares").lines == ()


async def test_what_was_put_off_names_the_rule_and_an_import_is_in_its_place(
    office: Context,
) -> None:
    await people(office, [0])
    night = at(office, NOON + 10 * HOURS)
    await happened(night, ["0"])
    await turns(night)
    await known(office, name="Zoe")
    await turns(at(office, NOON + 21 * HOURS))
    story = await told(office)
    assert story.differing == 0
    put_off = decision(story, "event subscriber.activated")
    assert any(line.rule == "outside_hours" for line in put_off.lines)
    sent = decision(story, "time")
    assert any(line.saw == {"subscriber.name": "Zoe"} for line in sent.lines)


async def test_each_decision_is_made_by_the_project_that_ran_then(office: Context) -> None:
    await people(office, [0, 1])
    await happened(office, ["0"], "quiz.wanted")
    await turns(office)
    files = {**FILES, "journeys/quiz.yaml": QUIZ.replace("- is: ['yes']", "- is: ['ja']")}
    async with office.pool.acquire() as connection:
        await apply(connection, files, NOON + HOURS)
        await office.projects.follow(connection)
    await happened(at(office, NOON + HOURS), ["1"], "quiz.wanted")
    await turns(at(office, NOON + HOURS))
    await says(at(office, NOON + HOURS), "yes", 0)
    await says(at(office, NOON + HOURS + timedelta(minutes=1)), "ja", 1)
    for who in ("0", "1"):
        story = await told(office, who)
        assert story.differing == 0
        assert "+7 points for quiz" in lines(story)
    assert {it.project for it in (await told(office, "0")).decisions if it.project} == {1, 2}


async def test_pauses_and_cancellations_are_part_of_it(office: Context) -> None:
    await people(office, [0])
    await happened(office, ["0"], "quiz.wanted")
    await turns(office)
    async with office.pool.acquire() as connection:
        await halts.cancel(connection, "quiz", NOON + HOURS)
    await says(at(office, NOON + 2 * HOURS), "yes")
    story = await told(office)
    assert story.differing == 0
    moved = decision(story, "moved by an operator")
    assert moved.lines[0].what.startswith("stands in quiz at left")


async def test_a_record_that_says_something_else_is_told(office: Context) -> None:
    await people(office, [0])
    await happened(office, ["0"])
    await turns(office)
    await do(office, "UPDATE messages SET template = 'other'")
    story = await told(office)
    assert story.differing == 1
    assert decision(story, "event subscriber.activated").differs == (
        "then other was sent, and is not now",
        "then hello was not sent, and is now",
    )


async def test_without_its_beginning_a_life_cannot_be_told(office: Context) -> None:
    await people(office, [0])
    await do(office, "DELETE FROM lives WHERE person IS NOT NULL")
    await happened(office, ["0"])
    await turns(office)
    with pytest.raises(OutreachError, match="the beginning of their story is not kept"):
        await told(office)


async def test_an_import_that_changes_nothing_leaves_nothing(office: Context) -> None:
    await people(office, [0])
    await people(office, [0])
    await known(office, name="Name 0")
    assert len((await told(office)).decisions) == 1
