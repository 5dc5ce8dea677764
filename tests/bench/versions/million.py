"""Plan and apply with very many people in flight, and what turns feel of it."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.embedded import Urls
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.store import moves
from tests.bench.versions.world import FILES, World, fill, write
from tests.runtime.edits import TEMPLATES, first

PROBES_S = 20.0
EVERY_S = 0.1
SPARE = 20_000
"""People besides, of whom events are reported, one each."""

PING = """
journey: ping
class: urgent
again: always
enter: [{on: ping.asked}]
steps: [{id: hi, send: m00, via: [sms]}]
"""

# They stand all over the journey: a third waits, a third waits for its time.
STAND = """
INSERT INTO enrollments (subscriber_id, journey, shard, version, run, status, step, due_at,
    entered_at, waiting)
SELECT id, 'tour', shard, $1, 1, 'active',
    CASE id % 3 WHEN 0 THEN 'w1' WHEN 1 THEN 's2' ELSE 's5' END,
    $2::timestamptz + interval '20 days' + id * interval '1 second',
    $2::timestamptz - (id % 20) * interval '1 hour',
    CASE WHEN id % 3 = 0 THEN jsonb_build_object('kind', 'time', 'since', $2::timestamptz) END
FROM subscribers
"""
LATENCY = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
    ORDER BY extract(epoch FROM m.queued_at - e.at) * 1000), count(*)
FROM events e JOIN messages m ON m.subscriber_id = e.subscriber_id AND m.template = 'm00'
WHERE e.name = 'ping.asked' AND e.at >= $1 AND e.at < $2
"""


async def run(urls: Urls, folder: Path, people: int) -> dict[str, Any]:
    """How long plan and apply take, and how long an event waited for its message: before and
    while people moved."""
    clock = Clock.starting(datetime.now(UTC), 1)
    world = World(urls, folder, clock)
    text = first(8)
    old = text.written().replace("day 1 ", "day 11 ").replace("day 2 ", "day 12 ")
    old = old.replace("day 3 ", "day 13 ")
    files = {**FILES, **TEMPLATES, "journeys/ping.yaml": PING}
    write(world.project, {**files, "journeys/tour.yaml": old})
    await asyncio.to_thread(world.applied)
    connection = await asyncpg.connect(urls.database_url)
    await fill(connection, people + SPARE, clock)
    version = await connection.fetchval("SELECT version FROM versions WHERE journey = 'tour'")
    await connection.execute(STAND + f" WHERE id <= {people}", version, clock.now())
    await connection.execute("VACUUM ANALYZE enrollments")
    await connection.execute("CHECKPOINT")
    edited = old.replace("in_flight: stay", "in_flight: {move: {w1: w1b}}")
    edited = edited.replace("id: w1,", "id: w1b,").replace("day 12 ", "day 14 ")
    edited = edited.replace("day 13 ", "day 15 ")
    write(world.project, {**files, "journeys/tour.yaml": edited})
    plan_s, (code, said, complained) = await _timed(world, "plan", "--json")
    assert code == 0, complained
    planned = json.loads(said)
    began = time.monotonic()
    await moves.count(connection, clock.now())
    count_s = time.monotonic() - began
    (tour,) = [it for it in planned["journeys"] if it["journey"] == "tour"]
    print(f"plan: {plan_s:.1f} s", [(s["step"], s["people"], s["fate"]) for s in tour["stands"]])
    async with open_context(
        urls.database_url, urls.redis_url, secret=b"secret", clock=clock
    ) as context:
        with world.running(2, None):
            await asyncio.sleep(3)
            quiet = await _probe(context, connection, people, 0, PROBES_S)
            task = asyncio.create_task(_timed(world, "apply", "--json"))
            number, spans = 500, []
            while not task.done():
                spans.append(await _probe(context, connection, people, number, 5.0))
                number += 60
            apply_s, (code, said, complained) = await task
    assert code == 0, complained
    left = await connection.fetchval("SELECT count(*) FROM enrollments WHERE version = $1", version)
    assert left == 0, left
    await connection.close()
    print(f"apply: {apply_s:.1f} s, {json.loads(said)['moved']:,} people moved")
    found = {
        "people": people,
        "count_s": round(count_s, 1),
        "plan_s": round(plan_s, 1),
        "apply_s": round(apply_s, 1),
        "quiet_ms": quiet,
        "moving_ms": [round(max(it[n] for it in spans), 1) for n in (0, 1)],
    }
    print(found)
    return found


async def _timed(world: World, *command: str) -> tuple[float, tuple[int, str, str]]:
    began = time.monotonic()
    found = await asyncio.to_thread(world.outreach, *command)
    return time.monotonic() - began, found


async def _probe(
    context: Context, connection: asyncpg.Connection, people: int, first: int, for_s: float
) -> list[float]:
    """Median and 99th percentile, in ms, from an event to its message, over so many seconds."""
    ingest, since = Ingest(context), context.clock.now()
    end = time.monotonic() + for_s
    number = people + 1 + first
    while time.monotonic() < end:
        report = EventIn(f"k{number}", "ping.asked", f"ping:{number}", properties={})
        await ingest.events([report], "bench")
        number += 1
        await asyncio.sleep(EVERY_S)
    until = context.clock.now()
    await asyncio.sleep(5)
    found, count = await connection.fetchrow(LATENCY, since, until)
    assert count > 0.9 * (number - people - 1 - first), "events wait for longer than 5 s"
    return [round(it, 1) for it in found]
