"""An address is one person's, whoever is told of it at the same time: or an opt-out of theirs would
not hold for the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from orchestrator.core.delivery import Reply
from orchestrator.core.model import Consent
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.store import importing, subscribers
from orchestrator.store.importing import Added
from orchestrator.store.subscribers import NewSubscriber
from tests.runtime.installation import NOON, rows, value

NUMBER = {"sms": "+8613800000001"}
STRANGER = "sms:+8613800000001"

LISTED = """
SELECT s.key, o.key FROM subscribers s
JOIN addresses a ON a.channel = 'sms' AND a.address = s.addresses ->> 'sms'
JOIN subscribers o ON o.id = a.subscriber_id ORDER BY 1
"""
"""Who lists the number, and whose it is."""

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

BY_ID = "SELECT key FROM subscribers ORDER BY id"

LOCK = "SELECT FROM subscribers WHERE key = $1 FOR UPDATE"

Result = TypeVar("Result")


@asynccontextmanager
async def under_way(office: Context) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that is committed at the end of the block."""
    async with office.pool.acquire() as connection, connection.transaction():
        yield connection


async def meanwhile(office: Context, work: Awaitable[Result]) -> asyncio.Future[Result]:
    """The work has begun, and waits for somebody else's transaction."""
    task = asyncio.ensure_future(work)
    while not task.done() and not await value(office, WAITING):  # noqa: ASYNC110 — PostgreSQL waits
        await asyncio.sleep(0.01)
    return task


async def told(office: Context, key: str) -> Added:
    async with under_way(office) as connection:
        news = [NewSubscriber(key, addresses=NUMBER)]
        return await importing.add(connection, news, NOON, "en", office.secret)


async def test_of_two_imports_at_once_one_gets_the_number(office: Context) -> None:
    async with under_way(office) as connection:
        await importing.add(connection, [NewSubscriber("a", addresses=NUMBER)], NOON, "en")
        other = await meanwhile(office, told(office, "b"))
    assert await other == Added(0, 0, {"b": "a"})
    assert await rows(office, LISTED) == [("a", "a")]


async def test_whoever_says_stop_while_they_are_imported_is_who_is_imported(
    office: Context,
) -> None:
    said = Consent(False, NOON, "reply", "STOP")
    async with under_way(office) as connection:
        stranger = NewSubscriber(STRANGER, addresses=NUMBER, consents={"everything": said})
        await subscribers.upsert(connection, [stranger], NOON, "en")
        other = await meanwhile(office, told(office, "a"))
    assert await other == Added(0, 1, {})
    assert await rows(office, LISTED) == [("a", "a")]
    refused = "SELECT consents -> 'everything' ->> 'granted' FROM subscribers WHERE key = 'a'"
    assert await value(office, refused) == "false"


async def test_whoever_writes_while_they_are_imported_is_who_is_imported(office: Context) -> None:
    ingest = Ingest(office)
    async with under_way(office) as connection:
        await importing.add(connection, [NewSubscriber("a", addresses=NUMBER)], NOON, "en")
        reply = ingest.inbox.replies([Reply("sms", NUMBER["sms"], "STOP", "r1")])
        other = await meanwhile(office, reply)
    await other
    await ingest.answered()
    assert await rows(office, LISTED) == [("a", "a")]
    whose = "SELECT s.key FROM events e JOIN subscribers s ON s.id = e.subscriber_id"
    assert await rows(office, whose) == [("a",)]


async def test_of_two_imports_of_a_stranger_at_once_one_gets_them(office: Context) -> None:
    await told(office, STRANGER)
    async with under_way(office) as connection:
        await importing.add(connection, [NewSubscriber("a", addresses=NUMBER)], NOON, "en")
        other = await meanwhile(office, told(office, "b"))
    assert (await other).refused == {"b": "a"}
    assert await rows(office, LISTED) == [("a", "a")]


