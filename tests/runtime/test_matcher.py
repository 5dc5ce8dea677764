"""Triggers fire, at their time, once; matchers share the partitions fairly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from orchestrator.runtime import streams
from orchestrator.runtime.context import Context
from orchestrator.runtime.feed_stream import FeedStream
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.matcher import serve
from orchestrator.runtime.projects import apply
from orchestrator.runtime.streams import FEED, Progress
from tests.runtime.feed import TRIGGERS, clock, event, fired, judged, matching, report
from tests.runtime.installation import installed, people, turns, until_found, value
from tests.runtime.test_worker import Server

FIRED = "SELECT count(*) FROM events WHERE kind = 'trigger'"

OURS = """
AND locktype = 'advisory' AND objsubid = 2
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

SHARES = """
SELECT array_agg(n ORDER BY n) FROM (
    SELECT count(*) AS n FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.objid > 0
      AND d.datname = current_database() GROUP BY l.pid) it
"""


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    async with installed(database_url, redis_url, TRIGGERS, clock()) as context:
        await people(context, range(20))
        yield context


async def test_what_needs_nothing_but_the_event_fires_at_once_and_is_sent(office: Context) -> None:
    async with matching(office):
        said = await report(office, [event(0), event(1, cell="elsewhere"), event(2)])
        assert (said["queued"], said["unmatched"]) == (3, 0)
        await until_found(office, 2, FIRED)
    assert {it[:2] for it in await fired(office)} == {("0", "at-once"), ("2", "at-once")}
    assert (await turns(office)).failed == 0
    assert await value(office, "SELECT count(*) FROM messages") == 2


async def test_a_wait_goes_on_where_another_matcher_left_it(office: Context) -> None:
    async with matching(office):
        await report(office, [event(n, cell="airport") for n in range(4)])
        await until_found(office, 4, "SELECT count(*) FROM trigger_states")
    # Two switch off in time, as far as their own clocks say, though nobody listens just now.
    at = office.clock.now()
    await report(office, [event(n, "phone.off", at=at) for n in range(2)])
    async with matching(office):
        await judged(office)
    assert {it[:2] for it in await fired(office)} <= {(str(n), "waiting") for n in range(4)}
    assert {("2", "waiting"), ("3", "waiting")} <= {it[:2] for it in await fired(office)}
    assert await value(office, "SELECT count(*) FROM trigger_waits") == 0


async def test_what_comes_too_late_begins_nothing(office: Context) -> None:
    at = office.clock.now() - timedelta(minutes=1)
    async with matching(office):
        await report(office, [event(0, cell="airport", at=at), event(1)])
        await until_found(office, 1, FIRED)
        await judged(office)
    assert await value(office, FIRED) == 1


async def test_what_waited_to_be_taken_in_is_not_late(office: Context) -> None:
    redis = office.streams.redis
    ms = int(await office.streams.now() * 1000)
    for ago in (60, 50, 40):  # longer than lateness
        at = office.clock.now() - timedelta(seconds=ago)
        it = event(ago % 7, cell="airport", source_id=f"{ago}", at=at)
        await redis.xadd(FEED, {"event": msgspec.json.encode(it)}, id=f"{ms - 1000 * ago}-0")
    stopping = asyncio.Event()
    async with matching(office):
        await until_found(office, 8, "SELECT count(*) FROM pg_locks WHERE objid > 0 " + OURS)
        await asyncio.sleep(0.2)
        consumer = FeedStream(redis, Intake(office), office.name)
        task = asyncio.create_task(consumer.serve(stopping))
        await until_found(office, 3, FIRED)
        stopping.set()
        await task
    assert [it[2] for it in await fired(office)] == ["60", "50", "40"]


async def test_a_clock_that_was_ahead_for_a_while_stops_nobody(office: Context) -> None:
    async with matching(office):
        await report(office, [event(0)])
        await until_found(office, 1, FIRED)
        await judged(office)
    async with office.pool.acquire() as connection:
        await connection.execute("UPDATE matching SET watermark = watermark + 86400")
    async with matching(office):
        await report(office, [event(1)])
        await until_found(office, 2, FIRED)


