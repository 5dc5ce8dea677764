"""`python -m tests.bench.triggers`: events of a network with twenty triggers and ten lists of a
million numbers, from the socket to the decision, beside Redis and SQL lookups in the same run; how
soon an event becomes a message. What each contender does, and does not do, stands at the head of
`peers.py`: all get the same octets over HTTP, decide the same and commit what fires.

With `--recipes` a city's events go through the two shipped recipes instead, and what was sent is
compared with an independent program. Ends with one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.runtime.embedded import Urls, run_servers
from orchestrator.runtime.memory import calm_collector
from tests.bench.triggers import latency, recipes
from tests.bench.triggers.throughput import Bench


async def measure(urls: Urls, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All contenders, in turn, so many times; then the latency."""
    bench = Bench(urls, folder, options.people, options.seed)
    print(f"{options.people:,} people, ten lists of a million numbers …", flush=True)
    list_load_s = await bench.build()
    print(f"a list of 1,000,000 numbers is loaded in {list_load_s:.1f} s", flush=True)
    contenders: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "http": lambda: bench.ours(options.events, stream=False),
        "stream": lambda: bench.ours(options.events, stream=True),
        "floor": lambda: bench.peer("floor", options.events),
        "redis": lambda: bench.peer("redis", max(1000, options.events // 10)),
        "redis-sparing": lambda: bench.peer("redis-sparing", max(1000, options.events // 4)),
        "sql": lambda: bench.peer("sql", max(1000, options.events // 40)),
        "sql-by-list": lambda: bench.peer("sql-by-list", max(1000, options.events // 200)),
    }
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    async with bench.peers():
        for number in range(options.runs):
            for name, contend in contenders.items():
                figures = await contend()
                runs[name].append(figures)
                shown = "  ".join(f"{key} {value:,}" for key, value in figures.items())
                print(f"{name:>13} {number + 1}: {shown}", flush=True)
    soon = await latency.run(bench, options.asked, options.background)
    print("  ".join(f"{key} {value:,}" for key, value in soon.items()))

    def ratio(peer: str) -> float:
        speeds = [
            ours["events_per_s_per_core"] / theirs["events_per_s_per_core"]
            for ours, theirs in zip(runs["http"], runs[peer], strict=True)
        ]
        return float(round(statistics.median(speeds), 2))

    def middle(name: str) -> int:
        return int(statistics.median(it["events_per_s_per_core"] for it in runs[name]))

    return {
        "events_per_s_per_core": middle("http"),
        "stream_events_per_s_per_core": middle("stream"),
        "ratio_to_floor": ratio("floor"),
        "ratio_to_redis": ratio("redis"),
        "ratio_to_redis_sparing": ratio("redis-sparing"),
        "ratio_to_sql": ratio("sql"),
        "ratio_to_sql_by_list": ratio("sql-by-list"),
        "p50_ms": soon["p50_ms"],
        "p99_ms": soon["p99_ms"],
        "rss_mb": max(it["rss_mb"] for it in (*runs["http"], *runs["stream"])),
        "list_load_s": round(list_load_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.triggers", description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000, help="we know (1000000)")
    parser.add_argument("--events", type=int, default=1_000_000, help="of ours, a run (1000000)")
    parser.add_argument("--runs", type=int, default=3, help="of each; the median counts (3)")
    parser.add_argument("--asked", type=int, default=500, help="for the latency (500)")
    parser.add_argument("--background", type=int, default=5_000, help="events/s meanwhile (5000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--recipes", action="store_true", help="compare sends with the oracle's")
    parser.add_argument("--disturbed", action="store_true", help="late, twice, and with kills")
    parser.add_argument("--hours", type=float, default=6.0, help="of the city's day, from ten (6)")
    parser.add_argument("--speed", type=float, default=60.0, help="of its clock (60)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="outreach-triggers-") as folder,
        run_servers(
            SimpleNamespace(database_url=None, redis_url=None, data=Path(folder) / "data")
        ) as urls,
    ):
        calm_collector()
        if options.recipes:
            run = recipes.Run(
                urls, Path(folder), options.events, options.people, options.speed, options.seed,
                options.hours, disturbed=options.disturbed,
            )  # fmt: skip
            found = asyncio.run(run.run())
        else:
            found = asyncio.run(measure(urls, Path(folder), options))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
