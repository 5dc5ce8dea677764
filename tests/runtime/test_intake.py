"""Each reported event is stored, put where its matcher finds it, set aside, or counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
import pytest_asyncio

from orchestrator.runtime import feed_stream
from orchestrator.runtime.again import Again, take_again
from orchestrator.runtime.context import Context
from orchestrator.runtime.feed_stream import FeedStream
from orchestrator.runtime.intake import SOURCE, Intake
from orchestrator.runtime.projects import apply
from orchestrator.runtime.reports import Broken, EventShape, Taken, quick_list, read_lines, read_one
from orchestrator.runtime.streams import FEED, FullError
from tests.runtime.feed import EVENTS, TRIGGERS, clock, event, report
from tests.runtime.installation import installed, number, people, rows, value

ASIDE = "SELECT name, source_id, who, reason FROM set_aside_events ORDER BY id"


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    async with installed(database_url, redis_url, TRIGGERS, clock(), most_waiting=50) as context:
        yield context


async def waiting(context: Context) -> int:
    return (await context.streams.backlog({})).events


async def test_what_matches_nothing_touches_nothing(office: Context) -> None:
    phone = [event(n, "sms.sent") for n in range(2)]  # not declared: stored for whom we know
    assert (await report(office, phone))["stranger"] == 2
    files = {k: v for k, v in TRIGGERS.items() if "waiting" not in k}
    async with office.pool.acquire() as connection:
        await apply(connection, files, office.clock.now())
        await office.projects.follow(connection)
    said = await report(office, [event(0, cell="road"), event(1), event(2, "phone.off")])
    assert (said["unmatched"], said["queued"], said["stored"]) == (2, 1, 0)
    assert await waiting(office) == 1
    assert await value(office, "SELECT count(*) FROM sources") == 0


async def test_an_event_that_is_kept_is_stored_for_whoever_has_the_number(office: Context) -> None:
    await people(office, range(1))
    bought = [event(n, "shop.bought", amount=3) for n in range(2)]
    said = await report(office, bought)
    assert (said["stored"], said["stranger"], said["queued"]) == (1, 1, 0)
    assert (await report(office, bought))["known"] == 1


async def test_who_is_named_by_their_key_is_known_by_their_number(office: Context) -> None:
    await people(office, range(1))
    said = {"cell": "campus", "seconds": 1}
    named = [EventShape("call.ended", key, subscriber=key, properties=said) for key in ("0", "x")]
    taken = await report(office, named)
    assert (taken["queued"], taken["unmatched"]) == (1, 1)
    _, _, entries = await office.streams.read(dict.fromkeys(range(8), "0-0"), 10, 1)
    [entry] = [it for found in entries.values() for it in found]
    assert [it.who for it in entry.events] == [int(number(0))]


async def test_an_event_that_is_not_as_declared_is_set_aside_by_position_and_taken_again(
    office: Context,
) -> None:
    await people(office, range(3))
    some = [event(0), event(1, "shop.bought", amount="much"), event(2, "call.ended", seconds="x")]
    taken = await Intake(office).take(some)
    assert (taken.queued, taken.set_aside) == (1, (1, 2))
    assert await rows(office, ASIDE) == [
        ("shop.bought", "shop.bought:1", number(1), "shop.bought: amount is not a number"),
        ("call.ended", "call.ended:2", number(2), "call.ended: seconds is not a number"),
    ]
    await Intake(office).take(some)
    assert await take_again(office) == Again(taken=0, remain=2)
    async with office.pool.acquire() as connection:
        events = EVENTS.replace("{amount: number}", "{amount: text}")
        files = {**TRIGGERS, "journeys/program/events.yaml": events}
        await apply(connection, files, office.clock.now())
        await office.projects.follow(connection)
    came = await value(office, "SELECT at FROM set_aside_events ORDER BY id LIMIT 1")
    assert await take_again(office) == Again(taken=1, remain=1)
    assert await rows(office, "SELECT name, at FROM events") == [("shop.bought", came)]
    assert len(await rows(office, ASIDE)) == 1


async def test_an_event_of_the_far_future_holds_nobody_up(office: Context) -> None:
    at = office.clock.now() + timedelta(days=1)
    await people(office, range(1))
    said = {"cell": "campus", "seconds": 1}
    keyed = EventShape("call.ended", "keyed", subscriber="0", at=at, properties=said)
    taken = await Intake(office).take([event(0, at=at), keyed])
    assert (taken.set_aside, taken.queued) == ((0, 1), 0)


async def test_a_number_that_no_stream_can_hold_is_set_aside_and_is_in_nobodys_way(
    office: Context,
) -> None:
    some = [event(0), event(1, seconds=10**30), event(2, "phone.off")]
    taken = await Intake(office).take(some)
    assert (taken.queued, taken.set_aside) == (2, (1,))
    assert [it[3] for it in await rows(office, ASIDE)] == [
        "a whole number in it has more than 64 bits"
    ]


async def test_when_too_much_waits_nothing_is_taken_and_nothing_is_lost(office: Context) -> None:
    await report(office, [event(n) for n in range(50)])
    more = [event(50), event(51, "shop.bought", amount=3)]
    with pytest.raises(FullError):
        await report(office, more)
    assert await waiting(office) == 50
    assert await value(office, "SELECT count(*) FROM sources") == 0
    # What no trigger needs is not in the way.
    assert (await report(office, [event(7, "sms.sent")]))["stranger"] == 1


def test_lines_that_cannot_be_read_are_told_by_position() -> None:
    good = b'{"name":"a","source_id":"1","number":8613800138000}'
    lines = good + b'\n\n{"name":"a"}\nnonsense\n{"name":"a","source_id":"\\u0000","number":1}\n'
    read, broken = read_lines(lines + good, 10)
    assert [position for position, _ in read] == [10, 15]
    assert [it.position for it in broken] == [12, 13, 14]
    assert all(it.reason for it in broken)


@pytest.mark.parametrize(
    "said",
    [
        '"number":"+8613800138000"',
        '"number":"8613800138000","at":"2026-03-02T23:59:59+08:00"',
        '"number":8613800138000',
        '"number":8613800138000.0',
        '"number":8613800138000.5',
        '"number":"+0613800138000"',
        '"number":"861380,861380"',
        '"number":"86138001380001234"',
        '"number":"8613800١38000"',
        '"number":"++613800138000"',
        '"number":"12345"',
        '"number":"+8613800138000","subscriber":"ann"',
        '"subscriber":"ann"',
        '"properties":{}',
        '"number":"+8613800138000","at":"1969-12-31T23:59:59Z"',
        '"number":"+8613800138000","at":"1970-01-01T00:00:00+01:00"',
        '"number":"+8613800138000","at":"2999-12-31T23:59:59-01:00"',
        '"number":"+8613800138000","at":"2026-03-02T10:00:00"',
        '"number":"+8613800138000","properties":{"a":"\\u0000"}',
        '"number":"+8613800138000","more":1',
    ],
)
def test_many_reports_are_read_as_each_for_itself(said: str) -> None:
    good = b'{"name":"a","source_id":"1","number":"+8613800138000","at":"2026-03-02T10:00:00Z"}'
    one = b'{"name":"a","source_id":"2",' + said.encode() + b"}"
    alone = read_one(one)
    among, broken = read_lines(good + b"\n" + one)
    assert len(among) == 1 + isinstance(alone, EventShape)
    assert [it.reason for it in broken] == ([alone.reason] if isinstance(alone, Broken) else [])
    several = quick_list(b"[" + good + b"," + one + b"]")
    for found in [it for _, it in among[1:]] + (several or [])[1:]:
        assert isinstance(alone, EventShape)
        assert (found.telephone, found.at) == (alone.telephone, alone.at)


async def test_who_can_add_to_the_redis_stream_can_report_events(office: Context) -> None:
    await people(office, range(2))
    redis = office.streams.redis
    one = b'{"name":"shop.bought","source_id":"%d","number":"' + number(0).encode() + b'"'
    whole = one + b',"properties":{"amount":1}}'
    await redis.xadd(FEED, {"event": whole % 1})
    await redis.xadd(FEED, {"events": whole % 2 + b"\n" + whole % 1 + b"\n" + one % 3 + b"}\n"})
    for other in (b"x", b"y\0"):
        await redis.xadd(FEED, {"other": other})
    stopping = asyncio.Event()
    consumer = FeedStream(redis, Intake(office), "one")
    task = asyncio.create_task(consumer.serve(stopping))
    async with asyncio.timeout(30):
        while await redis.xlen(FEED):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    stopping.set()
    await task
    assert await value(office, "SELECT count(*) FROM events") == 2
    assert {it[0] for it in await rows(office, ASIDE)} == {"shop.bought", ""}
    kept = await rows(office, "SELECT body FROM set_aside_events WHERE name = '' ORDER BY body")
    assert [it[0] for it in kept] == ['{"other":"x"}', '{"other":"y\\u0000"}']
    assert await redis.xinfo_consumers(FEED, "outreach") == []


async def test_what_a_killed_consumer_had_in_hand_is_taken_over(office: Context) -> None:
    await people(office, range(1))
    redis = office.streams.redis
    body = b'{"name":"shop.bought","source_id":"1","subscriber":"0","properties":{"amount":1}}'
    await redis.xadd(FEED, {"event": body})
    await redis.xgroup_create(FEED, "outreach", id="0")
    [[_, [[entry, _]]]] = await redis.xreadgroup("outreach", "dead", {FEED: ">"})
    await redis.xclaim(FEED, "outreach", "dead", 0, [entry], idle=3_600_000)
    stopping = asyncio.Event()
    task = asyncio.create_task(FeedStream(redis, Intake(office), "alive").serve(stopping))
    stored: list[int] = []
    async with asyncio.timeout(30):
        while not stored or not stored[-1]:
            stored.append(await value(office, "SELECT count(*) FROM events"))
    stopping.set()
    await task
    assert stored[-1] == 1


async def test_killed_consumers_are_forgotten_but_not_what_they_have_in_hand(
    office: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = office.streams.redis
    await redis.xadd(FEED, {"event": b"{}"})
    await redis.xgroup_create(FEED, "outreach", id="0")
    await redis.xreadgroup("outreach", "killed with one", {FEED: ">"})
    await redis.xgroup_createconsumer(FEED, "outreach", "killed")
    monkeypatch.setattr(feed_stream, "GONE_MS", 0)
    stopping = asyncio.Event()
    task = asyncio.create_task(FeedStream(redis, Intake(office), "alive").serve(stopping))
    names = {b"killed"}
    async with asyncio.timeout(30):
        while b"killed" in names:
            names = {it["name"] for it in await redis.xinfo_consumers(FEED, "outreach")}
    stopping.set()
    await task
    assert b"killed with one" in names


class _Choosy(Intake):
    """One that fails at some event, whatever comes with it."""

    async def take(
        self,
        reports: Sequence[EventShape],
        source: str = SOURCE,
        broken: Sequence[Broken] = (),
        positions: Sequence[int] | None = None,
    ) -> Taken:
        if any(it.source_id == "bad" for it in reports):
            raise OverflowError
        return await super().take(reports, source, broken, positions)


async def test_an_event_at_which_everything_fails_is_set_aside_and_the_feed_goes_on(
    office: Context,
) -> None:
    await people(office, range(1))
    redis = office.streams.redis
    body = '{"name":"shop.bought","source_id":"%s","subscriber":"0","properties":{"amount":1}}\n'
    name = await redis.xadd(FEED, {"events": body % 1 + body % "bad" + body % 2})
    stopping = asyncio.Event()
    task = asyncio.create_task(FeedStream(redis, _Choosy(office), "one").serve(stopping))
    async with asyncio.timeout(30):
        while await redis.xlen(FEED):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    stopping.set()
    await task
    added = office.clock.domain_at(int(name.partition(b"-")[0]) / 1000)
    assert await rows(office, "SELECT source_id, at FROM events ORDER BY source_id") == [
        ("1", added),
        ("2", added),
    ]
    assert [it[1] for it in await rows(office, ASIDE)] == ["bad"]
