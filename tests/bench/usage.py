"""`python -m tests.bench.usage [--people 1000000]`: what counting costs, what a turn and a segment
pay for reading it, and places in regions beside a figure written for each subscriber. Ends with one
line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import asyncpg
from msgspec.structs import replace

from orchestrator.core.expression import Condition
from orchestrator.core.project import Project
from orchestrator.project import shipped
from orchestrator.project.load import load
from orchestrator.runtime.embedded import run_servers
from orchestrator.store import comparing, events, usage
from orchestrator.store.events import NewEvent
from orchestrator.store.ids import Ids
from orchestrator.store.migrate import migrate
from orchestrator.store.subscribers import subscriber_of

NOW = datetime(2026, 3, 20, 4, tzinfo=UTC)
BATCH = 1000
TURN = 500

FILL = """
INSERT INTO subscribers (key, shard, locale, timezone, attributes, created_at)
SELECT 'k' || i, i % 64, 'zh', 'Asia/Shanghai', jsonb_build_object('name', 'N' || i, 'network',
    '4g', 'city', 'city ' || i % 300, 'plan', 'basic', 'plan_mb', 1000), $2
FROM generate_series(1, $1::integer) i
"""
FILL_MONTH = """
INSERT INTO usage_months (subscriber_id, measure, month, total, days)
SELECT s.id, 'mb', $1, (i.used * $2)::numeric, array_fill(i.used, ARRAY[$2::integer])
FROM subscribers s
CROSS JOIN LATERAL (SELECT (s.id * 7919 % 100003 / 100.0)::numeric(9, 2) AS used) i
WHERE s.id % 5 > 0
"""
A_ROW_EACH = """
UPDATE each_place p SET rank = r.rank, percentile = r.percentile, mean = r.mean
FROM (SELECT s.id, rank() OVER w AS rank, percent_rank() OVER w AS percentile,
             avg(coalesce(u.total, 0)) OVER (PARTITION BY s.attributes ->> 'city') AS mean
      FROM subscribers s LEFT JOIN usage_months u
          ON u.subscriber_id = s.id AND u.measure = 'mb' AND u.month = '2026-03-01'
      WINDOW w AS (PARTITION BY s.attributes ->> 'city' ORDER BY coalesce(u.total, 0) DESC)) r
WHERE p.id = r.id
"""


async def fill(connection: asyncpg.Connection, people: int) -> None:
    """So many people in 300 cities; four fifths of them used data on every day of two months."""
    await migrate(connection)
    async with connection.transaction():
        await connection.execute("SELECT set_config('outreach.turn', 'yes', true)")
        await connection.execute(FILL, people, NOW - timedelta(days=90))
    await connection.execute(FILL_MONTH, date(2026, 2, 1), 28)
    await connection.execute(FILL_MONTH, date(2026, 3, 1), 19)
    await connection.execute("VACUUM ANALYZE")


async def timed(work: Callable[[], Awaitable[Any]], times: int) -> float:
    """The median of so many runs, in seconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def measure(connection: asyncpg.Connection, people: int) -> dict[str, float]:
    chance, ids, numbers = Random(7), Ids(), iter(range(10**9))
    counting = load(shipped.programme())
    plain: Project = replace(counting, feed=replace(counting.feed, events={}, usage={}))
    found: dict[str, float] = {"people": people}

    async def report(project: Project) -> None:
        news = [
            NewEvent(
                it, it % 64, "event", "data.used", {"mb": 5.3}, NOW, "bench", str(next(numbers))
            )
            for it in chance.sample(range(1, people + 1), BATCH)
        ]
        async with connection.transaction():
            await events.add(connection, news, NOW, ids, project)

    for name, project in (("stored", plain), ("counted", counting)):
        await report(project)
        found[f"{name}_us_per_event"] = await timed(partial(report, project), 15) / BATCH * 1e6

    began = time.perf_counter()
    await comparing.compare(connection, counting, NOW)
    found["compare_s"] = time.perf_counter() - began
    found["places"] = await connection.fetchval(
        "SELECT sum(cardinality(totals)) FROM usage_regions"
    )
    await connection.execute(
        "CREATE TABLE each_place"
        " (id bigint PRIMARY KEY, rank bigint, percentile float, mean numeric)"
    )
    await connection.execute("INSERT INTO each_place (id) SELECT id FROM subscribers")
    began = time.perf_counter()
    await connection.execute(A_ROW_EACH)
    found["a_row_each_s"] = time.perf_counter() - began

    turns = []
    for _ in range(15):
        chosen = chance.sample(range(1, people + 1), TURN)
        rows = await connection.fetch("SELECT * FROM subscribers WHERE id = ANY($1)", chosen)
        turns.append([subscriber_of(row) for row in rows])
    waiting = iter(turns * 4)
    await usage.load(connection, next(waiting), counting, NOW)
    found["turn_of_500_ms"] = 1e3 * await timed(
        lambda: usage.load(connection, next(waiting), counting, NOW), 30
    )
    alone = replace(counting, feed=replace(counting.feed, usage={}))
    found["turn_of_500_without_places_ms"] = 1e3 * await timed(
        lambda: usage.load(connection, next(waiting), alone, NOW), 20
    )

    async def segment(text: str) -> None:
        condition = Condition.parse(text)
        sql = condition.sql(1)
        told, more = await usage.people(
            connection, condition.names(), counting, NOW, 1 + len(sql.parameters)
        )
        query = f"SELECT count(*) FROM ({told}) s WHERE {sql.text}"
        await connection.fetchval(query, *sql.parameters, *more)

    for name, text in (
        ("city", "subscriber.city == 'city 7'"),
        ("mb_7d", "usage.mb_7d >= 30"),
        ("mb_percentile", "usage.mb_percentile >= 90"),
    ):
        found[f"segment_{name}_s"] = await timed(partial(segment, text), 1)
    return {name: round(value, 3) for name, value in found.items()}


async def run(url: str, people: int) -> dict[str, float]:
    connection = await asyncpg.connect(url)
    try:
        began = time.perf_counter()
        await fill(connection, people)
        print(f"{people:,} people made in {time.perf_counter() - began:.0f} s", flush=True)
        return await measure(connection, people)
    finally:
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    people = parser.parse_args().people
    with tempfile.TemporaryDirectory() as folder:
        where = SimpleNamespace(database_url=None, redis_url=None, data=Path(folder))
        with run_servers(where) as urls:
            found = asyncio.run(run(urls.database_url, people))
    for name, value in found.items():
        print(f"{name:32} {value:>14,}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
