"""5. Time is the subscriber's own.

Everything that is stored or passed around is an instant, in UTC. What an author writes — `at: day 2
10:00`, `hours: 09:00-20:00` — is a clock on a subscriber's wall. `calendar` is the only place that
knows how one becomes the other, and its rule is: never early.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from orchestrator.core import calendar

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


def test_day_one_is_the_local_day_on_which_they_entered() -> None:
    entered = datetime(2026, 3, 2, 20, tzinfo=UTC)  # Monday in Berlin, already Tuesday in Shanghai
    assert calendar.on_day(entered, 1, time(10), BERLIN) == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert calendar.on_day(entered, 1, time(10), SHANGHAI) == datetime(2026, 3, 3, 2, tzinfo=UTC)


def test_ten_o_clock_stays_ten_o_clock_when_the_clocks_change() -> None:
    entered = datetime(2026, 3, 28, 12, tzinfo=UTC)  # Berlin changes to summer time that night
    assert calendar.on_day(entered, 1, time(10), BERLIN).hour == 9
    assert calendar.on_day(entered, 2, time(10), BERLIN).hour == 8


def test_a_time_that_a_night_leaves_out_comes_later_not_earlier() -> None:
    """At 02:00 the clocks jump to 03:00: there is no 02:30."""
    then = calendar.instant(date(2026, 3, 29), time(2, 30), BERLIN)
    assert f"{then.astimezone(BERLIN):%H:%M}" == "03:30"


def test_a_time_that_comes_twice_is_taken_once() -> None:
    """In October 02:30 comes, and an hour later comes again."""
    evening = datetime(2026, 10, 24, 20, tzinfo=UTC)
    first = calendar.next_at(evening, time(2, 30), BERLIN)
    then = calendar.next_at(first, time(2, 30), BERLIN)
    assert (then - first).total_seconds() == 25 * 3600


def test_a_zone_that_nobody_knows_is_no_zone() -> None:
    """Then rules that need local time say no, rather than guess."""
    assert calendar.zone("Mars/Olympus") is None
