"""Conditions about lists: in memory as in SQL, as of the version in force, unknown once expired."""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from orchestrator.runtime.context import Context
from orchestrator.runtime.sweep import sweep
from orchestrator.store import lists, migrate
from tests.runtime.installation import (
    FILES,
    NOON,
    at,
    happened,
    installed,
    number,
    people,
    rows,
    turns,
)

DAY = timedelta(days=1)
ASKING = {
    **FILES,
    "journeys/welcome.yaml": """
journey: welcome
class: urgent
enter:
  - on: subscriber.activated
    if: not in_list('friends')
steps:
  - id: hello
    send: hello
""",
    "journeys/census.yaml": """
journey: census
class: urgent
enter: [{segment: friends, every: day at 09:00}]
steps: [{id: hello, send: hello}]
""",
    "journeys/program/segments.yaml": "segments: {friends: in_list('friends')}\n",
}


async def put(
    context: Context, name: str, *numbers: int, expires: timedelta | None = None
) -> lists.NumberList:
    """The list is the numbers of these people."""
    now = context.clock.now()
    async with context.pool.acquire() as connection, lists.loading(connection, name) as version:
        version.add(int(number(n)) for n in numbers)
        return await version.put_in_force("a file", now, now + expires if expires else None)


async def follow(context: Context) -> bool:
    async with context.pool.acquire() as connection:
        return await context.lists.follow(connection, context.clock.now())


async def entered(context: Context, journey: str) -> list[str]:
    query = "SELECT s.key FROM enrollments e JOIN subscribers s ON s.id = e.subscriber_id "
    return [key for (key,) in await rows(context, query + "WHERE journey = $1 ORDER BY 1", journey)]


async def test_a_process_has_the_lists_in_force_as_they_come_and_go(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url) as context:
        held = context.lists
        await put(context, "friends", 1, 2)
        await put(context, "weekend", 3, expires=2 * DAY)
        assert await follow(context)
        assert held.keys() == {"friends", "weekend"}
        assert int(number(1)) in held["friends"]
        assert int(number(3)) not in held["friends"]
        assert not await follow(context), "nothing has changed"

        await put(context, "friends", 3)
        assert int(number(1)) in held["friends"], "as last followed"
        assert await follow(context)
        assert [int(number(n)) in held["friends"] for n in (1, 3)] == [False, True]

        assert await follow(at(context, NOON + 2 * DAY))
        assert held.keys() == {"friends"}
        async with context.pool.acquire() as connection:
            assert await lists.drop(connection, "friends") == 1
            assert await lists.drop(connection, "friends") is None
        assert await follow(at(context, NOON + 2 * DAY))
        assert not held
        assert await rows(context, "SELECT count(*) FROM listed") == [(1,)]


async def test_a_turn_asks_the_lists_in_memory_and_nobody_knows_an_expired_one(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, ASKING) as context:
        await people(context, range(4))
        await happened(context, "0")
        await turns(context)
        assert await entered(context, "welcome") == [], "there is no such list yet"
        await put(context, "friends", 1, expires=DAY)
        await follow(context)
        await happened(context, "12")
        await turns(context)
        assert await entered(context, "welcome") == ["2"]
        late = at(context, NOON + DAY)
        await sweep(late)
        await happened(late, "3")
        await turns(late)
        assert await entered(late, "welcome") == ["2"]


async def test_a_segment_asks_the_lists_in_the_database(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url, ASKING) as context:
        await people(context, range(5))
        await put(context, "friends", 1, 3, 9, expires=3 * DAY)
        await sweep(context)  # notes when it comes next
        for days in (1, 4):
            later = at(context, NOON + days * DAY)
            await sweep(later)
            await turns(later)
            assert await entered(later, "census") == ["1", "3"]
            await people(context, [9])  # who comes in once the list has expired
        assert await rows(context, "SELECT name, expired FROM lists") == [("friends", True)]


async def test_lists_that_were_texts_are_numbers_and_lose_nobody(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """
        DROP TABLE listed; DROP FUNCTION number_of;
        ALTER TABLE lists DROP COLUMN bitmap, DROP COLUMN expires_at, DROP COLUMN expired;
        CREATE TABLE listed (list text NOT NULL, address text NOT NULL, version bigint NOT NULL,
                             PRIMARY KEY (list, address, version));
        INSERT INTO lists VALUES ('dnd', 7, 2, 'a file', '2026-01-01');
        INSERT INTO listed VALUES ('dnd', '+8613800138000', 7), ('dnd', '+8613800138001', 7),
            ('dnd', '+8613800138009', 6);
        DELETE FROM migrations WHERE name = '0041_lists.sql';
        """
    )
    assert await migrate.migrate(connection) == ["0041_lists.sql"]
    _, found = await lists.load(connection, ["dnd"], ["+8613800138001", "+8613800138009"], NOON)
    assert found == {"+8613800138001": {"dnd"}}
    for made in (True, False):
        assert (await connection.fetchval("SELECT bitmap FROM lists") is None) is made
        version, numbers = await lists.numbers(connection, "dnd") or (0, ())
        assert version == 7
        assert [n in numbers for n in (8613800138000, 8613800138009)] == [True, False]
    await connection.close()
