"""arq workers: the doorbell may break, nothing is lost; and nothing is left behind in Redis."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import subprocess
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from arq.worker import Function, func
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import RedisError

from orchestrator.runtime import bell, worker
from orchestrator.runtime.context import Context
from orchestrator.runtime.embedded.valkey import binary
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.worker import running_worker, working
from tests.runtime.installation import (
    EVERY_SHARD,
    carrier,
    happened,
    installed,
    people,
    sms,
    until,
    until_found,
    value,
)

QUEUED = "SELECT count(*) FROM messages"
DELIVERED = "SELECT count(*) FROM messages WHERE state = 'delivered'"


class Server:
    """A Valkey that a test may stop, freeze and start again; it remembers nothing."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "v.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(binary()), "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.socket.exists():
                return
            time.sleep(0.01)
        raise AssertionError("no Valkey")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(redis_url)
    yield client
    await client.aclose()


def job(name: str, work: Any) -> list[Function]:
    return [func(work, name=name, keep_result=0, max_tries=1)]


async def test_a_ring_during_a_run_queues_exactly_one_more(office: Context) -> None:
    runs = 0
    go = asyncio.Event()

    async def turn(_: dict[str, Any], lane: str) -> None:
        nonlocal runs
        await office.bell.begin("turn", lane)
        runs += 1
        await go.wait()

    async with running_worker(office, bell.TURNS, job("turn", turn), max_jobs=1):
        await office.bell.ring_turns([0])
        await until(lambda: runs == 1)
        for _ in range(10):
            await office.bell.ring_turns([0])
        go.set()
        await until(lambda: runs == 2)
        await asyncio.sleep(0.3)
        assert runs == 2
        await office.bell.ring_turns([0])
        await until(lambda: runs == 3)


async def test_rings_before_a_run_are_one_run(office: Context) -> None:
    runs: list[str] = []

    async def turn(_: dict[str, Any], lane: str) -> None:
        await office.bell.begin("turn", lane)
        runs.append(lane)

    for _ in range(20):
        await office.bell.ring_turns(EVERY_SHARD)
    async with running_worker(office, bell.TURNS, job("turn", turn)):
        await until(lambda: len(runs) >= bell.LANES)
        await asyncio.sleep(0.3)
    assert sorted(runs) == [str(lane) for lane in range(bell.LANES)]


async def test_a_worker_killed_between_picking_a_job_and_beginning_it_delays_nobody(
    office: Context, redis: Redis
) -> None:
    """arq's mark of a job that was picked outlives the worker that set it, by a minute."""
    await people(office, range(3))
    async with carrier() as smsc, holding(office, [sms(smsc)]):
        for job_id in [*(f"turn:{lane}:0" for lane in range(bell.LANES)), "deliver:sms:0"]:
            await redis.set(f"arq:in-progress:{job_id}", b"1", px=70_000)
        await happened(office, ["0", "1", "2"])
        async with working(office):
            await until_found(office, 3, DELIVERED)


async def test_rings_beside_a_dead_job_are_at_most_one_a_second(
    office: Context, redis: Redis
) -> None:
    await redis.set("arq:in-progress:turn:0:0", b"1", px=70_000)
    began = time.monotonic()
    for _ in range(50):
        await office.bell.ring_turns([0])
    assert await redis.zcard(bell.TURNS) <= time.monotonic() - began + 2


async def test_a_ring_for_many_lanes_is_one_for_each(office: Context, redis: Redis) -> None:
    """What is queued stays; beside what was picked and not begun there is one more."""
    await office.bell.ring_turns([0, 1])
    await redis.set("arq:in-progress:turn:0:0", b"1", px=70_000)
    await office.bell.begin("turn", "1")
    for _ in range(3):
        await office.bell.ring_turns([0, 1, 2])
    jobs = [it.decode() for it in await redis.zrange(bell.TURNS, 0, -1)]
    assert {*jobs} > {"turn:0:0", "turn:1:0", "turn:1:1", "turn:2:0"}
    assert {it.rpartition(":")[0] for it in jobs} == {"turn:0", "turn:1", "turn:2", "turn:0:0"}


async def test_jobs_are_json(office: Context, redis: Redis) -> None:
    await office.bell.ring_turns(EVERY_SHARD)
    await office.bell.ring_delivery(["sms"])
    await office.bell.ring_sweep()
    keys = [key async for key in redis.scan_iter("arq:job:*")]
    assert len(keys) == bell.LANES + 2
    for key in keys:
        text = await redis.get(key)
        assert text is not None
        assert set(json.loads(text)) == {"t", "f", "a", "k", "et"}


async def test_what_is_no_job_of_ours_harms_nothing(office: Context, redis: Redis) -> None:
    await people(office, range(3))
    await redis.set("arq:job:evil", b"\x80\x04\x95cos\nsystem\n")
    await redis.zadd(bell.TURNS, {"evil": 1, "gone": 1})
    async with working(office):
        await happened(office, ["1"])
        await until_found(office, 1, QUEUED)


async def test_nothing_is_left_behind_in_redis(office: Context, redis: Redis) -> None:
    """Much traffic later, there are only the generations: one key per job, however many runs."""
    keys = [*await people(office, range(300))]
    async with carrier() as smsc, holding(office, [sms(smsc)]), working(office):
        for start in range(0, 300, 10):
            await happened(office, keys[start : start + 10])
            await office.bell.ring_sweep()
        await until_found(office, 300, DELIVERED)
        # While it runs, besides them: the queues' own sets, jobs at work, the workers' health.
        assert await redis.dbsize() < 60
    left = {key.decode() async for key in redis.scan_iter("*")}
    # A last ring of a worker that stops may stand in the queue for the next one.
    left = {key for key in left if not key.startswith(("arq:job:", "outreach:turns"))}
    assert left <= {
        *(f"outreach:generation:turn:{lane}" for lane in range(bell.LANES)),
        "outreach:generation:sweep:all",
        "outreach:generation:deliver:sms",
        "outreach:deliver:sms",
    }


