"""What is due: segments on their schedule, newer projects, and the contact policy's caps, with
several processes at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from orchestrator.runtime.context import Context
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_due, take_named
from orchestrator.store import due
from orchestrator.store.subscribers import shard_of
from tests.runtime.installation import (
    EVERY_SHARD,
    FILES,
    NOON,
    at,
    happened,
    installed,
    people,
    rows,
    turns,
    value,
)

DAILY = {
    **FILES,
    "journeys/silent.yaml": """
journey: silent
class: promotion
again: always
enter:
  - segment: quiet
    every: day at 13:00
steps:
  - id: nudge
    send: hello
    via: [sms]
""",
    "journeys/program/segments.yaml": "segments: {quiet: subscriber.quiet}\n",
}

ENTERED = "SELECT count(*) FROM events WHERE kind = 'entered'"


async def test_everyone_in_a_segment_enters_once_each_time(
    database_url: str, redis_url: str
) -> None:
    """However many sweeps there are at once, and however often."""
    async with installed(database_url, redis_url, DAILY, connections=12) as office:
        await people(office, range(10), attributes={"quiet": True, "name": "Q"})
        await people(office, range(10, 15))
        await sweep(office)
        assert await value(office, ENTERED) == 0, "its time has only been noted"
        for day, expected in ((0, 10), (1, 20), (2, 30)):
            later = at(office, NOON + timedelta(days=day, hours=1, minutes=5))
            await asyncio.gather(*(sweep(later) for _ in range(6)))
            await sweep(later)
            assert await value(office, ENTERED) == expected
            assert (await turns(later)).subscribers == 10
        # An outage over several of its times: once, not once for each.
        late = at(office, NOON + timedelta(days=9))
        await asyncio.gather(*(sweep(late) for _ in range(3)))
        assert await value(office, ENTERED) == 40


async def test_two_segments_whose_time_comes_in_one_sweep_both_enter(
    database_url: str, redis_url: str
) -> None:
    """Whoever is in both gets an event of each, though both are made in one instant."""
    loud = DAILY["journeys/silent.yaml"].replace("silent", "loud").replace("quiet", "all")
    segments = "segments: {quiet: subscriber.quiet, all: subscriber.key is defined}\n"
    files = {**DAILY, "journeys/loud.yaml": loud, "journeys/program/segments.yaml": segments}
    async with installed(database_url, redis_url, files) as office:
        await people(office, [1])
        await people(office, range(2, 6), attributes={"quiet": True, "name": "Q"})
        await sweep(office)
        await sweep(at(office, NOON + timedelta(hours=1, minutes=5)))
        assert await value(office, ENTERED) == 9


async def test_shards_are_due_only_while_something_waits_in_them(office: Context) -> None:
    await people(office, range(3))

    async def found() -> list[int]:
        async with office.pool.acquire() as connection:
            return await due.due_shards(connection, office.clock.now())

    assert await found() == []
    await happened(office, ["1"])
    assert await found() == [shard_of("1")]
    await turns(office)
    assert await found() == []


NEWER = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"]
    .replace("send: hello", "send: hallo")
    .replace("id: hello", "id: hallo"),
    "templates/hallo.en.j2": "{% block sms %}Hallo {{ subscriber.name }}!{% endblock %}",
    "templates/hello.en.j2": "{% block sms %}Changed.{% endblock %}",
}
WAITING = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"].replace(
        "    send: hello", "    at: day 2 12:00\n    send: hello"
    ),
}


async def test_people_in_flight_stay_on_their_version(database_url: str, redis_url: str) -> None:
    """Another process applies a newer project: who is under way keeps their steps, with the words
    as they now are; who enters now enters the new version."""
    async with installed(database_url, redis_url, WAITING) as office:
        await people(office, range(2))
        await happened(office, ["0"])
        await turns(office)
        async with installed(database_url, redis_url, NEWER) as other:
            await happened(other, ["1"])
            await turns(other)
        async with office.pool.acquire() as connection:
            await office.projects.follow(connection)
        await turns(at(office, NOON + timedelta(days=1)))
        sent = await rows(office, "SELECT step, content FROM messages ORDER BY subscriber_id")
        assert sent == [("hello", '{"text":"Changed."}'), ("hallo", '{"text":"Hallo Name 1!"}')]


async def test_a_process_that_has_not_followed_yet_still_sends_the_new_words(
    database_url: str, redis_url: str
) -> None:
    """It meets somebody in a version it does not know, whose message its project does not have."""
    newer = {**NEWER, "journeys/welcome.yaml": NEWER["journeys/welcome.yaml"].replace(
        "    send: hallo", "    at: day 2 12:00\n    send: hallo"
    )}  # fmt: skip
    async with installed(database_url, redis_url) as office:
        await people(office, range(1))
        async with installed(database_url, redis_url, newer) as other:
            await happened(other, ["0"])
            await turns(other)
        await turns(at(office, NOON + timedelta(days=1)))
        assert await rows(office, "SELECT step, content FROM messages") == [
            ("hallo", '{"text":"Hallo Name 0!"}')
        ]


SECOND = {
    **FILES,
    "journeys/second.yaml": FILES["journeys/welcome.yaml"]
    .replace("journey: welcome", "journey: second")
    .replace("subscriber.activated", "phone.changed"),
}


async def test_of_two_journeys_due_at_once_one_may_write_today(
    database_url: str, redis_url: str
) -> None:
    """Several transactions at once, in several processes; the cap is one a day."""
    async with (
        installed(database_url, redis_url, SECOND, connections=10) as office,
        installed(database_url, redis_url, SECOND, connections=10) as other,
    ):
        for wave in range(8):
            known = await people(office, range(wave * 10, wave * 10 + 10))
            one, two = happened(office, known), happened(other, known, "phone.changed")
            await asyncio.gather(
                one,
                two,
                *(take_named(office, known.values()) for _ in range(3)),
                *(take_due(other, EVERY_SHARD) for _ in range(3)),
            )
            await turns(office)
        sent = "SELECT subscriber_id, count(*) FROM messages GROUP BY 1"
        assert {count for _, count in await rows(office, sent)} == {1}
        assert await value(office, "SELECT count(*) FROM messages") == 80
        await turns(at(office, NOON + timedelta(days=1)))
        assert {count for _, count in await rows(office, sent)} == {2}
        assert await value(office, "SELECT count(*) FROM failures") == 0
