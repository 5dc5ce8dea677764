"""Local time: days, windows and schedules, over every kind of change of the clocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.core import calendar
from orchestrator.core.grammar import Days, Schedule, Window

ZONES = {
    "Asia/Shanghai": "never changes",
    "Europe/Berlin": "changes at 02:00",
    "America/New_York": "changes at 02:00, west of Greenwich",
    "Australia/Lord_Howe": "changes by half an hour",
    "Africa/Casablanca": "summer time all year but in Ramadan",
    "America/Santiago": "changes at midnight: a day without 00:00, one with two 23:00",
    "America/Nuuk": "changes at 23:00, into the next day",
    "Asia/Kathmandu": "is off by a quarter of an hour",
    "Pacific/Apia": "is at the date line",
}
EVERY_DAY = range(7)
HOUR = timedelta(hours=1)

zones = st.sampled_from([*ZONES]).map(ZoneInfo)
moments = st.integers(0, 5 * 366 * 24 * 60).map(
    lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
times = st.times().map(lambda t: t.replace(second=0, microsecond=0, fold=0))
windows = st.tuples(times, times).filter(lambda w: w[0] < w[1]).map(lambda w: Window(*w))
weekdays = st.sets(st.integers(0, 6), min_size=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "local", "expected", "why"),
    [
        ("Asia/Shanghai", "2026-03-29 02:30", "2026-03-28 18:30", "no change ever"),
        ("Europe/Berlin", "2026-03-29 01:59", "2026-03-29 00:59", "the minute before the gap"),
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:30", "left out: 03:30 by the wall"),
        ("Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00", "the gap's end"),
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30", "comes twice: the first"),
        ("America/New_York", "2026-03-08 02:30", "2026-03-08 07:30", "left out: 03:30 by the wall"),
        ("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30", "comes twice: the first"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:45", "half an hour is left out"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45", "half an hour twice"),
        ("Africa/Casablanca", "2026-02-15 02:30", "2026-02-15 01:30", "Ramadan begins: first"),
        ("Africa/Casablanca", "2026-03-22 02:30", "2026-03-22 02:30", "Ramadan ends: left out"),
        ("America/Santiago", "2026-09-06 00:00", "2026-09-06 04:00", "midnight is left out"),
        ("America/Nuuk", "2026-03-28 23:30", "2026-03-29 01:30", "left out: next day by the wall"),
    ],
)
def test_a_local_time_is_one_instant(zone: str, local: str, expected: str, why: str) -> None:
    day, at = local.split()
    then = calendar.instant(date.fromisoformat(day), time.fromisoformat(at), ZoneInfo(zone))
    assert then == utc(expected), why
    assert then.tzinfo is UTC


@given(moments, times, zones)
def test_a_local_time_is_never_early(moment: datetime, at: time, tz: ZoneInfo) -> None:
    """By the wall it is that day and time, or later; later only where the clocks leave it out."""
    day = moment.date()
    wall = calendar.instant(day, at, tz).astimezone(tz).replace(tzinfo=None)
    wanted = datetime.combine(day, at)
    assert wall >= wanted
    if wall != wanted:
        assert wall - wanted <= HOUR
        before, after = (
            (datetime.combine(day, at, tz) + d).utcoffset() for d in (-3 * HOUR, 3 * HOUR)
        )
        assert before is not None and after is not None and before < after  # noqa: PT018


@given(moments, times, zones, st.integers(1, 400))
def test_each_day_of_a_journey_comes_later_than_the_one_before(
    entered: datetime, at: time, tz: ZoneInfo, day: int
) -> None:
    then = calendar.on_day(entered, day, at, tz)
    assert calendar.on_day(entered, day + 1, at, tz) > then
    assert calendar.on_day(entered, 1, time(23, 59), tz) >= entered.replace(second=0) - HOUR


@given(moments, times, zones)
def test_day_one_is_the_local_day_of_entry(entered: datetime, at: time, tz: ZoneInfo) -> None:
    first = calendar.on_day(entered, 1, at, tz)
    assert first == calendar.instant(entered.astimezone(tz).date(), at, tz)


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        *((zone, "2026-01-01") for zone in ZONES),
        ("Pacific/Apia", "2011-10-01"),  # 30 December was left out
        ("America/St_Johns", "2009-09-01"),  # one minute after midnight it was an hour earlier
    ],
)
def test_whose_clocks_change_or_not_the_local_day_is_that_of_their_clock(
    zone: str, first: str
) -> None:
    tz, moment = ZoneInfo(zone), utc(first) - timedelta(seconds=1)
    for _ in range(4 * 366):
        for then in (moment, moment + timedelta(seconds=1), moment + timedelta(seconds=61)):
            assert calendar.local_day(then, tz) == then.astimezone(tz).date(), then
            assert calendar.local_day(then.astimezone(tz), tz) == then.astimezone(tz).date(), then
        moment += HOUR * 6 + timedelta(minutes=15)


@given(moments, zones)
def test_a_day_begins_before_each_of_its_moments(moment: datetime, tz: ZoneInfo) -> None:
    start = calendar.day_start(moment, tz)
    assert start <= moment
    assert calendar.local_day(start, tz) == calendar.local_day(moment, tz)
    assert calendar.local_day(start - timedelta(minutes=1), tz) < calendar.local_day(moment, tz)


@example(utc("2026-03-29 01:10"), time(23, 30), ZoneInfo("America/Nuuk"))
@given(moments, times, zones)
def test_the_next_time_of_day_is_the_first_of_all_later_ones(
    moment: datetime, at: time, tz: ZoneInfo
) -> None:
    near = [calendar.instant(moment.date() + timedelta(days=days), at, tz) for days in range(-3, 4)]
    assert calendar.next_at(moment, at, tz) == min(then for then in near if then > moment)


@given(moments, times, zones, st.integers(0, 6))
def test_the_next_weekday_is_the_first_such_day_that_is_later(
    moment: datetime, at: time, tz: ZoneInfo, weekday: int
) -> None:
    near = [moment.date() + timedelta(days=days) for days in range(-3, 12)]
    fitting = [calendar.instant(day, at, tz) for day in near if day.weekday() == weekday]
    assert calendar.next_at(moment, at, tz, weekday) == min(t for t in fitting if t > moment)


def test_a_time_of_day_that_comes_twice_is_taken_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = calendar.next_at(utc("2026-10-24 22:00"), time(2, 30), berlin)
    assert first == utc("2026-10-25 00:30")
    assert calendar.next_at(first, time(2, 30), berlin) == utc("2026-10-26 01:30")


@given(moments, windows, weekdays, zones)
def test_what_opens_next_is_open(
    moment: datetime, window: Window, days: set[int], tz: ZoneInfo
) -> None:
    then = calendar.next_open(moment, window, days, tz)
    if then is None:  # only a window within the hour that a change leaves out never opened
        assert window.closes.hour * 60 + window.closes.minute <= 24 * 60
        assert (
            datetime.combine(moment.date(), window.closes)
            - datetime.combine(moment.date(), window.opens)
            <= HOUR
        )
        return
    assert then >= moment
    assert calendar.is_open(then, window, days, tz)
    wall = then.astimezone(tz)
    assert wall.weekday() in days
    assert window.opens <= wall.time() < window.closes
    assert then == moment or wall.time() >= window.opens


@settings(max_examples=40, deadline=None)
@given(moments, windows, weekdays, zones)
def test_nothing_opens_earlier_than_what_opens_next(
    moment: datetime, window: Window, days: set[int], tz: ZoneInfo
) -> None:
    """Walked in quarters of an hour. On a day of change it may be an hour late, never more."""
    then = calendar.next_open(moment, window, days, tz)
    end = then or moment + timedelta(days=7)
    walked = moment
    while walked < end - HOUR:
        local = walked.astimezone(tz)
        shut = local.weekday() not in days or not window.opens <= local.time() < window.closes
        changes = (local + timedelta(hours=3)).utcoffset() != (
            local - timedelta(hours=3)
        ).utcoffset()
        assert shut or changes
        walked += timedelta(minutes=15)


@example(utc("2026-10-25 01:15"), Window.parse("02:00-02:30"), ZoneInfo("Europe/Berlin"))
@given(moments, windows, zones)
def test_an_open_window_closes_later(moment: datetime, window: Window, tz: ZoneInfo) -> None:
    opened = calendar.next_open(moment, window, EVERY_DAY, tz)
    if opened is not None:
        closes = calendar.closing(opened, window, tz)
        assert opened < closes <= opened + timedelta(hours=25)
        assert not calendar.is_open(closes, window, EVERY_DAY, tz)


def test_a_window_with_no_days_never_opens() -> None:
    window = Window.parse("09:00-20:00")
    assert calendar.next_open(utc("2026-03-02 01:00"), window, (), ZoneInfo("UTC")) is None


def test_a_window_closes_just_before_its_end() -> None:
    window = Window.parse("09:00-20:00")
    shanghai = ZoneInfo("Asia/Shanghai")
    last = utc("2026-03-02 11:59")
    assert calendar.next_open(last, window, EVERY_DAY, shanghai) == last
    closed = last + timedelta(minutes=1)
    assert calendar.next_open(closed, window, EVERY_DAY, shanghai) == utc("2026-03-03 01:00")


PACK = calendar.HolidayPack(
    valid_until=date(2026, 12, 31),
    days=(Days.parse("2026-10-01 to 2026-10-07"),),
    working=(Days.parse("2026-10-10"),),
)


@pytest.mark.parametrize(
    ("moment", "days", "expected"),
    [
        ("2026-09-30 04:00", range(7), "2026-09-30 04:00"),
        ("2026-10-01 04:00", range(7), "2026-10-08 01:00"),
        ("2026-10-10 04:00", range(5), "2026-10-10 04:00"),
        ("2026-10-09 13:00", range(5), "2026-10-10 01:00"),
        ("2026-10-09 13:00", [0, 4], "2026-10-12 01:00"),
        ("2026-10-11 04:00", range(5), "2026-10-12 01:00"),
        ("2026-10-01 04:00", [3], "2026-10-08 01:00"),
    ],
)
def test_holidays_are_shut_and_worked_weekends_open(
    moment: str, days: Sequence[int], expected: str
) -> None:
    window, tz = Window.parse("09:00-20:00"), ZoneInfo("Asia/Shanghai")
    assert calendar.next_open(utc(moment), window, days, tz, (), PACK) == utc(expected)


def test_a_day_that_is_free_and_worked_is_worked() -> None:
    row = (Days.parse("2026-10-01 to 2026-10-02"),)
    pack = calendar.HolidayPack(date(2026, 12, 31), row, working=(Days.parse("2026-10-02"),))
    assert pack.free == {date(2026, 10, 1)}


@pytest.mark.parametrize(
    ("local", "opens", "closes"),
    [
        ("10:00", "10:00", "12:00"),
        ("12:00", "14:00", "18:00"),
        ("18:30", "20:00", "24:00"),
        ("21:00", "21:00", "24:00"),
    ],
)
def test_what_is_avoided_is_shut_within_the_hours(local: str, opens: str, closes: str) -> None:
    window, tz = Window.parse("09:00-24:00"), ZoneInfo("Asia/Shanghai")
    avoid = (Window.parse("18:00-20:00"), Window.parse("12:00-14:00"))

    def clock(text: str) -> datetime:
        hour, minute = (int(part) for part in text.split(":"))
        return datetime(2026, 3, 2, tzinfo=tz) + timedelta(hours=hour, minutes=minute)

    then = calendar.next_open(clock(local), window, EVERY_DAY, tz, avoid)
    assert then == clock(opens)
    assert calendar.closing(then, window, tz, avoid) == clock(closes)


schedules = st.one_of(
    times.map(lambda t: Schedule("day", 0, t)),
    st.tuples(st.integers(0, 6), times).map(lambda s: Schedule("week", *s)),
    st.tuples(st.integers(1, 28), times).map(lambda s: Schedule("month", *s)),
)


@example(utc("2026-03-29 01:10"), Schedule("day", 0, time(23, 30)), ZoneInfo("America/Nuuk"))
@given(moments, schedules, zones)
def test_runs_of_a_schedule_increase_and_none_is_left_out(
    after: datetime, schedule: Schedule, tz: ZoneInfo
) -> None:
    first = calendar.next_run(after, schedule, tz)
    second = calendar.next_run(first, schedule, tz)
    assert after < first < second
    days = {"day": 1, "week": 7, "month": 31}[schedule.unit]
    assert first - after <= timedelta(days=days) + 2 * HOUR
    assert second - first <= timedelta(days=days) + 2 * HOUR
    halfway = first + (second - first) / 2
    assert calendar.next_run(halfway, schedule, tz) == second


def test_a_monthly_schedule_names_its_day() -> None:
    schedule = Schedule.parse("month on 1 at 09:30")
    shanghai = ZoneInfo("Asia/Shanghai")
    assert calendar.next_run(utc("2026-01-31 12:00"), schedule, shanghai) == utc("2026-02-01 01:30")
    assert calendar.next_run(utc("2026-02-01 01:30"), schedule, shanghai) == utc("2026-03-01 01:30")


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "Mars/Olympus",
        "../etc/passwd",
        "/etc/passwd",
        "Asia",
        "a\0b",
        "\ud800",
        "x" * 5000,
    ],
)
def test_an_unknown_zone_is_none(name: str | None) -> None:
    assert calendar.zone(name) is None


@pytest.mark.parametrize("name", ZONES)
def test_known_zones_are_found(name: str) -> None:
    tz = calendar.zone(name)
    assert tz is not None
    assert tz.key == name
