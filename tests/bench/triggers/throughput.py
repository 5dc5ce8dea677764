"""Events per second and core, from the socket to the decision: ours over HTTP and over the stream,
and the peers, with the same lists, triggers and octets. What costs counts, whose it is: the CPU of
all processes that take part, PostgreSQL and Valkey too, but for the client's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import redis.asyncio

from orchestrator.runtime.clock import Clock
from orchestrator.runtime.embedded import Urls, valkey
from orchestrator.runtime.redis_url import redis_settings
from orchestrator.runtime.streams import FEED
from tests.bench.pipeline import cpu
from tests.bench.triggers import world
from tests.bench.triggers.world import FIRST, Batch
from tests.bench.versions.world import OUTREACH, World, write

KEY = "the key of this bench only"
PORT = 18_472
AT_ONCE = 4
"""Requests under way."""
KINDS = 40
"""Batches that differ in more than ids and times."""
PATIENCE_S = 120.0
SETTLING_S = 5.0
"""Until every process has read the lists."""

FILL = """
INSERT INTO subscribers (key, shard, locale, timezone, addresses, created_at)
SELECT 'k' || i, i % 64, 'en', 'Asia/Shanghai',
    jsonb_build_object('sms', '+' || ($2::bigint + i)), $3
FROM generate_series(0, $1 - 1) i
"""
FILL_ADDRESSES = "INSERT INTO addresses SELECT 'sms', addresses ->> 'sms', id FROM subscribers"
PEERS_LISTS = "CREATE TABLE bench_listed (list text NOT NULL, number bigint NOT NULL)"
PEERS_INDEX = "CREATE INDEX ON bench_listed (number) INCLUDE (list)"
FIRED = "SELECT count(*) FROM events WHERE kind = 'trigger'"


class Bench:
    """An installation with people, lists and an applied project."""

    def __init__(self, urls: Urls, folder: Path, people: int, seed: int) -> None:
        self.urls, self.folder, self.people, self.seed = urls, folder, people, seed
        self.world = World(urls, folder, Clock())
        self.world.env |= {"OUTREACH_API_KEYS": KEY}
        self.lists = world.lists(people, seed)
        self.on = {name: frozenset(numbers) for name, numbers in self.lists.items()}
        self.peers_url = ""
        self._sent = 0

    async def build(self) -> float:
        """Everything is there; returns how long a list of a million took to load, in seconds."""
        write(self.world.project, world.files())
        await asyncio.to_thread(self.world.applied)
        connection = await asyncpg.connect(self.urls.database_url)
        await connection.execute(FILL, self.people, FIRST, datetime.now(UTC))
        await connection.execute(FILL_ADDRESSES)
        await connection.execute("VACUUM ANALYZE subscribers, addresses")
        file, times = self.folder / "numbers.txt", []
        for name, numbers in self.lists.items():
            file.write_text("".join(f"+{number}\n" for number in numbers))
            began = time.perf_counter()
            code, _, complained = await asyncio.to_thread(
                self.world.outreach, "list", "load", name, str(file)
            )
            times.append(time.perf_counter() - began)
            assert code == 0, complained
        await connection.close()
        return sorted(times)[len(times) // 2]

    @asynccontextmanager
    async def peers(self) -> AsyncIterator[None]:
        """Meanwhile the lists stand as sets in a Valkey of their own, which keeps them in memory
        only, and in a table with an index that has it all."""
        socket = self.folder / "peers.sock"
        self.peers_url = f"unix://{socket}"
        server = await asyncio.create_subprocess_exec(
            str(valkey.binary()), "--port", "0", "--unixsocket", str(socket), "--save", "",
            "--dir", str(self.folder), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not socket.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.05)
            await self._fill_peers()
            yield
        finally:
            server.kill()
            await server.wait()

    async def _fill_peers(self) -> None:
        connection = await asyncpg.connect(self.urls.database_url)
        client = _redis(self.peers_url)
        await connection.execute(PEERS_LISTS)
        for name, numbers in self.lists.items():
            await connection.copy_records_to_table(
                "bench_listed", records=((name, number) for number in numbers)
            )
            pipeline = client.pipeline(transaction=False)
            for begin in range(0, len(numbers), 10_000):
                pipeline.sadd(name, *(f"+{n}" for n in numbers[begin : begin + 10_000]))
            await pipeline.execute()
        await connection.execute(PEERS_INDEX)
        await connection.execute("VACUUM ANALYZE bench_listed")
        await connection.close()
        await client.aclose()

    async def ours(self, events: int, *, stream: bool) -> dict[str, Any]:
        """The web process and a matcher take so many events; every match is a row at the end."""
        made = self._batches(events, lines=stream)
        connection = await asyncpg.connect(self.urls.database_url)
        before = await connection.fetchval(FIRED)
        with self.running(["matcher"], *([] if stream else [["web"]])) as processes:
            if not stream:
                await listening(f"http://127.0.0.1:{PORT}/livez")
            await asyncio.sleep(SETTLING_S)
            meter = _Meter([it.pid for it in processes], self.folder)
            if stream:
                await self._push(made)
            else:
                await post(f"http://127.0.0.1:{PORT}/v1/events", self._dressed(made))
            due = before + sum(it.matches for it in made)
            await _until(lambda: connection.fetchval(FIRED), due)
            figures = meter.read(len(made) * 1000)
            figures["rss_mb"] = max(_rss_mb(it.pid) for it in processes)
        await connection.close()
        return figures

    async def peer(self, name: str, events: int) -> dict[str, Any]:
        """A peer takes so many events over HTTP."""
        made = self._batches(events, lines=False)
        port = PORT + 1
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.triggers.peers", name, self.peers_url,
            self.urls.database_url, str(port),
        )  # fmt: skip
        try:
            base = f"http://127.0.0.1:{port}"
            await listening(base + "/matches")
            meter = _Meter([process.pid], self.folder)
            await post(base + "/v1/events", self._dressed(made))
            async with aiohttp.ClientSession() as session, session.get(base + "/matches") as said:
                found = await said.json()
            due = 0 if name == "floor" else sum(it.matches for it in made)
            assert found == due, f"{name} found {found}"
            return meter.read(len(made) * 1000)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def _batches(self, events: int, *, lines: bool) -> Sequence[Batch]:
        kinds = world.batches(self.people, KINDS, self.seed, self.on, lines=lines)
        return [kinds[number % KINDS] for number in range(events // 1000)]

    def _dressed(self, made: Iterable[Batch]) -> Iterator[bytes]:
        for batch in made:
            self._sent += 1
            yield batch.dressed(self._sent, _written(datetime.now(UTC)))

    async def _push(self, made: Iterable[Batch]) -> None:
        client = _redis(self.urls.redis_url)
        for body in self._dressed(made):
            await client.xadd(FEED, {"events": body})
        await client.aclose()

    @contextmanager
    def running(self, *commands: Sequence[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
        env = self.world.env | {"OUTREACH_WEB_PORT": str(PORT)}
        with self.world.log.open("ab") as log, ExitStack() as stack:
            processes = [
                stack.enter_context(
                    subprocess.Popen([*OUTREACH, *it], env=env, stdout=log, stderr=log)
                )
                for it in commands
            ]
            try:
                yield processes
                if ended := [it.args for it in processes if it.poll() is not None]:
                    raise SystemExit(
                        f"{ended} ended too soon: {self.world.log.read_text()[-2000:]}"
                    )
            finally:
                for process in processes:
                    process.terminate()


class _Meter:
    """What a run costs: the CPU of our processes, of Valkey and of PostgreSQL."""

    def __init__(self, pids: Sequence[int], folder: Path) -> None:
        self._parts = {
            "client": pids,
            "valkey": cpu.servers("valkey", folder),
            "postgres": cpu.servers("postgres", folder),
        }
        self._before = {part: cpu.cpu_s(pids) for part, pids in self._parts.items()}
        self._began = time.perf_counter()

    def read(self, events: int) -> dict[str, Any]:
        """CPU µs per event, by part and in all; events per second of one core, and by the clock."""
        wall_s = time.perf_counter() - self._began
        spent = {part: cpu.cpu_s(pids) - self._before[part] for part, pids in self._parts.items()}
        return {
            "events": events,
            "events_per_s_per_core": round(events / sum(spent.values())),
            "events_per_s": round(events / wall_s),
            **{f"{part}_us": round(s / events * 1e6, 2) for part, s in spent.items()},
        }


async def post(url: str, bodies: Iterator[bytes]) -> None:
    """Every body is accepted; who is told to wait, waits."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def one_after_another() -> None:
            for body in bodies:
                while True:
                    async with session.post(url, data=body) as answer:
                        if answer.status == 429:
                            await asyncio.sleep(float(answer.headers["Retry-After"]))
                            continue
                        said = await answer.read()
                        assert answer.status == 202, said
                        break

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(one_after_another())


async def listening(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(600):
            try:
                async with session.get(url):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    raise SystemExit(f"nobody answers at {url}")


async def _until(count: Callable[[], Awaitable[int]], wanted: int) -> None:
    """As many as that are there: one more is an error, and so is one less for long."""
    deadline, found = time.monotonic() + PATIENCE_S, -1
    while time.monotonic() < deadline:
        found = await count()
        if found >= wanted:
            break
        await asyncio.sleep(0.1)  # to count them costs PostgreSQL milliseconds, which count
    if found != wanted:
        raise SystemExit(f"{found:,} triggers fired; the events hold {wanted:,}")


def _redis(url: str) -> redis.asyncio.Redis:
    settings = redis_settings(url)
    return redis.asyncio.Redis(
        host=str(settings.host), port=settings.port, unix_socket_path=settings.unix_socket_path
    )


def _written(at: datetime) -> str:
    """The instant, always in the same number of octets."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _rss_mb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return 0
