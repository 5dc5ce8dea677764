"""10. A turn is the only way state changes: lock the subscriber, decide, commit.

Everything that matters lives in one PostgreSQL. A turn takes up to some hundreds of subscribers in
one transaction: who has something due is locked, their scenes are loaded, `decide` is asked for
each, and all effects are written, in a fixed number of statements. If the process dies in between,
nothing has happened; if two processes come at once, the second passes by.
"""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.turn import take_due
from tests.fundamentals.campaign import MONDAY
from tests.fundamentals.office import at, moved_in, one

EVERY_SHARD = range(64)
ACTIVATED = EventIn("ann", "subscriber.activated", source_id="switch:1")

STANDING = "SELECT step, due_at FROM enrollments WHERE journey = 'welcome'"
QUEUED = "SELECT template, channel, state FROM messages"


async def test_an_event_is_stored_once_and_a_turn_acts_on_it(
    database_url: str, redis_url: str
) -> None:
    async with open_context(
        database_url, redis_url, secret=b"tour", clock=Clock.starting(MONDAY, 0)
    ) as office:
        await moved_in(office)
        ingest = Ingest(office)

        # The network reports twice; it happened once.
        assert (await ingest.events([ACTIVATED], "network")).stored == 1
        assert (await ingest.events([ACTIVATED], "network")).known == 1

        assert (await take_due(office, EVERY_SHARD)).subscribers == 1
        assert await one(office, STANDING) == ("hello", MONDAY + timedelta(hours=2))

        # Nothing is due any more, so there is nothing to take.
        assert (await take_due(office, EVERY_SHARD)).subscribers == 0


async def test_the_step_and_its_message_are_one_commit(database_url: str, redis_url: str) -> None:
    async with open_context(
        database_url, redis_url, secret=b"tour", clock=Clock.starting(MONDAY, 0)
    ) as office:
        await moved_in(office)
        await Ingest(office).events([ACTIVATED], "network")
        await take_due(office, EVERY_SHARD)

        taken = await take_due(at(office, MONDAY + timedelta(hours=2)), EVERY_SHARD)
        assert taken.channels == {"sms"}, "this channel now has something to deliver"
        assert await one(office, QUEUED) == ("hello", "sms", "queued")
        assert (await one(office, STANDING))[0] == "quiz"


async def test_a_subscriber_in_hand_is_passed_over(database_url: str, redis_url: str) -> None:
    """Two workers never decide about one person at once, and neither waits for the other."""
    async with open_context(
        database_url, redis_url, secret=b"tour", clock=Clock.starting(MONDAY, 0)
    ) as office:
        await moved_in(office)
        await Ingest(office).events([ACTIVATED], "network")
        async with held_by_somebody_else(office):
            assert (await take_due(office, EVERY_SHARD)).subscribers == 0
        assert (await take_due(office, EVERY_SHARD)).subscribers == 1


def held_by_somebody_else(office: Context) -> _Held:
    return _Held(office.pool)


class _Held:
    """Another worker's transaction, with every subscriber locked."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> None:
        self._connection = await self._pool.acquire()
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        await self._connection.execute("SELECT FROM subscribers FOR UPDATE")

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()
        await self._pool.release(self._connection)
