"""Ten thousand members want one of a hundred coffees, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from msgspec.structs import replace

from orchestrator.core import points
from orchestrator.core.effects import Effect
from orchestrator.core.points import Account
from orchestrator.project.source import read_folder, read_pictures
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.projects import apply
from orchestrator.runtime.turn import take_due, take_named
from orchestrator.store import events, stock, subscribers
from orchestrator.store.audit import imbalances
from orchestrator.store.events import NewEvent
from orchestrator.store.points import save_points
from orchestrator.store.subscribers import NewSubscriber, shard_of

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
MEMBERS = 10_000
ITEMS = 100
WORKERS = 6
"""Turns at the same time, each on a connection of its own."""

BATCH = 50

HOME = Path(__file__).parents[2]
SHIPPED = read_folder(HOME)


def at(context: Context, now: datetime) -> Context:
    """The same process, its clock standing at `now`."""
    return replace(context, clock=Clock.starting(now, 0))


async def members(context: Context, count: int) -> dict[int, str]:
    """So many members who can just afford a coffee: their keys by id."""
    async with context.pool.acquire() as connection:
        await apply(connection, SHIPPED, NOON, read_pictures(HOME, SHIPPED))
        await context.projects.follow(connection)
        news = [
            NewSubscriber(str(n), "en", addresses={"sms": f"+8613{n:09}"}) for n in range(count)
        ]
        await subscribers.upsert(connection, news, NOON, "en")
        known = await subscribers.find_keys(connection, (member.key for member in news))
        earned: list[tuple[int, int, Effect]] = []
        for who, shard in known.values():
            _, effects = points.award(Account(), 120, "gift", "gift", NOON, None)
            earned += [(who, shard, effect) for effect in effects]
        await save_points(connection, earned)
    return {who: key for key, (who, _) in known.items()}


async def say(context: Context, keys: dict[int, str], who: Sequence[int], text: str) -> None:
    """These members say `text`; their turns run in batches, several at a time."""
    now = context.clock.now()
    async with context.pool.acquire() as connection:
        replies = [
            NewEvent(
                one, shard_of(keys[one]), "reply", "sms",
                {"text": text, "channel": "sms", "address": f"+8613{int(keys[one]):09}"},
                now, "sms", f"{one}:{now.isoformat()}",
            )
            for one in who
        ]  # fmt: skip
        await events.add(connection, replies, now, context.ids)
    batches = asyncio.Queue[list[int]]()
    for start in range(0, len(who), BATCH):
        batches.put_nowait([*who[start : start + BATCH]])

    async def work() -> None:
        while not batches.empty():
            taken = await take_named(context, batches.get_nowait())
            assert taken.failed == 0

    await asyncio.gather(*(work() for _ in range(WORKERS)))


async def rows(context: Context, query: str, *values: object) -> list[asyncpg.Record]:
    async with context.pool.acquire() as connection:
        return await connection.fetch(query, *values)


async def who_holds(context: Context) -> list[int]:
    found = await rows(context, "SELECT subscriber_id FROM holds WHERE state = 'held'")
    return [row[0] for row in found]


async def figures(context: Context) -> tuple[int, ...]:
    (row,) = await rows(context, "SELECT free, reserved, sold FROM stock WHERE reward = 'coffee'")
    return tuple(row)


async def answers(context: Context, template: str) -> int:
    (row,) = await rows(context, "SELECT count(*) FROM messages WHERE template = $1", template)
    return int(row[0])


async def test_ten_thousand_claims_sell_exactly_what_there_is(
    database_url: str, redis_url: str
) -> None:
    async with open_context(
        database_url, redis_url, secret=b"secret", clock=Clock.starting(NOON, 0)
    ) as context:
        keys = await members(context, MEMBERS)
        everybody = [*keys]
        await say(context, keys, everybody, "redeem coffee")
        assert await figures(context) == (0, ITEMS, 0)
        assert await answers(context, "bot/confirm") == ITEMS
        assert await answers(context, "bot/sold-out") == MEMBERS - ITEMS

        lucky = await who_holds(context)
        soon = at(context, NOON + timedelta(minutes=5))
        await say(soon, keys, lucky[:60], "yes")
        await say(soon, keys, lucky[60:70], "no")
        assert await figures(context) == (10, 30, 60)

        late = at(context, NOON + timedelta(minutes=16))
        while (await take_due(late, range(64))).subscribers:
            pass
        assert await figures(context) == (40, 0, 60)

        last = at(context, NOON + timedelta(minutes=20))
        others = [one for one in everybody if one not in {*lucky}]
        await say(last, keys, others[:2000], "redeem 4")
        await say(at(last, NOON + timedelta(minutes=21)), keys, await who_holds(last), "yes")
        assert await figures(context) == (0, 0, ITEMS)
        (codes,) = await rows(context, "SELECT count(DISTINCT code_hash) FROM codes")
        assert codes[0] == ITEMS
        async with context.pool.acquire() as connection:
            assert await imbalances(connection) == []
        assert await rows(context, "SELECT 1 FROM failures") == []


async def test_the_same_reply_twice_claims_once(database_url: str, redis_url: str) -> None:
    async with open_context(
        database_url, redis_url, secret=b"secret", clock=Clock.starting(NOON, 0)
    ) as context:
        keys = await members(context, 1)
        (one,) = keys
        for _ in range(2):
            await say(context, keys, [one, one], "redeem coffee")
        assert await figures(context) == (ITEMS - 1, 1, 0)
        assert await answers(context, "bot/confirm") == 1


async def test_who_locks_for_a_claim_does_not_hold_up_other_answers(
    database_url: str, redis_url: str
) -> None:
    async with open_context(
        database_url, redis_url, secret=b"secret", clock=Clock.starting(NOON, 0)
    ) as context:
        keys = await members(context, 1)
        async with context.pool.acquire() as claiming, claiming.transaction():
            await stock.lock_stock(claiming, ["coffee"])
            async with asyncio.timeout(30):
                await say(context, keys, [*keys], "points")
        assert await answers(context, "bot/balance") == 1
