"""Lots, holds and tiers on a clock of our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import points
from orchestrator.core.effects import PostEntry, Redeem, Release, Reserve
from orchestrator.core.points import Account, Lot
from orchestrator.core.project import PointsProgram, Tier

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = NOW + 15 * timedelta(minutes=1)


def earned(*lots: tuple[str, int, datetime | None]) -> Account:
    account = Account()
    for key, amount, expires_at in lots:
        account, _ = points.award(account, amount, key, "test", NOW, expires_at)
    return account


def test_an_award_makes_a_lot_and_is_posted_from_the_house() -> None:
    account, effects = points.award(Account(), 20, "quiz", "onboarding", NOW, NOW + DAY)
    assert account.lots == (Lot("quiz", 20, NOW + DAY),)
    assert (account.balance_points, account.earned_points) == (20, 20)
    (entry,) = effects
    assert isinstance(entry, PostEntry)
    assert (entry.debit, entry.credit, entry.points) == ("issued", "available", 20)


DONE = st.tuples(st.sampled_from(["award", "hold", "release", "wait"]), st.integers(0, 5))


@given(st.lists(DONE))
def test_what_an_account_has_and_when_it_is_due_is_what_its_lots_and_holds_say(
    story: list[tuple[str, int]],
) -> None:
    account, now = Account(), NOW
    for number, (what, amount) in enumerate(story):
        if what == "award":
            expires_at = now + amount * DAY if amount else None
            account, _ = points.award(account, amount + 1, f"a{number}", "test", now, expires_at)
        elif what == "hold" and account.balance_points >= amount:
            account, _ = points.hold(account, f"h{number}", "coffee", amount, now, now + DAY)
        elif what == "release" and account.holds:
            account, _ = points.release(account, account.holds[0], now)
        else:
            now += amount * DAY
            account, _ = points.settle(account, now)
        anew = Account(account.lots, account.holds, account.earned_points)
        assert account.balance_points == anew.balance_points == sum(it.points for it in anew.lots)
        dues = {lot.expires_at for lot in anew.lots} | {hold.expires_at for hold in anew.holds}
        assert account.due_at == anew.due_at == min((it for it in dues if it), default=None)


def test_the_same_award_twice_is_once() -> None:
    account = earned(("quiz", 20, None))
    assert points.award(account, 20, "quiz", "onboarding", NOW, None) == (account, ())


def test_what_expires_first_is_spent_first_whenever_it_was_earned() -> None:
    account = earned(("never", 5, None), ("late", 5, NOW + 2 * DAY), ("soon", 5, NOW + DAY))
    account, _ = points.hold(account, "h", "coffee", 7, NOW, LATER)
    assert {lot.key: lot.points for lot in account.lots} == {"never": 5, "late": 3}


def test_a_hold_keeps_the_points_from_being_spent_twice() -> None:
    account, effects = points.hold(earned(("a", 10, None)), "h", "coffee", 8, NOW, LATER)
    assert account.balance_points == 2
    entry, reserve = effects
    assert isinstance(entry, PostEntry)
    assert isinstance(reserve, Reserve)
    assert (entry.debit, entry.credit, entry.points) == ("available", "held", 8)
    assert reserve.taken == entry.lots
    with pytest.raises(ValueError, match="8 points on a balance of 2"):
        points.hold(account, "h2", "coffee", 8, NOW, LATER)


def test_a_confirmed_hold_is_a_sale_and_the_tier_stays() -> None:
    tiers = PointsProgram(tiers=(Tier("silver", 10), Tier("gold", 100)))
    account, _ = points.hold(earned(("a", 10, None)), "h", "coffee", 10, NOW, LATER)
    (held,) = account.holds
    account, effects = points.confirm(account, held, NOW, b"hash")
    entry, redeem = effects
    assert isinstance(entry, PostEntry)
    assert (entry.debit, entry.credit, entry.points) == ("held", "spent", 10)
    assert redeem == Redeem("h", "coffee", b"hash", NOW)
    assert (account.balance_points, account.holds) == (0, ())
    assert tiers.tier(account.earned_points) == "silver"


def test_a_released_hold_gives_back_old_expiries() -> None:
    before = earned(("soon", 5, NOW + DAY), ("late", 5, NOW + 2 * DAY))
    account, _ = points.hold(before, "h", "coffee", 7, NOW, LATER)
    account, effects = points.release(account, account.holds[0], LATER)
    assert sorted(account.lots, key=lambda lot: lot.key) == [
        Lot("late", 5, NOW + 2 * DAY),
        Lot("soon", 5, NOW + DAY),
    ]
    assert effects[1] == Release("h", "coffee", LATER)


def test_what_expired_while_held_expires_as_soon_as_it_is_given_back() -> None:
    before = earned(("soon", 5, NOW + DAY), ("late", 5, NOW + 9 * DAY))
    account, _ = points.hold(before, "h", "coffee", 7, NOW, NOW + 2 * DAY)
    account, effects = points.settle(account, NOW + 3 * DAY)
    assert account.lots == (Lot("late", 5, NOW + 9 * DAY),)
    expiry = effects[-1]
    assert isinstance(expiry, PostEntry)
    assert (expiry.credit, expiry.points, expiry.at) == ("expired", 5, NOW + 2 * DAY)


def test_a_lot_that_expires_in_two_pieces_expires_under_two_keys() -> None:
    before = earned(("soon", 5, NOW + DAY))
    account, _ = points.hold(before, "h", "coffee", 3, NOW, NOW + 2 * DAY)
    account, effects = points.settle(account, NOW + 3 * DAY)
    posted = [effect for effect in effects if isinstance(effect, PostEntry)]
    assert [entry.points for entry in posted if entry.credit == "expired"] == [2, 3]
    assert len({entry.key for entry in posted}) == len(posted)
    assert account.balance_points == 0


def test_an_account_says_when_it_is_due_and_is_not_due_once_settled() -> None:
    account = earned(("soon", 5, NOW + DAY), ("never", 5, None))
    account, _ = points.hold(account, "h", "coffee", 5, NOW, LATER)
    assert account.due_at == LATER
    settled, _ = points.settle(account, NOW + DAY)
    assert settled.due_at is None
    assert settled.balance_points == 5


def test_nothing_expires_a_moment_early() -> None:
    account = earned(("soon", 5, NOW + DAY))
    assert points.settle(account, NOW + DAY - timedelta(microseconds=1)) == (account, ())


def test_a_free_reward_is_held_and_sold_without_an_entry() -> None:
    account, effects = points.hold(Account(), "h", "badge", 0, NOW, LATER)
    assert [type(effect) for effect in effects] == [Reserve]
    _, effects = points.confirm(account, account.holds[0], NOW)
    assert [type(effect) for effect in effects] == [Redeem]


def test_awards_are_counted_by_reason_and_utc_day() -> None:
    account = earned(("1", 5, None), ("2", 5, None))
    assert account.awards_on(NOW.date(), "test") == 2
    assert account.awards_on(NOW.date() + DAY, "test") == 0
    account, _ = points.award(account, 5, "3", "test", NOW + DAY, None)
    assert account.awards_on(NOW.date() + DAY, "test") == 1
