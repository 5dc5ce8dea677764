"""What a life on the skipped clock counts, by local days."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.usage import Amount, Ledger, Measure

FIRST = date(2026, 1, 20)
DAYS = st.integers(0, 120).map(lambda it: FIRST + timedelta(days=it))
MEASURES = {"mb": Measure(of="plan_mb", by="city")}


@given(st.lists(st.tuples(DAYS, st.integers(0, 90)), max_size=30), DAYS)
def test_figures_are_what_all_days_add_up_to_in_whatever_order_they_came(
    used: list[tuple[date, int]], today: date
) -> None:
    ledger = Ledger()
    for day, mb in used:
        ledger.take({"mb": Amount("mb")}, {"mb": mb}, day)
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
    assert ledger.figures(MEASURES, {"plan_mb": 100}, today) == expected
    found = ledger.figures(MEASURES, {"plan_mb": 100, "usage": {"mb_7d": 5}}, today)
    assert ("mb_7d" in found) == any(this_month + last_month), "else what an import says stands"
