"""8. Points are money: every entry moves them from one account to another.

Integers, append-only. What is earned together expires together (a lot); what is spent comes from
the lots that expire first; what is only set aside (a hold) goes back where it came from. Nothing is
ever edited, so everything can be added up again.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from orchestrator.core import points
from orchestrator.core.effects import Effect, PostEntry
from orchestrator.core.points import Account
from tests.fundamentals.campaign import MONDAY

DAY = timedelta(days=1)


def added_up(effects: list[Effect]) -> Counter[str]:
    """Every account, recomputed from the entries alone."""
    sums: Counter[str] = Counter()
    for effect in effects:
        if isinstance(effect, PostEntry):
            sums[effect.debit] -= effect.points
            sums[effect.credit] += effect.points
    return sums


def test_points_are_earned_set_aside_spent_and_expire_and_it_all_adds_up() -> None:
    account, ledger = Account(), list[Effect]()

    account, effects = points.award(account, 30, "quiz", "quiz", MONDAY, MONDAY + 10 * DAY)
    ledger += effects
    account, effects = points.award(account, 50, "use", "first use", MONDAY, MONDAY + 90 * DAY)
    ledger += effects
    assert account.balance_points == 80

    # A gift costs 40: the points that would expire first are taken first.
    account, effects = points.hold(account, "h1", "mug", 40, MONDAY, MONDAY + DAY)
    ledger += effects
    assert [(lot.key, lot.points) for lot in account.lots] == [("use", 40)]

    # She confirms: the hold is a sale.
    (held,) = account.holds
    account, effects = points.confirm(account, held, MONDAY)
    ledger += effects

    # A season later the rest has expired.
    account, effects = points.settle(account, MONDAY + 91 * DAY)
    ledger += effects

    sums = added_up(ledger)
    assert sums == {"issued": -80, "available": 0, "held": 0, "spent": 40, "expired": 40}
    assert sum(sums.values()) == 0, "double entry: nothing comes from nowhere"
    assert account.balance_points == 0
    assert account.earned_points == 80, "levels come from what was earned, not from what is left"


def test_what_was_set_aside_and_not_bought_goes_back_with_its_old_expiry() -> None:
    account, _ = points.award(Account(), 30, "quiz", "quiz", MONDAY, MONDAY + 10 * DAY)
    aside, _ = points.hold(account, "h1", "mug", 30, MONDAY, MONDAY + DAY)
    back, _ = points.release(aside, aside.holds[0], MONDAY + DAY)
    assert back.lots == account.lots


def test_the_same_key_earns_once() -> None:
    """Whatever may run twice has a key: a network that reports an event twice pays once."""
    once, _ = points.award(Account(), 30, "quiz", "quiz", MONDAY, None)
    twice, effects = points.award(once, 30, "quiz", "quiz", MONDAY, None)
    assert (twice, effects) == (once, ())