async def test_a_redis_that_forgets_everything_makes_things_late_not_lost(
    office: Context, redis: Redis
) -> None:
    keys = [*await people(office, range(50))]
    async with working(office):
        for start in range(0, 50, 5):
            await happened(office, keys[start : start + 5])
            await redis.flushall()
        await until_found(office, 50, QUEUED)
        await redis.flushall()
        await happened(office, keys, "other.event")
        await until_found(office, 0, "SELECT count(*) FROM events WHERE taken_at IS NULL")


async def test_a_bell_that_nobody_heard_is_made_up_for_by_the_sweep(
    office: Context, redis: Redis
) -> None:
    keys = await people(office, range(5))
    await happened(office, keys)
    await redis.flushall()  # nobody will ever hear that ring
    await sweep(office)
    async with running_worker(office, bell.TURNS, worker.turn_jobs(office)):
        await until_found(office, 5, QUEUED)


async def test_a_worker_outlives_a_restart_of_redis(database_url: str, server: Server) -> None:
    async with installed(database_url, server.url, sweep_s=0.2) as office:
        keys = [*await people(office, range(20))]
        async with carrier() as smsc, holding(office, [sms(smsc)]), working(office):
            await happened(office, keys[:10])
            await until_found(office, 10, DELIVERED)
            server.stop()
            await happened(office, keys[10:15])  # the bell is silent, the event stored
            await asyncio.sleep(0.3)
            server.start()
            await until_found(office, 15, DELIVERED)
            await happened(office, keys[15:])
            await until_found(office, 20, DELIVERED)


async def test_a_redis_that_hangs_holds_nobody_up(database_url: str, server: Server) -> None:
    async with installed(database_url, server.url) as office:
        await people(office, range(1))
        server.freeze()
        async with asyncio.timeout(15):
            await happened(office, ["0"])
        await until_found(office, 1, "SELECT count(*) FROM events")
        server.stop()


async def test_a_worker_stops_though_redis_hangs(
    database_url: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a job under way, whose end it cannot tell."""
    monkeypatch.setattr(worker, "FINISH_S", 0.1)
    began = asyncio.Event()

    async def turn(_: dict[str, Any], lane: str) -> None:
        began.set()
        server.freeze()

    async with installed(database_url, server.url) as office:
        async with asyncio.timeout(30):
            async with running_worker(office, bell.TURNS, job("turn", turn)):
                await office.bell.ring_turns([0])
                await began.wait()
        server.stop()


async def test_what_is_under_way_when_a_worker_stops_is_finished(office: Context) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def turn(_: dict[str, Any], lane: str) -> None:
        await office.bell.begin("turn", lane)
        began.set()
        await asyncio.sleep(0.5)
        ended.set()

    async with running_worker(office, bell.TURNS, job("turn", turn)):
        await office.bell.ring_turns([0])
        await began.wait()
    assert ended.is_set()


async def test_a_worker_that_stops_leaves_the_rest_to_the_next(
    office: Context, redis: Redis
) -> None:
    """With much to do, it ends after the batch at hand and rings for its successor."""
    keys = await people(office, range(600))
    await happened(office, keys)
    small = replace(office, batch=8)
    async with running_worker(small, bell.TURNS, worker.turn_jobs(small)):
        await until_found(office, True, "SELECT count(*) > 0 FROM messages")
    assert await value(office, QUEUED) < 600, "it did not wait for all of them"
    async with running_worker(office, bell.TURNS, worker.turn_jobs(office)):
        await until_found(office, 600, QUEUED)


async def test_a_worker_gives_back_every_connection_and_warns_of_nothing(
    office: Context, redis: Redis
) -> None:
    async def clients() -> int:
        return len([c for c in await redis.client_list() if c["cmd"] != "client|list"])

    before = await clients()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            async with working(office):
                await happened(office, ["nobody"])
                async with asyncio.timeout(30):
                    while await clients() <= before:  # noqa: ASYNC110 - it is still on its way
                        await asyncio.sleep(0.05)
                await asyncio.sleep(0.2)
        gc.collect()
    async with asyncio.timeout(30):
        while await clients() > before + 1:  # noqa: ASYNC110 - the bell's own may stay
            await asyncio.sleep(0.05)


async def test_a_worker_that_is_cut_off_again_and_again_leaks_nothing(
    office: Context, redis: Redis
) -> None:
    async with running_worker(office, bell.TURNS, worker.turn_jobs(office)):
        for _ in range(5):
            await asyncio.sleep(0.3)
            with suppress(RedisError):
                await redis.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(2)
        clients = await redis.client_list()
        assert len(clients) <= 4, clients


async def test_a_blast_longer_than_a_job_is_not_cut_short(
    office: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of delivery ends between two claims, never within one: nothing becomes unknown."""
    monkeypatch.setattr(worker, "JOB_RUN_S", 0.2)
    monkeypatch.setattr(worker, "JOB_TIMEOUT_S", 0.5)
    keys = [*await people(office, range(60))]
    async with carrier() as smsc, holding(office, [sms(smsc, "&rate=30")]), working(office):
        await happened(office, keys)
        await until_found(office, 60, DELIVERED)
