"""What a life on the skipped clock counts, by local days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.calendar import UTC_ZONE
from orchestrator.core.expression import Condition
from orchestrator.core.expression.scope import used_by_name
from orchestrator.core.usage import Amount, Ledger, Measure
from tests.core.world import ann

FIRST = date(2026, 1, 20)
DAYS = st.integers(0, 120).map(lambda it: FIRST + timedelta(days=it))
MEASURES = {"mb": Measure(of="plan_mb", by="city")}


def counted(ledger: Ledger, used: list[tuple[date, int]]) -> Ledger:
    """The same ledger, with so many MB counted on those days."""
    for day, mb in used:
        at = datetime.combine(day, time(12), UTC)
        ledger.take({"mb": Amount("mb")}, {"mb": mb}, at, at, UTC_ZONE)
    return ledger


@given(st.lists(st.tuples(DAYS, st.integers(0, 90)), max_size=30), DAYS)
def test_figures_are_what_all_days_add_up_to_in_whatever_order_they_came(
    used: list[tuple[date, int]], today: date
) -> None:
    ledger = counted(Ledger(), used)
    this_month = [mb for day, mb in used if (day.year, day.month) == (today.year, today.month)]
    last = today.replace(day=1) - timedelta(days=1)
    last_month = [mb for day, mb in used if (day.year, day.month) == (last.year, last.month)]
    week = [mb for day, mb in used if today - timedelta(days=7) < day <= today]
    expected = {
        "mb_today": sum(mb for day, mb in used if day == today),
        "mb_7d": sum(week),
        "mb_month": sum(this_month),
        "mb_share": sum(this_month) / 100,
    }
    noon = datetime.combine(today, time(12), UTC)
    assert ledger.figures(MEASURES, {"plan_mb": 100}, noon, UTC_ZONE) == expected
    imported = {"plan_mb": 100, "usage": {"mb_7d": 5}}
    found = ledger.figures(MEASURES, imported, noon, UTC_ZONE)
    assert ("mb_7d" in found) == any(this_month + last_month), "else what an import says stands"


@given(st.lists(st.tuples(DAYS, st.integers(1, 90)), max_size=20), st.integers(0, 20), DAYS)
def test_who_asked_before_does_not_see_what_was_counted_later(
    used: list[tuple[date, int]], before: int, today: date
) -> None:
    noon = datetime.combine(today, time(12), UTC)
    asked = MEASURES, {"plan_mb": 100}, noon, UTC_ZONE
    ledger = counted(Ledger(), used[:before])
    seen = ledger.figures(*asked)
    counted(ledger, used[before:])
    assert seen == counted(Ledger(), used[:before]).figures(*asked)
    assert ledger.figures(*asked) == counted(Ledger(), used).figures(*asked)


def test_a_share_is_null_without_an_allowance_unless_an_import_says_it() -> None:
    noon = datetime.combine(FIRST, time(12), UTC)
    ledger = Ledger()
    assert ledger.figures(MEASURES, {}, noon, UTC_ZONE)["mb_share"] is None
    assert ledger.figures(MEASURES, {}, noon, UTC_ZONE)["mb_today"] == 0
    assert "mb_share" not in ledger.figures(MEASURES, {"usage": {"mb_share": 1}}, noon, UTC_ZONE)


class Unread(dict[str, Any]):
    """Properties that nobody is to look at."""

    def get(self, name: str, default: Any = None) -> Any:
        raise AssertionError(name)


def test_who_asks_for_what_is_null_in_any_case_has_nothing_added_up() -> None:
    noon = datetime.combine(FIRST, time(12), UTC)
    ledger = Ledger()
    ledger.take({"mb": Amount("mb")}, Unread(), noon, noon, UTC_ZONE)
    seen = used_by_name(ann(), ledger.figures(MEASURES, ann().attributes, noon, UTC_ZONE))
    assert not Condition.parse("usage.mb_share >= 0.8").holds({"usage": seen})
    with pytest.raises(AssertionError, match="mb"):
        Condition.parse("usage.mb_today >= 1").holds({"usage": seen})