async def test_the_same_report_twice_fires_once(office: Context) -> None:
    async with matching(office):
        await report(office, [event(0), event(0)])
        await until_found(office, 1, FIRED)
        await report(office, [event(0), event(1)])
        await until_found(office, 2, FIRED)
    async with matching(office):  # who knows of the first by the stream alone
        await report(office, [event(1), event(2)])
        await until_found(office, 3, FIRED)
    assert [it[0] for it in await fired(office)] == ["0", "1", "2"]


async def test_who_is_nobody_gets_nothing(office: Context) -> None:
    async with matching(office):
        await report(office, [event(77), event(1)])
        await until_found(office, 1, FIRED)
    assert [it[0] for it in await fired(office)] == ["1"]


async def test_matchers_share_fairly_and_hand_over_when_they_stop(office: Context) -> None:
    async with matching(office):
        await until_found(office, [8], SHARES)
        async with AsyncExitStack() as others:
            await others.enter_async_context(matching(office))
            await until_found(office, [4, 4], SHARES)
            await others.enter_async_context(matching(office))
            await until_found(office, [2, 3, 3], SHARES)
            await report(office, [event(n) for n in range(20)])
            await until_found(office, 20, FIRED)
        await until_found(office, [8], SHARES)
        await report(office, [event(n, source_id=f"again {n}") for n in range(20)])
        await until_found(office, 40, FIRED)


async def test_a_matcher_that_has_stopped_tells_of_no_partitions(office: Context) -> None:
    def told() -> float | None:
        return office.meters.registry.get_sample_value("outreach_matching_partitions")

    async with matching(office):
        async with asyncio.timeout(30):
            while not told():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert told() == 0


async def test_a_new_project_counts_within_seconds(office: Context) -> None:
    elsewhere = TRIGGERS["journeys/at-once.yaml"].replace("'campus'", "'elsewhere'")
    async with matching(office):
        await report(office, [event(0)])
        await until_found(office, 1, FIRED)
        async with office.pool.acquire() as connection:
            files = {**TRIGGERS, "journeys/at-once.yaml": elsewhere}
            await apply(connection, files, office.clock.now())
            await office.projects.follow(connection)
        # Until the matcher goes by it, nothing happens elsewhere.
        async with asyncio.timeout(30):
            for again in count():
                await report(office, [event(2, cell="elsewhere", source_id=f"{again}")])
                await judged(office)
                if await value(office, FIRED) == 2:
                    break
        await report(office, [event(1), event(3, cell="elsewhere")])
        await until_found(office, 3, FIRED)
    assert {it[0] for it in await fired(office)} == {"0", "2", "3"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


async def test_a_matcher_outlives_a_restart_of_redis(database_url: str, server: Server) -> None:
    async with installed(database_url, server.url, TRIGGERS, clock()) as office:
        await people(office, range(3))
        async with matching(office):
            await report(office, [event(0)])
            await until_found(office, 1, FIRED)
            server.stop()
            await asyncio.sleep(0.3)
            server.start()  # it remembers nothing, not even how much there was
            await report(office, [event(1), event(2)])
            await until_found(office, 3, FIRED)
            assert (await office.streams.backlog({})).events <= 2
            await judged(office)


async def test_a_redis_that_hangs_keeps_no_matcher_waiting_for_ever(
    database_url: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it asks: it would hold its partitions, and nobody else could have them."""
    monkeypatch.setattr(streams, "PATIENCE_S", 0.2)
    async with installed(database_url, server.url) as office:
        server.freeze()
        some = office.streams
        for ask in (some.now(), some.backlog({0: "0-0"}), some.take_off({0: Progress(0, "0-0")})):
            asking = asyncio.ensure_future(ask)
            await asyncio.wait({asking}, timeout=30)
            with pytest.raises(TimeoutError):
                asking.result()
        server.stop()


async def test_a_matcher_whose_connection_ends_begins_again_and_repeats_nothing(
    office: Context,
) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(serve(office, stopping))
    await report(office, [event(n) for n in range(10)])
    await until_found(office, 10, FIRED)
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"
    assert await value(office, f"{ended} AND objsubid = 2 AND objid = 0") == 1
    await report(office, [event(n, source_id=f"{n}") for n in range(10)])
    async with asyncio.timeout(30):
        while not task.done() and await value(office, FIRED) < 20:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stopping.set()
    await task
    found = await fired(office)
    assert len(found) == len(set(found)) == 20
