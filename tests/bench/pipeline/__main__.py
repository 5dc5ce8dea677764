"""`python -m tests.bench.pipeline`: prints a table for people and one line of JSON for scripts."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import uvloop

from orchestrator.runtime.embedded import Urls, run_servers
from orchestrator.runtime.memory import calm_collector
from tests.bench.pipeline import cpu, floor, job_per_message, ours

CONTENDERS = ("floor", "ours", "job_per_message", "job_per_message_by_hand")
TEXT_FLOOR = (
    "Hello {{ name }}! Five ways into the mobile internet from {{ city }} are waiting for you, "
    "and you used {{ mb }} MB so far. http://wap.example/start Reply STOP to opt out"
)
TEXT_OURS = (
    "Hello {{ subscriber.name }}! Five ways into the mobile internet from {{ subscriber.city }} "
    "are waiting for you, and you used {{ subscriber.mb }} MB so far. http://wap.example/start "
    "Reply STOP to opt out"
)


def contend(name: str, url: str, redis_url: str, port: int, count: int) -> None:
    """Runs one contender in this process and prints what it came to. Starting Python and importing
    is no part of it: a worker does that once in its life."""

    async def run() -> int:
        if name == "floor":
            return await floor.run(url, port, TEXT_FLOOR)
        if name == "ours":
            return await ours.run(url, redis_url, port)
        with_orm = name == "job_per_message"
        return await job_per_message.run(url, redis_url, port, count, TEXT_FLOOR, with_orm=with_orm)

    calm_collector()
    start, before = time.perf_counter(), time.process_time()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sent = runner.run(run())
    print(
        json.dumps(
            {
                "sent": sent,
                "wall_s": time.perf_counter() - start,
                "client_s": time.process_time() - before,
            }
        )
    )


def _named(urls: Urls, database: str) -> str:
    return urls.database_url.replace("/outreach?", f"/{database}?")


async def make_world(urls: Urls, name: str, people: int, every: int) -> None:
    """The database `name` (`floor` or `ours`) holds its world, to be copied for each run."""
    base = await asyncpg.connect(urls.database_url)
    await base.execute(f"CREATE DATABASE {name}")
    await base.close()
    connection = await asyncpg.connect(_named(urls, name))
    if name == "ours":
        await ours.fill(connection, people, every, TEXT_OURS)
    else:
        await floor.fill(connection, people, every)
    await connection.close()


async def copy_world(urls: Urls, name: str) -> str:
    """A fresh copy of that world, warm in no cache but the system's; returns its URL."""
    base = await asyncpg.connect(urls.database_url)
    await base.execute("DROP DATABASE IF EXISTS run")
    await base.execute(f"CREATE DATABASE run TEMPLATE {name} STRATEGY file_copy")
    await base.execute("CHECKPOINT")
    await base.close()
    return _named(urls, "run")


def measure(urls: Urls, folder: Path, port: int, name: str, count: int) -> dict[str, float]:
    """One contender's run, with what it cost each process."""
    url = asyncio.run(copy_world(urls, "ours" if name == "ours" else "floor"))
    postgres, valkey = cpu.servers("postgres", folder), cpu.servers("valkey", folder)
    before = cpu.cpu_s(postgres), cpu.cpu_s(valkey)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.pipeline", "--contend", name, url, urls.redis_url,
         str(port), str(count)],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    after = cpu.cpu_s(postgres), cpu.cpu_s(valkey)
    if not 0.9 < said["sent"] / count < 1.1:
        raise SystemExit(f"{name} sent {said['sent']} of about {count}")
    count = said["sent"]
    parts = {
        "client": said["client_s"],
        "postgres": after[0] - before[0],
        "valkey": after[1] - before[1],
    }
    per_message = {part: seconds / count * 1e6 for part, seconds in parts.items()}
    return {
        "messages_per_s": count / said["wall_s"],
        "cpu_us_per_message": sum(per_message.values()),
        **{f"{part}_us": us for part, us in per_message.items()},
    }


def middle(runs: list[dict[str, float]]) -> dict[str, float]:
    """The run with the median CPU cost."""
    return sorted(runs, key=lambda run: run["cpu_us_per_message"])[len(runs) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipeline", description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000, help="in the world (1000000)")
    parser.add_argument("--messages", type=int, default=25_000, help="of floor and ours (25000)")
    parser.add_argument("--jobs", type=int, default=2_000, help="of one job per message (2000)")
    parser.add_argument("--runs", type=int, default=3, help="of each; the median counts (3)")
    parser.add_argument("--only", choices=CONTENDERS)
    parser.add_argument("--contend", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contend:
        name, url, redis_url, port, count = options.contend
        return contend(name, url, redis_url, int(port), int(count))
    counts = {
        "floor": options.messages,
        "ours": options.messages,
        "job_per_message": options.jobs,
        "job_per_message_by_hand": options.jobs,
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in counts}
    with (
        tempfile.TemporaryDirectory(prefix="outreach-bench-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.pipeline.acking"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as carrier,
        run_servers(SimpleNamespace(database_url=None, redis_url=None, data=Path(folder))) as urls,
    ):  # fmt: skip
        assert carrier.stdout
        assert carrier.stdin
        port = int(carrier.stdout.readline())
        every = max(1, options.people // options.messages)
        for name in ("floor", "ours"):
            if options.only is None or name == ("ours" if options.only == "ours" else "floor"):
                print(f"a world of {options.people:,} people for {name} …", flush=True)
                asyncio.run(make_world(urls, name, options.people, every))
        for number in range(options.runs):
            for name, count in counts.items():
                if options.only in (None, name):
                    result = measure(urls, Path(folder), port, name, count)
                    runs[name].append(result)
                    shown = "  ".join(f"{key} {value:,.0f}" for key, value in result.items())
                    print(f"{name:>23} {number + 1}: {shown}", flush=True)
        carrier.stdin.close()
    if options.only:
        return None
    middles = {name: middle(done) for name, done in runs.items()}
    ratios = [
        a["cpu_us_per_message"] / b["cpu_us_per_message"]
        for a, b in zip(runs["floor"], runs["ours"], strict=True)
    ]
    cost = {name: figures["cpu_us_per_message"] for name, figures in middles.items()}
    print(f"\nCPU µs per message, median of {options.runs} on {os.cpu_count()} cores")
    for name, figures in middles.items():
        print(
            f"{name:>23}: {figures['cpu_us_per_message']:8,.0f}"
            f"   client {figures['client_us']:,.0f}   PostgreSQL {figures['postgres_us']:,.0f}"
            f"   Valkey {figures['valkey_us']:,.0f}"
            f"   {figures['messages_per_s']:,.0f} messages/s"
        )
    print(
        json.dumps(
            {
                **{
                    name: {key: round(value, 1) for key, value in figures.items()}
                    for name, figures in middles.items()
                },
                "ratio_to_floor": round(statistics.median(ratios), 3),
                "ratio_to_job_per_message": round(cost["job_per_message"] / cost["ours"], 1),
                "ratio_to_job_per_message_by_hand": round(
                    cost["job_per_message_by_hand"] / cost["ours"], 1
                ),
            }
        )
    )
    return None


if __name__ == "__main__":
    main()
