"""Lists of numbers: who is on one gets nothing, and an old list stops everybody."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import asyncpg
import pytest

from orchestrator.core.delivery import Reply
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.store import claims, lists, scenes
from tests.runtime.installation import (
    CONTACT,
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
GUARDED = {
    **FILES,
    "journeys/program/contact.yaml": CONTACT.replace(
        "    per_day: 1\n", "    per_day: 1\n    not_on: [dnd]\n    fresh: 30d\n"
    ),
}


async def put(context: Context, numbers: list[str], name: str = "dnd") -> lists.NumberList:
    """The list is these numbers."""
    async with context.pool.acquire() as connection, lists.loading(connection, name) as version:
        version.add(map(int, numbers))
        return await version.put_in_force("a file", context.clock.now())


async def fates(context: Context) -> Counter[str]:
    """How many messages went, and how many did not for which reason."""
    went = await context.pool.fetchval("SELECT count(*) FROM messages")
    rows = await context.pool.fetch("SELECT reason FROM suppressions")
    return Counter({"went": went, **Counter(row["reason"] for row in rows)})


async def test_who_is_on_a_list_gets_nothing(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url, GUARDED) as context:
        await people(context, range(20))
        await put(context, [number(n) for n in range(0, 20, 4)])
        await happened(context, map(str, range(20)))
        await turns(context)
        assert await fates(context) == {"went": 15, "on_list:dnd": 5}


async def test_a_list_that_is_missing_or_too_old_stops_everybody_until_it_is_loaded(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, GUARDED) as context:
        await people(context, range(3))
        await happened(context, ["0", "1"])
        await turns(context)
        assert await fates(context) == {"went": 0, "list_stale:dnd": 2}
        await put(context, [number(0)])
        await turns(at(context, NOON + timedelta(hours=1)))
        assert await fates(context) == {"went": 1, "list_stale:dnd": 2, "on_list:dnd": 1}

        late = at(context, NOON + 31 * DAY)
        await happened(late, ["2"])
        await turns(late)
        assert await fates(context) == {"went": 1, "list_stale:dnd": 3, "on_list:dnd": 1}


async def test_a_load_takes_the_place_of_the_whole_list_in_one_step(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, GUARDED) as context:
        first = await put(context, [number(1), number(2), number(2)])
        assert (first.numbers, first.name) == (2, "dnd")
        async with context.pool.acquire() as loader, context.pool.acquire() as reader:

            async def on_it() -> set[str]:
                _, found = await lists.load(reader, ["dnd"], [number(n) for n in range(9)], NOON)
                return set(found)

            async with lists.loading(loader, "dnd") as version:
                version.add([int(number(3))])
                assert await on_it() == {number(1), number(2)}, "not in force yet"
                with pytest.raises(OutreachError, match="is being loaded"):
                    async with lists.loading(reader, "dnd"):
                        pass
                second = await version.put_in_force("b", NOON)
            assert await on_it() == {number(3)}
            assert second.version > first.version
            assert await lists.show(reader) == [second]
            assert await reader.fetchval("SELECT count(*) FROM listed") == 1


async def test_an_interrupted_load_changes_nothing(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url, GUARDED) as context:
        await put(context, [number(1)])
        async with context.pool.acquire() as connection:
            async with lists.loading(connection, "dnd") as version:
                version.add([int(number(2))])
            _, found = await lists.load(connection, ["dnd"], [number(1), number(2)], NOON)
        assert found == {number(1): {"dnd"}}


@pytest.mark.parametrize(("files", "queries"), [(FILES, 0), (GUARDED, 1)])
async def test_a_turn_asks_once_for_all_and_only_if_a_class_names_a_list(
    files: dict[str, str], queries: int, database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, files) as context:
        ids = await people(context, range(100))
        asked: list[str] = []
        async with context.pool.acquire() as connection, connection.transaction():
            rows = await scenes.claim_named(connection, ids.values())

            def note(record: asyncpg.connection.LoggedQuery) -> None:
                asked.append(record.query)

            with connection.query_logger(note):
                await scenes.load(connection, rows, context.projects.project, NOON)
        assert sum("listed" in query for query in asked) == queries


async def test_a_cap_of_one_lets_one_of_a_thousand_racing_sends_through(
    database_url: str, redis_url: str
) -> None:
    names = [f"race-{n}" for n in range(50)]
    racing = {
        f"journeys/{name}.yaml": f"journey: {name}\nclass: promotion\nenter: [{{on: race.{n}}}]\n"
        f"steps: [{{id: hello, send: hello}}]\n"
        for n, name in enumerate(names)
    }
    async with installed(database_url, redis_url, {**FILES, **racing}) as context:
        await people(context, range(20))

        async def race(n: int) -> None:
            await happened(context, map(str, range(20)), f"race.{n}")
            await turns(context, range(n % 4, 64, 4))
            await turns(context)

        await asyncio.gather(*(race(n) for n in range(50)))
        await turns(context)
        rows = await context.pool.fetch(
            "SELECT subscriber_id, count(*) FROM messages GROUP BY subscriber_id"
        )
        assert [row["count"] for row in rows] == [1] * 20
        put_off = await context.pool.fetchval(
            "SELECT count(*) FROM suppressions WHERE reason = 'per_day'"
        )
        assert put_off == 1000 - 20


BLACKLISTED = {
    **FILES,
    "journeys/program/contact.yaml": CONTACT + "not_on: [blacklist]\n",
}


@pytest.mark.parametrize(("files", "name"), [(GUARDED, "dnd"), (BLACKLISTED, "blacklist")])
async def test_who_comes_on_a_list_after_the_message_was_queued_gets_nothing(
    files: dict[str, str], name: str, database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, files) as context:
        await put(context, [], name)
        await people(context, range(4))
        await happened(context, map(str, range(4)))
        await turns(context)
        assert await fates(context) == {"went": 4}
        await put(context, [number(1)], name)
        async with context.pool.acquire() as connection, connection.transaction():
            claim = await claims.claim(
                connection, "sms", "test", NOON, NOON + DAY, 9, context.ids,
                context.projects.project,
            )  # fmt: skip
        assert len(claim.messages) == 3
        assert number(1) not in {m.outgoing.address for m in claim.messages}
        dropped = await rows(context, "SELECT reason FROM messages WHERE state = 'suppressed'")
        assert dropped == [(f"on_list:{name}",)]


async def test_nobody_on_the_lists_of_all_classes_is_written_to_but_in_answer(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, BLACKLISTED) as context:
        await people(context, range(3))
        await put(context, [number(0)], "blacklist")
        await happened(context, map(str, range(3)))
        await turns(context)
        assert await fates(context) == {"went": 2, "on_list:blacklist": 1}
        reply = Reply("sms", number(0), "help", "r1")
        await Ingest(context).inbox.replies([reply])
        await turns(context)
        answered = await rows(context, "SELECT contact_class FROM messages WHERE address = $1",
                              number(0))  # fmt: skip
        assert answered == [("answer",)]


async def test_a_claim_looks_at_lists_only_if_a_class_names_one(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url) as context:
        asked: list[str] = []
        async with context.pool.acquire() as connection, connection.transaction():
            await people(context, range(2))
            await happened(context, "01")
            await turns(context)
            with connection.query_logger(lambda record: asked.append(record.query)):
                claim = await claims.claim(
                    connection, "sms", "test", NOON, NOON + DAY, 9, context.ids,
                    context.projects.project,
                )  # fmt: skip
        assert len(claim.messages) == 2
        assert len(asked) == 3  # the attempts, their messages, who refuses
        assert not any("listed" in query or "paces" in query for query in asked)
