"""How soon an event becomes a queued message, while other events flow: from the first octet of the
request to the commit that queued the message, as PostgreSQL tells it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import asyncpg
import msgspec

from tests.bench.triggers.throughput import KEY, PORT, SETTLING_S, Bench, listening
from tests.bench.triggers.world import AREAS, FIRST

EVERY_S = 0.05
SECONDS_OF_PATIENCE = 30.0
URL = f"http://127.0.0.1:{PORT}/v1/events"

# Every commit that queued messages says whose.
TELL = """
CREATE OR REPLACE FUNCTION bench_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bench', string_agg((subscriber_id - 1)::text, ' ')) FROM news;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER bench_tell AFTER INSERT ON messages REFERENCING NEW TABLE AS news
FOR EACH STATEMENT EXECUTE FUNCTION bench_tell();
"""
IDLE = "SELECT count(*) FROM events WHERE taken_at IS NULL"


async def run(bench: Bench, asked: int, background: int) -> dict[str, Any]:
    """So many events that trigger at once, one every 50 ms, amid `background` others a second."""
    connection = await asyncpg.connect(bench.urls.database_url)
    took: list[float] = []
    begun: dict[str, float] = {}
    done = asyncio.Event()

    def told(_: object, __: int, ___: str, whose: object) -> None:
        for who in str(whose).split():
            if (began := begun.pop(who, None)) is not None:
                took.append((time.perf_counter() - began) * 1000)
        if len(took) >= asked:
            done.set()

    with bench.running(["matcher"], ["web"], ["worker"]):
        await listening(f"http://127.0.0.1:{PORT}/livez")
        await asyncio.sleep(SETTLING_S)
        while await connection.fetchval(IDLE):  # noqa: ASYNC110 - it is another process that works
            await asyncio.sleep(0.5)
        await connection.execute(TELL)
        await connection.add_listener("bench", told)
        noise = asyncio.create_task(_noise(bench, background))
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
            for number, who in zip(range(asked), _unasked(bench), strict=False):
                body = _call(who, number)
                begun[str(who - FIRST)] = time.perf_counter()
                async with session.post(URL, data=body) as answer:
                    assert answer.status == 202, await answer.read()
                await asyncio.sleep(EVERY_S)
        await asyncio.wait_for(done.wait(), SECONDS_OF_PATIENCE)
        noise.cancel()
        await asyncio.gather(noise, return_exceptions=True)
    await connection.close()
    took.sort()
    return {
        "asked": asked,
        "background_events_per_s": background,
        "p50_ms": round(took[len(took) // 2], 1),
        "p99_ms": round(took[int(len(took) * 0.99)], 1),
        "most_ms": round(took[-1], 1),
    }


def _unasked(bench: Bench) -> Iterator[int]:
    """Subscribers on the first list, of whom one call is enough for a message."""
    return (number for number in bench.lists["list-0"] if number < FIRST + bench.people)


def _call(who: int, number: int) -> bytes:
    event = {
        "number": f"+{who}",
        "name": "call.ended",
        "source_id": f"asked-{number}",
        "properties": {"cell": min(AREAS["area-0"]), "peer": "+4915112345678", "seconds": 30},
    }
    return msgspec.json.encode(event)


async def _noise(bench: Bench, per_s: int) -> None:
    """Events that match nothing flow steadily, a hundred at a time."""
    event: dict[str, Any] = {"name": "location.changed", "properties": {"cell": "c1999"}}
    number, began = 0, time.monotonic()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        while True:
            events = [
                {**event, "number": f"+{FIRST + it % bench.people}", "source_id": f"noise-{it}"}
                for it in range(number, number + 100)
            ]
            async with session.post(URL, data=msgspec.json.encode(events)) as answer:
                await answer.read()
            number += 100
            await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