async def test_an_import_that_is_sent_twice_at_once_is_taken_twice(office: Context) -> None:
    await told(office, STRANGER)
    async with under_way(office) as connection:
        await importing.add(connection, [NewSubscriber("a", addresses=NUMBER)], NOON, "en")
        again = await meanwhile(office, told(office, "a"))
    assert await again == Added(0, 1, {})


async def test_a_stranger_may_be_described_by_the_key_that_they_have(office: Context) -> None:
    await told(office, STRANGER)
    assert await told(office, STRANGER) == Added(0, 1, {})


async def test_of_two_rows_of_one_import_that_are_a_stranger_the_first_gets_them(
    office: Context,
) -> None:
    """Also if one of them is the stranger's own key, as our export has it."""
    for first, second in ((STRANGER, "a"), ("a", STRANGER)):
        await told(office, STRANGER)
        news = [NewSubscriber(key, addresses=NUMBER) for key in (first, second)]
        async with under_way(office) as connection:
            added = await importing.add(connection, news, NOON, "en", office.secret)
        assert added == Added(0, 1, {second: first})
        assert await rows(office, LISTED) == [(first, first)]


async def test_two_strangers_are_not_one_because_an_import_says_so(office: Context) -> None:
    """An opt-out of the one whom they did not become would not hold for them."""
    both = {**NUMBER, "telegram": "42"}
    async with under_way(office) as connection:
        news = [NewSubscriber(f"{name}:{it}", addresses={name: it}) for name, it in both.items()]
        await importing.add(connection, news, NOON, "en", office.secret)
        told_both = [NewSubscriber("a", addresses=both)]
        added = await importing.add(connection, told_both, NOON, "en", office.secret)
    assert added == Added(0, 0, {"a": "telegram:42"})
    assert await rows(office, "SELECT key FROM subscribers ORDER BY 1") == [
        (STRANGER,),
        ("telegram:42",),
    ]


async def test_several_that_are_imported_while_they_write_do_not_wait_in_a_circle(
    office: Context,
) -> None:
    """Neither the import nor a carrier's hand is refused, whatever the order of each."""
    numbers = [f"+861380000000{it}" for it in (3, 2, 1)]
    news = [
        NewSubscriber(key, addresses={"sms": it}) for key, it in zip("abc", numbers, strict=True)
    ]
    replies = [Reply("sms", it, "hello", it) for it in numbers]
    ingest = Ingest(office)

    async def imported() -> Added:
        async with under_way(office) as connection:
            return await importing.add(connection, news, NOON, "en", office.secret)

    async with office.pool.acquire() as connection:
        held = connection.transaction()
        await held.start()
        middle = NewSubscriber("m", addresses={"sms": numbers[1]})
        await importing.add(connection, [middle], NOON, "en")
        one = asyncio.ensure_future(imported())
        other = asyncio.ensure_future(ingest.inbox.replies(replies))
        while await value(office, WAITING) < 2:  # noqa: ASYNC110 — PostgreSQL waits
            await asyncio.sleep(0.01)
        await held.rollback()
    await asyncio.gather(one, other)
    await ingest.answered()
    assert len(await rows(office, LISTED)) == 3


async def test_strangers_of_an_import_are_locked_in_one_order(office: Context) -> None:
    """Whoever waits for the first of them does not hold another one meanwhile."""
    async with under_way(office) as connection:
        keys = [f"sms:{NUMBER['sms'][:-1]}{n}" for n in range(2)]
        strangers = [NewSubscriber(key, addresses={"sms": key[4:]}) for key in keys]
        await subscribers.upsert(connection, strangers, NOON, "en")
    first, last = sorted(keys, key=[key for (key,) in await rows(office, BY_ID)].index)
    news = [NewSubscriber(f"k{key}", addresses={"sms": key[4:]}) for key in (last, first)]

    async def imported() -> Added:
        async with under_way(office) as connection:
            return await importing.add(connection, news, NOON, "en", office.secret)

    async with under_way(office) as connection:
        await connection.execute(LOCK, first)
        other = await meanwhile(office, imported())
        await connection.execute(f"{LOCK} NOWAIT", last)
    assert await other == Added(0, 2, {})
