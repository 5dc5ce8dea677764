"""The stream `outreach:feed` while Redis or PostgreSQL fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import pytest

from orchestrator.runtime import feed_stream, streams
from orchestrator.runtime.context import Context
from orchestrator.runtime.feed_stream import FeedStream
from orchestrator.runtime.intake import SOURCE, Intake
from orchestrator.runtime.reports import Broken, EventShape, Taken
from orchestrator.runtime.streams import FEED
from tests.runtime.feed import TRIGGERS, clock
from tests.runtime.installation import installed, people, value
from tests.runtime.test_worker import Server

BODY = '{"name":"shop.bought","source_id":"%s","subscriber":"0","properties":{"amount":1}}'


class _Failing(Intake):
    """The first of all that is taken comes while PostgreSQL is away."""

    failed = False

    async def take(
        self,
        reports: Sequence[EventShape],
        source: str = SOURCE,
        broken: Sequence[Broken] = (),
        positions: Sequence[int] | None = None,
    ) -> Taken:
        if not self.failed:
            self.failed = True
            raise asyncpg.ConnectionDoesNotExistError
        return await super().take(reports, source, broken, positions)


async def test_what_was_in_hand_when_something_failed_is_dealt_with_at_once(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not be forsaken first, as if its consumer had been killed."""
    monkeypatch.setattr(feed_stream, "MOST_OCTETS", 1)  # an entry at a time
    monkeypatch.setattr(feed_stream, "FORSAKEN_MS", 3_600_000)
    monkeypatch.setattr(feed_stream, "PAUSE_S", 0.01)
    async with installed(database_url, redis_url, TRIGGERS, clock()) as office:
        await people(office, range(1))
        redis = office.streams.redis
        for n in range(3):
            await redis.xadd(FEED, {"event": BODY % n})
        gone = await redis.xadd(FEED, {"event": BODY % "gone"})
        await redis.xgroup_create(FEED, "outreach", id="0")
        await redis.xreadgroup("outreach", "one", {FEED: ">"})
        await redis.xdel(FEED, gone)
        await redis.xadd(FEED, {"event": BODY % "new"})
        stopping = asyncio.Event()
        task = asyncio.create_task(FeedStream(redis, _Failing(office), "one").serve(stopping))
        async with asyncio.timeout(30):
            while await redis.xlen(FEED):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        stopping.set()
        await task
        assert await value(office, "SELECT count(*) FROM events") == 4


async def test_it_stops_also_while_redis_gives_no_answer(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_stream, "PATIENCE_S", 0.5)
    server = Server(tmp_path)
    server.start()
    try:
        async with installed(database_url, server.url) as office:
            stopping = asyncio.Event()
            task = asyncio.create_task(_feed(office).serve(stopping))
            async with asyncio.timeout(30):
                while not await _consumers(office):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            server.freeze()
            stopping.set()
            await asyncio.wait({task}, timeout=30)
            assert task.done()
            server.stop()
    finally:
        server.stop()


async def test_to_read_again_ends_also_while_redis_gives_no_answer(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PATIENCE_S", 0.2)
    server = Server(tmp_path)
    server.start()
    try:
        async with installed(database_url, server.url) as office:
            server.freeze()
            asking = asyncio.create_task(office.streams.again(0, "0-0", "+"))
            await asyncio.wait({asking}, timeout=30)
            with pytest.raises(TimeoutError):
                asking.result()
            server.stop()
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["1700000000000000-0", "18446744073709551614-1", "1-1"])
async def test_an_entry_of_any_id_is_dealt_with(
    database_url: str, redis_url: str, name: str
) -> None:
    """Some count in microseconds, or from one."""
    async with installed(database_url, redis_url, TRIGGERS, clock()) as office:
        await people(office, range(1))
        redis = office.streams.redis
        await redis.xadd(FEED, {"event": BODY % "first"}, id=name)
        await redis.xadd(FEED, {"event": BODY % "second"})
        stopping = asyncio.Event()
        task = asyncio.create_task(_feed(office).serve(stopping))
        async with asyncio.timeout(30):
            while await redis.xlen(FEED):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        stopping.set()
        await task
        assert await value(office, "SELECT count(*) FROM events") == 2


def _feed(office: Context) -> FeedStream:
    return FeedStream(office.streams.redis, Intake(office), "one")


async def _consumers(office: Context) -> int:
    redis = office.streams.redis
    if not await redis.exists(FEED):
        return 0
    return len(await redis.xinfo_consumers(FEED, "outreach"))
