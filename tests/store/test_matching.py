"""What fired is an event of whoever has the number, once, in the order of firing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from orchestrator.core.sieve import Who
from orchestrator.core.standing import Changes, Fired, Wait
from orchestrator.store import joining, matching, subscribers
from orchestrator.store.ids import Ids
from orchestrator.store.matching import Checkpoint, Place
from orchestrator.store.subscribers import NewSubscriber

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
FIRST = 86_138_0000_0000

FOUND = """
SELECT s.key, e.source_id FROM events e JOIN subscribers s ON s.id = e.subscriber_id
WHERE kind = 'trigger' ORDER BY e.id
"""


class Store:
    """A database with two people of known telephones and one without."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.ids = Ids()
        self.taken = 0

    async def save(
        self, *fired: Fired, waits: Sequence[Wait] = (), ended: Sequence[Wait] = ()
    ) -> tuple[int, int]:
        """How many were stored, and how many fired for nobody."""
        self.taken += 1
        keys = tuple((it.journey, it.number, it.who) for it in ended)
        changes = Changes((*waits,), keys, {}, (), (), 0.0)
        place = Place(8, "0-0", "1-0", self.taken, 1.0, 1.0)
        checkpoint = Checkpoint(3, place, fired, changes, {})
        stored, nobody = await matching.save(self.connection, [checkpoint], NOW, self.ids)
        assert [it.taken for it in await matching.show(self.connection)] == [self.taken]
        return len(stored), nobody

    async def found(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.connection.fetch(FOUND)]


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    connection = await asyncpg.connect(database_url)
    people = [NewSubscriber(f"k{n}", addresses={"sms": f"+{FIRST + n}"}) for n in range(2)]
    await subscribers.upsert(connection, [*people, NewSubscriber("mute")], NOW, "en")
    yield Store(connection)
    await connection.close()


def fired(who: Who, source_id: str, at: float = 1.0) -> Fired:
    return Fired("hello", 0, who, "call.ended", at, source_id, {"cell": "a"}, at)


async def test_what_fired_is_stored_in_the_order_of_firing(store: Store) -> None:
    ones = [fired(FIRST, "c", 3.0), fired(FIRST, "a", 2.0), fired(FIRST + 1, "b", 2.0)]
    assert await store.save(*ones) == (3, 0)
    assert await store.found() == [
        ("k0", "hello:0:a"),
        ("k1", "hello:0:b"),
        ("k0", "hello:0:c"),
    ]
    row = await store.connection.fetchrow("SELECT * FROM events WHERE source_id = 'hello:0:c'")
    assert (row["at"], row["name"]) == (datetime.fromtimestamp(3, UTC), "call.ended")
    assert row["properties"] == (
        '{"began": "1970-01-01T00:00:03Z", "event": {"cell": "a"}, "number": 0, "journey": "hello"}'
    )


async def test_what_is_stored_already_is_not_stored_again_and_all_else_is(store: Store) -> None:
    """Also if a whole checkpoint has to be written anew for it."""
    wait = Wait("hello", 1, FIRST, "call.ended", 1.0, "w", {}, 9.0)
    waits = "SELECT count(*) FROM trigger_waits"
    assert await store.save(fired(FIRST, "a")) == (1, 0)
    assert await store.save(fired(FIRST, "a"), fired(FIRST + 1, "b"), waits=[wait]) == (1, 0)
    assert await store.connection.fetchval(waits) == 1
    assert await store.save(fired(FIRST, "c"), fired(FIRST, "c"), ended=[wait]) == (1, 0)
    assert await store.connection.fetchval(waits) == 0
    assert await store.found() == [("k0", "hello:0:a"), ("k1", "hello:0:b"), ("k0", "hello:0:c")]


async def test_who_has_no_telephone_is_known_by_their_key(store: Store) -> None:
    ones = [fired("mute", "a"), fired(FIRST, "b"), fired("nobody", "c"), fired(7, "d")]
    assert await store.save(*ones) == (2, 2)
    assert await store.save(fired(7, "e"), fired(FIRST, "f")) == (1, 1)
    assert [it[0] for it in await store.found()] == ["mute", "k0", "k0"]


@pytest.mark.parametrize("ending", ["DELETE FROM subscribers WHERE key = 'k0'", "SELECT 1"])
async def test_who_is_being_erased_gets_nothing_if_they_are(
    store: Store, database_url: str, ending: str
) -> None:
    other = await asyncpg.connect(database_url)
    erasing = other.transaction()
    await erasing.start()
    await other.execute("SELECT FROM subscribers WHERE key = 'k0' FOR UPDATE")
    saving = asyncio.create_task(store.save(fired(FIRST, "a"), fired(FIRST + 1, "b")))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(30):
        while not await other.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await other.execute(ending)
    await erasing.commit()
    erased = ending.startswith("DELETE")
    assert await saving == ((1, 1) if erased else (2, 0))
    assert [it[0] for it in await store.found()] == (["k1"] if erased else ["k0", "k1"])
    await other.close()


@pytest.mark.parametrize("also", [(), (fired("mute", "b"),)])
async def test_who_is_becoming_one_with_another_gets_it_as_whoever_they_are_then(
    store: Store, database_url: str, also: Sequence[Fired]
) -> None:
    other = await asyncpg.connect(database_url)
    ids = await subscribers.find_keys(other, ["k0", "k1"])
    joined = other.transaction()
    await joined.start()
    both = await joining.lock(other, [it[0] for it in ids.values()])
    saving = asyncio.create_task(store.save(fired(FIRST, "a"), *also))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(30):
        while not await other.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await joining.merge(other, both[ids["k1"][0]], both[ids["k0"][0]], NOW)
    await joined.commit()
    assert await saving == (1 + len(also), 0)
    assert {it[0] for it in await store.found()} == {"k1", *(["mute"] if also else [])}
    await other.close()
