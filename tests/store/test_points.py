"""Points on a real PostgreSQL: once, together, and never more than there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from msgspec.structs import replace

from orchestrator.core import points
from orchestrator.core.effects import Effect
from orchestrator.core.points import Account, Change
from orchestrator.core.project import Reward
from orchestrator.store.audit import imbalances
from orchestrator.store.codes import CodeAnswer, Use, use_code
from orchestrator.store.points import (
    Conflict,
    HoldError,
    load_accounts,
    load_claims,
    load_history,
    save_points,
)
from orchestrator.store.stock import StockError, ensure_stock, lock_stock, read_stock

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)
COFFEE = Reward("coffee", {"en": "Coffee"}, cost_points=30, stock=2)


@pytest_asyncio.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await ensure_stock(connection, [COFFEE], NOW)
    yield connection
    await connection.close()


def of(member: int, effects: tuple[Effect, ...]) -> list[tuple[int, int, Effect]]:
    return [(member, member % 64, effect) for effect in effects]


def earned(amount: int, key: str = "quiz") -> Change:
    return points.award(Account(), amount, key, "onboarding", NOW, None)


async def buy(connection: asyncpg.Connection, member: int, code: bytes = b"") -> None:
    """The member earns 30 points and buys a coffee."""
    account, first = earned(30)
    account, second = points.hold(account, f"buy:{member}", "coffee", 30, NOW, LATER)
    _, third = points.confirm(account, account.holds[0], NOW, code)
    await save_points(connection, of(member, (*first, *second, *third)))


async def test_members_without_points_have_no_account(connection: asyncpg.Connection) -> None:
    await save_points(connection, of(1, earned(20)[1]))
    assert await load_accounts(connection, [1, 2]) == {1: earned(20)[0]}


async def test_an_entry_under_a_known_key_is_not_posted_again(
    connection: asyncpg.Connection,
) -> None:
    twice = [*of(1, earned(20)[1]), *of(1, earned(20)[1])]
    assert await save_points(connection, twice) == []
    assert await save_points(connection, twice) == []
    assert (await load_accounts(connection, [1]))[1].balance_points == 20
    assert await imbalances(connection) == []


async def test_a_known_key_with_another_body_is_a_conflict(
    connection: asyncpg.Connection,
) -> None:
    await save_points(connection, of(1, earned(20)[1]))
    assert await save_points(connection, of(1, earned(30)[1])) == [Conflict(1, "quiz")]
    assert await save_points(connection, of(2, earned(30)[1])) == []
    assert (await load_accounts(connection, [1]))[1].balance_points == 20


async def test_a_purchase_moves_points_stock_and_history(connection: asyncpg.Connection) -> None:
    await buy(connection, 1)
    assert await read_stock(connection, ["coffee"]) == {"coffee": 1}
    assert await load_claims(connection, [1, 2]) == {1: {"coffee": 1}}
    assert await load_history(connection, [1, 2]) == {
        1: ((-30, "coffee", NOW), (30, "onboarding", NOW))
    }
    assert await imbalances(connection) == []


async def test_holding_and_giving_back_leave_no_line_in_the_history(
    connection: asyncpg.Connection,
) -> None:
    account, first = earned(30)
    account, second = points.hold(account, "h", "coffee", 30, NOW, LATER)
    _, third = points.release(account, account.holds[0], NOW)
    await save_points(connection, of(1, (*first, *second, *third)))
    assert await load_history(connection, [1]) == {1: ((30, "onboarding", NOW),)}
    assert await load_claims(connection, [1]) == {}
    assert await read_stock(connection, ["coffee"]) == {"coffee": 2}


async def test_more_than_is_there_cannot_be_claimed(connection: asyncpg.Connection) -> None:
    await buy(connection, 1)
    await buy(connection, 2)
    with pytest.raises(StockError, match="coffee"):
        async with connection.transaction():
            await buy(connection, 3)
    assert await load_accounts(connection, [3]) == {}
    assert await imbalances(connection) == []


async def test_a_reward_nobody_stocked_cannot_be_claimed(connection: asyncpg.Connection) -> None:
    _, effects = points.hold(Account(), "h", "unheard-of", 0, NOW, LATER)
    with pytest.raises(StockError, match="unheard-of"):
        async with connection.transaction():
            await save_points(connection, of(1, effects))


async def test_a_hold_ends_once(connection: asyncpg.Connection) -> None:
    account, first = earned(30)
    account, second = points.hold(account, "h", "coffee", 30, NOW, LATER)
    _, sale = points.confirm(account, account.holds[0], NOW)
    _, freed = points.release(account, account.holds[0], NOW)
    await save_points(connection, of(1, (*first, *second, *sale)))
    await save_points(connection, of(1, sale))
    with pytest.raises(HoldError, match="was to be released, and is sold"):
        async with connection.transaction():
            await save_points(connection, of(1, freed))
    assert await imbalances(connection) == []


async def test_saving_takes_as_many_statements_for_many_members_as_for_one(
    connection: asyncpg.Connection,
) -> None:
    statements: list[str] = []
    await ensure_stock(connection, [Reward("coffee", {}, 30, 1000)], NOW)
    await buy(connection, 1)  # asyncpg asks once for the types it does not know
    connection.add_query_logger(lambda record: statements.append(record.query))
    await buy(connection, 2)
    await asyncio.sleep(0)
    for_one = len(statements)
    statements.clear()
    changes: list[tuple[int, int, Effect]] = []
    for member in range(3, 303):
        account, first = earned(30)
        account, second = points.hold(account, "h", "coffee", 30, NOW, LATER)
        _, third = points.confirm(account, account.holds[0], NOW)
        changes += of(member, (*first, *second, *third))
    await save_points(connection, changes)
    await asyncio.sleep(0)
    assert len(statements) == for_one
    statements.clear()
    await load_accounts(connection, range(1, 302))
    await asyncio.sleep(0)
    assert len(statements) <= 3


async def test_a_changed_figure_changes_what_is_free_and_never_what_is_sold(
    connection: asyncpg.Connection,
) -> None:
    await buy(connection, 1)
    for figure, free in ((5, 4), (5, 4), (1, 0), (0, -1), (3, 2)):
        await ensure_stock(connection, [Reward("coffee", {}, 30, figure)], NOW)
        assert await read_stock(connection, ["coffee"]) == {"coffee": free}
        assert await imbalances(connection) == []


async def test_who_locks_the_stock_sees_what_the_one_before_left(
    connection: asyncpg.Connection, database_url: str
) -> None:
    other = await asyncpg.connect(database_url)
    async with connection.transaction():
        assert await lock_stock(connection, ["coffee"]) == {"coffee": 2}
        async with other.transaction():
            waiting = asyncio.ensure_future(lock_stock(other, ["coffee"]))
            assert not (await asyncio.wait([waiting], timeout=0.1))[0]
            await buy(connection, 1)
            # the lock is released by the commit below, so it has to come first
            await connection.execute("COMMIT")
            assert await waiting == {"coffee": 1}
        await connection.execute("BEGIN")
    await other.close()


async def test_due_members_are_found_by_shard_and_not_again_once_settled(
    connection: asyncpg.Connection,
) -> None:
    expires_at = NOW + timedelta(days=1)
    account, effects = points.award(Account(), 5, "a", "test", NOW, expires_at)
    await save_points(connection, of(7, effects))
    due = "SELECT subscriber_id FROM accounts WHERE shard = 7 AND due_at <= $1"
    assert [row[0] for row in await connection.fetch(due, expires_at)] == [7]
    _, effects = points.settle(account, expires_at)
    await save_points(connection, of(7, effects))
    assert await connection.fetch(due, expires_at) == []


async def use(
    connection: asyncpg.Connection,
    code: bytes,
    request: str,
    member: int | None = None,
    at: datetime = LATER,
    by: str = "amy",
) -> CodeAnswer:
    async with connection.transaction():
        return await use_code(connection, code, at, Use(by, request), member)


async def test_a_code_is_used_once_and_says_when(connection: asyncpg.Connection) -> None:
    await buy(connection, 1, b"hash")
    used = CodeAnswer("used", 1, "", "coffee", NOW, LATER, "amy", True)
    assert await use(connection, b"hash", "1") == used
    tomorrow = LATER + timedelta(1)
    assert await use(connection, b"hash", "1", at=tomorrow) == replace(used, fresh=False)
    before = replace(used, result="used_before", fresh=False)
    assert await use(connection, b"hash", "2", at=tomorrow) == before
    assert await use(connection, b"hash", "1", at=tomorrow, by="ben") == before


async def test_an_unknown_code_is_unknown_and_somebody_elses_is_not_theirs(
    connection: asyncpg.Connection,
) -> None:
    await buy(connection, 1, b"hash")
    assert await use(connection, b"other", "1") == CodeAnswer("unknown")
    assert await use(connection, b"hash", "1", 2) == CodeAnswer("not_theirs")
    assert (await use(connection, b"hash", "1", 1)).result == "used"


async def test_one_request_uses_one_code(connection: asyncpg.Connection) -> None:
    await buy(connection, 1, b"hash")
    await buy(connection, 2, b"other")
    assert (await use(connection, b"hash", "1")).result == "used"
    assert await use(connection, b"other", "1") == CodeAnswer("another")
    assert (await use(connection, b"other", "1", by="ben")).result == "used"


@pytest.mark.parametrize("one_request", [False, True])
async def test_many_counters_at_once_use_a_code_once(
    connection: asyncpg.Connection, database_url: str, one_request: bool
) -> None:
    await buy(connection, 1, b"hash")
    async with asyncpg.create_pool(database_url, min_size=8, max_size=8) as pool:

        async def at_counter(number: int) -> CodeAnswer:
            async with pool.acquire() as one:
                return await use(one, b"hash", "1" if one_request else f"{number}")

        answers = await asyncio.gather(*map(at_counter, range(40)))
    assert sum(it.fresh for it in answers) == 1
    others = "used" if one_request else "used_before"
    assert sorted(it.result for it in answers) == ["used"] + [others] * 39


async def test_one_request_made_at_once_for_two_codes_uses_one(
    connection: asyncpg.Connection, database_url: str
) -> None:
    await buy(connection, 1, b"hash")
    await buy(connection, 2, b"other")
    async with asyncpg.create_pool(database_url, min_size=8, max_size=8) as pool:

        async def at_counter(code: bytes) -> str:
            async with pool.acquire() as one:
                return (await use(one, code, "1")).result

        results = await asyncio.gather(*map(at_counter, [b"hash", b"other"] * 4))
    assert sorted(results) == ["another"] * 4 + ["used"] * 4


async def test_a_code_that_becomes_another_members_meanwhile_is_used_as_theirs(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """Two turn out to be one person, while a clerk has the code of one of them in hand."""
    await buy(connection, 1, b"hash")
    clerk = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("UPDATE codes SET subscriber_id = 2")
        waiting = asyncio.create_task(use(clerk, b"hash", "1", 2))
        await blocked(connection)
    answer = await waiting
    assert (answer.result, answer.subscriber_id) == ("used", 2)
    await clerk.close()


async def blocked(connection: asyncpg.Connection) -> None:
    """Somebody waits for what this connection has."""
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY"
    async with asyncio.timeout(30):
        while not await connection.fetchval(f"{waits} (pg_blocking_pids(pid)))"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("tampering", "finding"),
    [
        ("UPDATE lots SET points = points + 1", "balance 30, lots 31"),
        ("UPDATE entries SET points = points + 1 WHERE key = 'quiz'", "figures 30/0/0/0/30"),
        ("UPDATE holds SET state = 'released', ended_at = at", "reserved/sold 0/1, holds 0/0"),
        ("DELETE FROM accounts WHERE subscriber_id = 2", "figures , entries 30/0/0/0/30"),
        ("UPDATE accounts SET due_at = now() WHERE subscriber_id = 2", "first expiry never"),
        ("UPDATE codes SET hold = 'x'", "a code without a sale"),
        ("UPDATE holds SET taken = '[]'", "of 30 took 0"),
    ],
)
async def test_whatever_does_not_add_up_is_found(
    connection: asyncpg.Connection, tampering: str, finding: str
) -> None:
    await buy(connection, 1, b"hash")
    await save_points(connection, of(2, earned(30)[1]))
    assert await imbalances(connection) == []
    await connection.execute(tampering)
    assert any(finding in line for line in await imbalances(connection))


@pytest.mark.parametrize(
    "mistake",
    [
        "UPDATE accounts SET balance_points = balance_points + 1",
        "UPDATE accounts SET balance_points = -1, held_points = 31",
        "UPDATE lots SET points = -1",
        "UPDATE stock SET free = -1, reserved = 3",
        "UPDATE stock SET reserved = reserved + 1",
        "INSERT INTO entries VALUES (1, 'k', 'held', 'held', 1, '', now())",
        "INSERT INTO entries VALUES (1, 'k', 'issued', 'held', -1, '', now())",
    ],
)
async def test_the_database_itself_refuses_a_mistake(
    connection: asyncpg.Connection, mistake: str
) -> None:
    await save_points(connection, of(1, earned(30)[1]))
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(mistake)
