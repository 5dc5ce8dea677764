"""`python -m tests.bench.memory`: what a worker and a gateway hold in memory, by how many people
the installation has.

The same turns in worlds of different sizes: a fixed number of people is due, then the schedule of
a segment comes that has everybody in it, and as many of them as the smallest world holds have had
their turn. The processes are real (`outreach worker`, `outreach gateway`), and what is read is what
the kernel says of them: VmRSS after each phase, and VmHWM, the most there ever was. Prints a table
and ends with one line of JSON; `ratio` is the worker's peak in the largest world over that in the
smallest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import asyncpg

from orchestrator.runtime.clock import Clock
from orchestrator.runtime.embedded import Urls, run_servers
from orchestrator.runtime.projects import apply
from tests.bench.pipeline import ours
from tests.bench.pipeline.__main__ import TEXT_OURS
from tests.bench.pipeline.floor import NOW

ROLES = ("worker", "gateway")
DUE = 20_000
PATIENCE_S = 1800.0
SETTLE_S = 5.0

CENSUS = """
journey: census
class: lifecycle
enter:
  - segment: everyone
    every: month on 28 at 09:30
steps:
  - id: hello
    send: bench/welcome
    via: [chat, sms]
"""
SEGMENTS = "segments: {everyone: subscriber.mb >= 0}\n"

LEFT = """
SELECT (SELECT count(*) FROM enrollments WHERE journey = 'bench' AND step = 'welcome'
        AND due_at <= $1)
    + (SELECT count(*) FROM attempts)
"""
ENTERED = "SELECT count(*) FROM events WHERE kind = 'entered'"
TAKEN = "SELECT count(*) FROM events WHERE kind = 'entered' AND taken_at IS NOT NULL"


class Reading(SimpleNamespace):
    """Megabytes of one process by phase, and its peak."""


def held_mb(pid: int) -> tuple[float, float]:
    """VmRSS and VmHWM of a process, in megabytes (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE))
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024


@asynccontextmanager
async def processes(url: str, urls: Urls, port: int, folder: Path) -> AsyncIterator[dict[str, int]]:
    """A worker and a gateway run; their process ids by role."""
    env = {
        **os.environ,
        "DATABASE_URL": url,
        "REDIS_URL": urls.redis_url,
        "OUTREACH_SMPP_URL": f"smpp://bench:secret@127.0.0.1:{port}?window=100&source=10086",
        "OUTREACH_DATA": str(folder / "data"),
        "OUTREACH_SECRET": "bench-bench-bench-bench-bench-bench",
        "OUTREACH_CLOCK": str(Clock.starting(NOW, 1.0)),
    }
    running = {}
    for role in ROLES:
        with (folder / f"{role}.log").open("w") as log:
            command = [sys.executable, "-m", "orchestrator.cli", role]
            running[role] = subprocess.Popen(command, env=env, stdout=log, stderr=log)  # noqa: ASYNC220
    try:
        yield {role: process.pid for role, process in running.items()}
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            await asyncio.to_thread(process.wait)


async def until(connection: asyncpg.Connection, query: str, *values: object, reaches: int) -> None:
    """What `query` counts has come to `reaches`: up to it, or down to nothing."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            count = await connection.fetchval(query, *values)
            if count >= reaches if reaches else not count:
                return
            await asyncio.sleep(1.0)


async def fill(url: str, people: int) -> None:
    """So many people, DUE of them due, and a segment of all of them that is not yet due."""
    connection = await asyncpg.connect(url)
    await ours.fill(connection, people, max(1, people // DUE), TEXT_OURS)
    files = {
        **ours.files(TEXT_OURS),
        "journeys/census.yaml": CENSUS,
        "journeys/program/segments.yaml": SEGMENTS,
    }
    await apply(connection, files, NOW)
    await connection.close()


async def live(url: str, urls: Urls, port: int, folder: Path, turns: int) -> dict[str, Reading]:
    """What the processes hold after each phase of a world that is filled."""
    connection = await asyncpg.connect(url)
    readings = {role: Reading() for role in ROLES}
    async with processes(url, urls, port, folder) as pids:

        async def read(phase: str) -> None:
            await asyncio.sleep(SETTLE_S)
            for role, pid in pids.items():
                rss, peak = held_mb(pid)
                setattr(readings[role], phase, rss)
                readings[role].peak = peak

        await until(connection, "SELECT count(*) FROM schedules", reaches=1)
        await read("started")
        await until(connection, LEFT, NOW + timedelta(hours=1), reaches=0)
        await read("timers")
        await connection.execute("UPDATE schedules SET next_at = $1", NOW - timedelta(days=1))
        await until(connection, ENTERED, reaches=1)
        await read("entering")
        await until(connection, TAKEN, reaches=turns)
        await read("segment")
    await connection.close()
    return readings


def shown(people: int, readings: Mapping[str, Reading]) -> None:
    for role, reading in readings.items():
        figures = "  ".join(f"{phase} {mb:6.1f}" for phase, mb in vars(reading).items())
        print(f"{people:>12,} {role:>8}: {figures}  MB", flush=True)


def _short(people: int) -> str:
    return f"{people // 1_000_000}m" if people >= 1_000_000 else f"{people // 1_000}k"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    worlds: list[int] = sorted(options.people)
    found: dict[int, dict[str, Reading]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="outreach-bench-") as name,
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.pipeline.acking"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as carrier,
        run_servers(SimpleNamespace(database_url=None, redis_url=None, data=Path(name))) as urls,
    ):  # fmt: skip
        assert carrier.stdout
        assert carrier.stdin
        port = int(carrier.stdout.readline())
        for people in worlds:
            print(f"a world of {people:,} people …", flush=True)
            url = asyncio.run(_new_database(urls, f"people_{people}"))
            asyncio.run(fill(url, people))
            found[people] = asyncio.run(live(url, urls, port, Path(name), worlds[0]))
            shown(people, found[people])
        carrier.stdin.close()
    figures: dict[str, float] = {}
    for role, prefix in (("worker", ""), ("gateway", "gateway_")):
        peaks = {people: found[people][role].peak for people in worlds}
        figures |= {
            f"{prefix}rss_mb_{_short(people)}": round(mb, 1) for people, mb in peaks.items()
        }
        figures[f"{prefix}ratio"] = round(peaks[worlds[-1]] / peaks[worlds[0]], 3)
    print(json.dumps(figures))


async def _new_database(urls: Urls, name: str) -> str:
    base = await asyncpg.connect(urls.database_url)
    await base.execute(f"CREATE DATABASE {name}")
    await base.close()
    return urls.database_url.replace("/outreach?", f"/{name}?")


if __name__ == "__main__":
    main()
