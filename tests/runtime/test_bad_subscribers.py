"""One bad subscriber fails alone: the others go on, and the bad one is put off with a reason."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from orchestrator.runtime.context import Context
from orchestrator.runtime.replay import replay
from orchestrator.runtime.turn import take_due
from orchestrator.store import letters
from orchestrator.store.failures import MOST_TRIES
from tests.runtime.installation import EVERY_SHARD, NOON, at, do, happened, people, rows, turns
from tests.runtime.installation import value as found

CROWD = 60
BAD = "7"

SPOILT = {
    "attributes that are no object": "UPDATE subscribers SET attributes = '[1]' WHERE key = '7'",
    "consents of another shape": "UPDATE subscribers SET consents = '{\"a\": 1}' WHERE key = '7'",
    "a conversation of another shape": "UPDATE subscribers SET conversation = '3' WHERE key = '7'",
    "an event of another shape": "UPDATE events SET kind = 'reply', properties = '{}'"
    " WHERE subscriber_id = (SELECT id FROM subscribers WHERE key = '7')",
    "a failure that names no channel": "UPDATE events SET kind = 'failed', properties = '{}'"
    " WHERE subscriber_id = (SELECT id FROM subscribers WHERE key = '7')",
    "a version whose text is lost": "INSERT INTO enrollments (subscriber_id, journey, shard,"
    " version, run, status, step, due_at, entered_at) SELECT id, 'welcome', shard, 'lost', 1,"
    " 'active', 'hello', '2026-03-01', '2026-03-01' FROM subscribers WHERE key = '7'",
    "a version whose text is no journey": "WITH v AS (INSERT INTO versions VALUES ('torn', 'w',"
    " 'journeys/w.yaml', 'journey: [', '2026-03-01')) INSERT INTO enrollments (subscriber_id,"
    " journey, shard, version, run, status, step, due_at, entered_at) SELECT id, 'welcome', shard,"
    " 'torn', 1, 'active', 'hello', '2026-03-01', '2026-03-01' FROM subscribers WHERE key = '7'",
    "a wait of another shape": "INSERT INTO enrollments (subscriber_id, journey, shard, version,"
    " run, status, step, due_at, entered_at, waiting) SELECT s.id, 'welcome', shard, v.version, 1,"
    " 'active', 'hello', '2026-03-01', '2026-03-01', '{\"kind\": 1}' FROM subscribers s, versions v"
    " WHERE key = '7'",
    "a run that no integer holds": "INSERT INTO enrollments (subscriber_id, journey, shard,"
    " version, run, status, step, entered_at, ended_at) SELECT s.id, 'welcome', shard, v.version,"
    " 2147483647, 'finished', NULL, '2025-03-01', '2025-03-01' FROM subscribers s, versions v"
    " WHERE key = '7'",
    "points that no bigint holds": "INSERT INTO accounts VALUES ((SELECT id FROM subscribers WHERE"
    " key = '7'), 0, 9223372036854775805, 0, 0, 0, 9223372036854775805)",
}


@pytest.mark.parametrize("how", SPOILT)
async def test_the_others_go_on_and_the_bad_one_is_put_off(office: Context, how: str) -> None:
    known = await people(office, range(CROWD))
    await happened(office, known)
    await do(office, SPOILT[how])

    taken = await turns(office)

    assert taken.failed == 1
    assert await found(office, "SELECT count(*) FROM messages") == CROWD - 1
    (failure,) = await rows(office, "SELECT subscriber_id, at, error FROM failures")
    assert failure[:2] == (known[BAD], NOON)
    assert failure[2], "says why"
    waiting = await rows(office, "SELECT subscriber_id, tries FROM events WHERE taken_at IS NULL")
    assert waiting == [(known[BAD], 1)]
    # Put off, not for ever.
    assert (await take_due(at(office, NOON + timedelta(minutes=9)), EVERY_SHARD)).subscribers == 0
    again = await turns(at(office, NOON + timedelta(minutes=11)))
    assert (again.subscribers, again.failed) == (1, 1)


async def test_an_event_that_always_fails_is_given_up(office: Context) -> None:
    known = await people(office, range(3))
    await happened(office, known)
    await do(office, SPOILT["attributes that are no object"].replace("7", "1"))
    for hour in range(MOST_TRIES + 3):
        await turns(at(office, NOON + timedelta(hours=hour)))
    assert await found(office, "SELECT count(*) FROM failures") == MOST_TRIES
    assert await rows(office, "SELECT tries FROM events WHERE tries > 0") == [(MOST_TRIES,)]
    assert await found(office, "SELECT count(*) FROM events WHERE taken_at IS NULL") == 0


@pytest.mark.parametrize("how", ["a version whose text is lost", "a wait of another shape"])
async def test_a_timer_that_always_fails_is_given_up_and_replayed_when_it_is_mended(
    office: Context, how: str
) -> None:
    known = await people(office, [7])
    await do(office, SPOILT[how])
    for hour in range(MOST_TRIES + 3):
        await turns(at(office, NOON + timedelta(hours=hour)))
    assert await found(office, "SELECT count(*) FROM failures") == MOST_TRIES
    later = at(office, NOON + timedelta(days=1))
    async with office.pool.acquire() as connection:
        (letter,) = await letters.letters(connection, 50)
    assert (letter.key, letter.kind, letter.name) == (BAD, "timer", "welcome/hello")
    assert (letter.tries, letter.given_up) == (MOST_TRIES, True)
    await do(
        office, "UPDATE enrollments SET waiting = NULL, version = (SELECT version FROM versions"
        " WHERE journey = 'welcome' LIMIT 1)"
    )  # fmt: skip
    assert await replay(later, [letter], "cli:ann@host") == 1
    assert (await turns(later)).failed == 0
    sent = "SELECT count(*) FROM messages WHERE subscriber_id = $1"
    assert await found(office, sent, known[BAD]) == 1
    assert await found(office, "SELECT max(tries) FROM enrollments") == 0


async def test_points_whose_expiry_always_fails_are_given_up(office: Context) -> None:
    await people(office, [7])
    await do(office, SPOILT["attributes that are no object"])
    await do(
        office, "INSERT INTO accounts (subscriber_id, shard, balance_points, held_points,"
        " spent_points, expired_points, earned_points, due_at) SELECT id, shard, 0, 0, 0, 0, 0, $1"
        " FROM subscribers", NOON,
    )  # fmt: skip
    for hour in range(MOST_TRIES + 3):
        await turns(at(office, NOON + timedelta(hours=hour)))
    assert await found(office, "SELECT count(*) FROM failures") == MOST_TRIES
    async with office.pool.acquire() as connection:
        (letter,) = await letters.letters(connection, 50)
    assert (letter.kind, letter.name, letter.given_up) == ("timer", "points", True)


async def test_what_mends_later_goes_on(office: Context) -> None:
    known = await people(office, range(3))
    await happened(office, known)
    await do(office, "UPDATE subscribers SET attributes = '[]' WHERE key = '1'")
    await turns(office)
    await do(office, "UPDATE subscribers SET attributes = '{\"name\": \"B\"}' WHERE key = '1'")
    later = await turns(at(office, NOON + timedelta(hours=1)))
    assert (later.subscribers, later.failed) == (1, 0)
    assert await found(office, "SELECT count(*) FROM messages") == 3


async def test_the_databases_trouble_is_nobodys_fault(office: Context) -> None:
    """A connection that ends in the middle fails the turn as a whole, and nobody is put aside."""
    known = await people(office, range(20))
    await happened(office, known)
    async with office.pool.acquire() as other, other.transaction():
        # The turn waits for this lock after it has decided; then its connection is cut.
        await other.execute("LOCK TABLE messages IN SHARE MODE")
        turn = asyncio.create_task(take_due(office, EVERY_SHARD))
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND pid <>"
            " pg_backend_pid()"
        )
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await turn
    assert await found(office, "SELECT count(*) FROM failures") == 0
    assert (await turns(office)).subscribers == 20
    assert await found(office, "SELECT count(*) FROM messages") == 20
