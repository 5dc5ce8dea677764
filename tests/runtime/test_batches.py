"""No query per subscriber and no job per message: what work costs goes by batches."""

from __future__ import annotations

import asyncpg
import pytest
from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis

from orchestrator.runtime import bell
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.worker import working
from orchestrator.store.claims import ATTEMPT_SIZE
from orchestrator.store.subscribers import shard_of
from tests.runtime.installation import (
    carrier,
    counting,
    installed,
    people,
    sms,
    turns,
    until,
    until_found,
    value,
)

DELIVERED = "SELECT count(*) FROM messages WHERE state = 'delivered'"


def evenly(count: int) -> list[int]:
    """So many numbers of people, equally many in each shard."""
    left = dict.fromkeys(range(64), count // 64)
    found: list[int] = []
    n = 0
    while len(found) < count // 64 * 64:
        if left[shard_of(str(n))]:
            left[shard_of(str(n))] -= 1
            found.append(n)
        n += 1
    return found


async def told(context: Context, keys: list[str], chunk: int) -> None:
    """Everybody's activation is reported, so many at a time."""
    ingest = Ingest(context)
    for start in range(0, len(keys), chunk):
        part = keys[start : start + chunk]
        await ingest.events([EventIn(key, "subscriber.activated", key) for key in part], "switch")


class Cost(Struct, frozen=True):
    """How many statements it takes until so many people have had their turn, and from then until
    their messages are accepted; how many claims that was."""

    turns: int
    delivery: int
    claims: int


async def cost_of(database_url: str, redis_url: str, count: int, batch: int) -> Cost:
    statements: list[str] = []
    async with installed(database_url, redis_url, batch=batch) as plain, carrier() as smsc:
        keys = [*await people(plain, evenly(count))]
        pool = await asyncpg.create_pool(database_url, min_size=1, init=counting(statements))
        context = replace(plain, pool=pool)
        await told(context, keys, batch)
        assert (await turns(context)).subscribers == count
        after_turns = len(statements)
        channel = sms(smsc)
        await channel.start(Ingest(plain).inbox)  # receipts come as they come: not counted here
        await until(lambda: channel.health() == "up")
        assert await Delivery(context, channel).run() == count
        await channel.stop()
        await pool.close()
    claims = sum("WITH chosen" in statement for statement in statements)
    return Cost(after_turns, len(statements) - after_turns, claims)


async def test_twice_the_people_in_twice_the_batch_need_no_more_statements(
    database_url: str, redis_url: str
) -> None:
    once = await cost_of(database_url, redis_url, 1024, 256)
    # The same database, emptied: the same plan, twice the people.
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "TRUNCATE subscribers, addresses, events, sources, enrollments, messages, attempts,"
        " accounts, entries, lots, consent_records, parked_receipts CASCADE"
    )
    await connection.close()
    twice = await cost_of(database_url, redis_url, 2048, 512)
    assert twice.turns <= once.turns
    assert once.turns + once.delivery < 300, f"{once} for 1,024 people"
    # A claim takes what the carrier takes, however large the batch, and never less than an attempt.
    for cost, count in ((once, 1024), (twice, 2048)):
        assert cost.claims <= count / ATTEMPT_SIZE + 1, cost
        assert cost.delivery <= 15 * cost.claims, cost  # whatever it holds


@pytest.mark.parametrize("count", [1000])
async def test_a_thousand_from_event_to_receipt(
    database_url: str, redis_url: str, count: int
) -> None:
    """End to end, over arq and SMPP: activation, turn, delivery, receipt."""
    statements: list[str] = []
    async with installed(database_url, redis_url) as plain, carrier() as smsc:
        keys = [*await people(plain, range(count))]
        pool = await asyncpg.create_pool(
            database_url, min_size=1, max_size=8, init=counting(statements)
        )
        context = replace(plain, pool=pool)
        async with holding(context, [sms(smsc)]), working(context):
            await told(context, keys, 500)
            await until_found(plain, count, DELIVERED, patience_s=30)
        await pool.close()
        redis: Redis = Redis.from_url(redis_url)
        names = [key async for key in redis.scan_iter("outreach:generation:*")]
        jobs = sum([int(await redis.get(name) or 0) for name in names])
        await redis.aclose()
        assert await value(plain, "SELECT count(*) FROM failures") == 0
    arrived = [len(phone.arrived) for phone in smsc.handsets.values()]
    assert arrived == [1] * count
    # Each run of a job begins a generation. Eight lanes, a channel, sweeps: not one per message.
    assert jobs < 100, f"{jobs} jobs for {count} people"
    assert jobs >= bell.LANES
    assert len(statements) < count, f"{len(statements)} statements for {count} people"
