"""Whatever members, authors and time do, in whatever order: the books balance."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orchestrator.core import points
from orchestrator.core.points import Account, Change
from orchestrator.core.project import Reward
from orchestrator.store.audit import imbalances
from orchestrator.store.points import load_accounts, save_points
from orchestrator.store.stock import ensure_stock, read_stock

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MEMBERS = (1, 2)
REWARDS = ("coffee", "ticket")
TABLES = "accounts, entries, lots, holds, stock, codes"

members = st.sampled_from(MEMBERS)
rewards = st.sampled_from(REWARDS)
shares = st.sampled_from((1, 0.5, 0.1))
"""Of the balance: all of it empties lots, which must come back with their old expiry."""


class Books(RuleBasedStateMachine):
    """What the pure functions decide is saved and must be loaded again just so."""

    connection: asyncpg.Connection
    runner: asyncio.Runner

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def open_books(self) -> None:
        self.now = START
        self.number = 0
        self.accounts = dict.fromkeys(MEMBERS, Account())
        self.expiries: dict[tuple[int, str], datetime | None] = {}
        self.last: list[tuple[int, int, Any]] = []
        self.figures = dict.fromkeys(REWARDS, 2)
        self.run(self.connection.execute(f"TRUNCATE {TABLES}"))
        self.stock_up()

    def stock_up(self) -> None:
        given = [Reward(name, {}, 1, count) for name, count in self.figures.items()]
        self.run(ensure_stock(self.connection, given, self.now))

    def change(self, member: int, change: Change) -> None:
        self.accounts[member], effects = change
        self.last = [(member, member % 64, effect) for effect in effects]
        assert self.run(self.save(self.last)) == []

    async def save(self, changes: list[tuple[int, int, Any]]) -> Any:
        async with self.connection.transaction():
            return await save_points(self.connection, changes)

    def free(self, reward: str) -> int:
        return int(self.run(read_stock(self.connection, [reward]))[reward])

    @rule(
        member=members,
        amount=st.integers(1, 100),
        days=st.none() | st.integers(1, 10),
    )
    def award(self, member: int, amount: int, days: int | None) -> None:
        self.number += 1
        key = f"award:{self.number}"
        self.expiries[member, key] = self.now + days * DAY if days else None
        expires_at = self.expiries[member, key]
        self.change(
            member,
            points.award(self.accounts[member], amount, key, "test", self.now, expires_at),
        )

    @rule(member=members, reward=rewards, share=shares, days=st.integers(1, 4))
    def hold(self, member: int, reward: str, share: float, days: int) -> None:
        account = self.accounts[member]
        if self.free(reward) < 1 or (share == 1 and not account.balance_points):
            return
        self.number += 1
        amount = round(account.balance_points * share)
        until = self.now + days * DAY
        key = f"buy:{self.number}"
        self.change(member, points.hold(account, key, reward, amount, self.now, until))

    @precondition(lambda self: any(account.holds for account in self.accounts.values()))
    @rule(which=st.integers(0), buy=st.booleans())
    def end_hold(self, which: int, buy: bool) -> None:
        holds = [(who, held) for who, account in self.accounts.items() for held in account.holds]
        member, held = holds[which % len(holds)]
        account = self.accounts[member]
        if buy:
            code = f"{member}:{held.key}".encode()
            self.change(member, points.confirm(account, held, self.now, code))
        else:
            self.change(member, points.release(account, held, self.now))

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        due = self.run(
            self.connection.fetch("SELECT subscriber_id FROM accounts WHERE due_at <= $1", self.now)
        )
        assert {row[0] for row in due} == {
            who for who, account in self.accounts.items() if (account.due_at or self.now) < self.now
        } | {who for who, account in self.accounts.items() if account.due_at == self.now}
        for row in due:
            self.change(row[0], points.settle(self.accounts[row[0]], self.now))

    @rule()
    def the_last_change_comes_again(self) -> None:
        if self.last:
            assert self.run(self.save(self.last)) == []

    @rule(reward=rewards, figure=st.integers(0, 4))
    def authors_change_the_figure(self, reward: str, figure: int) -> None:
        self.figures[reward] = figure
        self.stock_up()

    @invariant()
    def nothing_is_out_of_balance(self) -> None:
        assert self.run(imbalances(self.connection)) == []

    @invariant()
    def accounts_are_loaded_as_they_were_decided(self) -> None:
        loaded = self.run(load_accounts(self.connection, MEMBERS))
        for member, account in self.accounts.items():
            found = loaded.get(member, Account())
            assert sorted(found.lots, key=str) == sorted(account.lots, key=str)
            assert sorted(found.holds, key=str) == sorted(account.holds, key=str)
            assert found.earned_points == account.earned_points
            assert (found.day, dict(found.awards)) == (account.day, dict(account.awards))

    @invariant()
    def every_lot_has_the_expiry_it_was_earned_with(self) -> None:
        for member, account in self.accounts.items():
            for lot in account.lots:
                assert lot.expires_at == self.expiries[member, lot.key]
                assert lot.expires_at is None or lot.expires_at > self.now

    @invariant()
    def no_more_is_claimed_than_there_ever_was(self) -> None:
        for reward in REWARDS:
            taken = self.run(
                self.connection.fetchval(
                    "SELECT count(*) FROM holds WHERE reward = $1 AND state <> 'released'", reward
                )
            )
            assert self.free(reward) == self.figures[reward] - taken


def test_the_books_balance_whatever_happens(database_url: str) -> None:
    with asyncio.Runner() as runner:
        Books.runner = runner
        Books.connection = runner.run(asyncpg.connect(database_url))
        run_state_machine_as_test(
            Books,
            settings=settings(
                max_examples=40,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
        runner.run(Books.connection.close())
