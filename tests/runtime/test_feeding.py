"""Recordings are played again: each event at its time, none lost when the installation is busy."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.feeding import BusyError, Counts, Feeder, Recorded, ToServer, ToStream
from orchestrator.runtime.streams import FEED
from tests.runtime.installation import NOON, installed

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC).timestamp()


def hourly(count: int) -> Iterator[Recorded]:
    """Calls of a day, one an hour."""
    for n in range(count):
        at = LONG_AGO + n * 3600
        yield Recorded(n + 1, "call.ended", 8613800138000 + n, at, f"c{n}", {"seconds": n})


class Ears:
    """Hears what is sent, and is busy when it is told to be."""

    def __init__(self, clock: Clock, busy: Sequence[int] = ()) -> None:
        self.heard: list[dict[str, Any]] = []
        self.delays: list[float] = []
        self._clock = clock
        self._busy = [*busy]

    async def send(self, lines: Sequence[bytes]) -> Counts:
        if self._busy:
            taken = lines[: self._busy.pop(0)]
            self._hear(taken)
            raise BusyError(0.0, Counts(len(taken), queued=len(taken)))
        self._hear(lines)
        return Counts(len(lines), queued=len(lines))

    def _hear(self, lines: Sequence[bytes]) -> None:
        now = self._clock.now()
        for line in lines:
            it = msgspec.json.decode(line)
            self.heard.append(it)
            self.delays.append((now - datetime.fromisoformat(it["at"])).total_seconds())


async def test_events_come_at_their_time_with_the_intervals_they_had() -> None:
    clock = Clock.starting(NOON, 360_000)  # a hundred hours a second
    ears = Ears(clock)
    fed = await Feeder(ears, clock, "r1", 2.0).feed(hourly(24), asyncio.Event())
    times = [datetime.fromisoformat(it["at"]) for it in ears.heard]
    gaps = {round((b - a).total_seconds()) for a, b in itertools.pairwise(times)}
    assert gaps == {1800}
    assert times[0] >= NOON
    assert min(ears.delays) >= 0, "none comes before its time"
    assert [it["source_id"] for it in ears.heard] == [f"c{n}@r1" for n in range(24)]
    assert (fed.events, fed.counts.queued, fed.resume) == (24, 24, None)


async def test_what_a_busy_installation_did_not_take_is_sent_again_and_nothing_twice() -> None:
    ears = Ears(Clock(), busy=[0, 3, 0])
    fed = await Feeder(ears, Clock(), "r1", None).feed(hourly(10), asyncio.Event())
    assert [it["source_id"] for it in ears.heard] == [f"c{n}@r1" for n in range(10)]
    assert (fed.waited, fed.counts.lines) == (3, 10)


async def test_as_recorded_nothing_is_changed() -> None:
    ears = Ears(Clock())
    await Feeder(ears, Clock(), "r1", as_recorded=True).feed(hourly(2), asyncio.Event())
    assert [(it["at"], it["source_id"]) for it in ears.heard] == [
        ("2020-01-01T00:00:00Z", "c0"),
        ("2020-01-01T01:00:00Z", "c1"),
    ]


async def test_a_replay_that_is_stopped_says_where_it_goes_on() -> None:
    ears, stop = Ears(Clock()), asyncio.Event()

    def tell(fed: object, line: int) -> None:
        stop.set()

    feeder = Feeder(ears, Clock(), "r1", None, tell=tell)
    fed = await feeder.feed(hourly(2_500), stop)
    assert (fed.events, fed.resume) == (1_000, 1_001)


async def test_a_slow_installation_makes_the_replay_longer_and_no_event_late() -> None:
    clock = Clock.starting(NOON, 1000)

    class Slow(Ears):
        async def send(self, lines: Sequence[bytes]) -> Counts:
            counts = await super().send(lines)
            await asyncio.sleep(0.35)
            return counts

    ears = Slow(clock)
    events = [
        Recorded(n, "x", 8613800138000, LONG_AGO + n / 100, f"c{n}", {}) for n in range(5_000)
    ]
    fed = await Feeder(ears, clock, "r1").feed(events, asyncio.Event())
    assert fed.slipped_s > 0
    times = [it["at"] for it in ears.heard]
    assert times == sorted(times)


async def test_a_server_is_asked_again_when_it_says_so_and_not_when_it_refuses() -> None:
    answers = [
        (429, {"title": "Too many", "taken": {"lines": 2, "queued": 2}}, {"Retry-After": "1"}),
        (503, {"title": "Away"}, {}),
        (202, {"lines": 1, "queued": 1, "set_aside_at": []}, {}),
        (403, {"title": "Forbidden", "detail": "The key is for reading."}, {}),
    ]
    heard: list[tuple[str, list[bytes]]] = []

    async def post(request: web.Request) -> web.Response:
        heard.append((request.headers["Authorization"], (await request.read()).split(b"\n")))
        status, body, headers = answers[len(heard) - 1]
        return web.json_response(body, status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/v1/events", post)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        async with ClientSession() as session:
            sender = ToServer(session, f"http://127.0.0.1:{port}/", "k" * 20)
            fed = await Feeder(sender, Clock(), "r", None).feed(hourly(3), asyncio.Event())
            assert (fed.counts.lines, fed.counts.queued, fed.waited) == (3, 3, 1)
            with pytest.raises(OutreachError, match="refuses: 403 Forbidden"):
                await Feeder(sender, Clock(), "r", None).feed(hourly(1), asyncio.Event())
    finally:
        await runner.cleanup()
    assert {key for key, _ in heard} == {f"Bearer {'k' * 20}"}
    assert [len(lines) for _, lines in heard] == [3, 1, 1, 1]


async def test_events_for_the_stream_are_added_by_the_thousand(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url) as context:
        redis = context.streams.redis
        feeder = Feeder(ToStream(redis), Clock(), "r", None)
        fed = await feeder.feed(hourly(1_500), asyncio.Event())
        assert fed.counts.lines == 1_500
        entries = await redis.xrange(FEED)
        assert [len(it[b"events"].split(b"\n")) for _, it in entries] == [1_000, 500]
