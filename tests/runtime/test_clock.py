import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import GrammarError
from orchestrator.runtime.clock import Clock

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def test_the_default_clock_shows_real_time() -> None:
    before = datetime.now(UTC)
    shown = Clock().now()
    assert before - timedelta(milliseconds=1) <= shown
    assert shown <= datetime.now(UTC) + timedelta(milliseconds=1)
    assert shown.tzinfo is UTC


def test_an_accelerated_clock_runs_a_week_in_a_minute() -> None:
    clock = Clock(MONDAY, 1_760_000_000.123, 10_080)
    assert clock.domain_at(1_760_000_000.123) == MONDAY
    assert clock.domain_at(1_760_000_060.123) == MONDAY + timedelta(days=7)


def test_a_clock_starts_where_it_is_told() -> None:
    shown = Clock.starting(MONDAY, 1).now()
    assert MONDAY <= shown < MONDAY + timedelta(seconds=5)


def test_a_clock_of_speed_0_stands_still() -> None:
    clock = Clock.starting(MONDAY, 0)
    assert clock.now() == clock.now() == MONDAY
    assert clock.real_seconds_until(MONDAY) == 0
    assert clock.real_seconds_until(MONDAY + timedelta(seconds=1)) == math.inf


def test_sleeping_is_shorter_on_a_faster_clock_and_never_negative() -> None:
    clock = Clock.starting(MONDAY, 60)
    assert clock.real_seconds_until(MONDAY + timedelta(hours=1)) == pytest.approx(60, abs=1)
    assert clock.real_seconds_until(MONDAY - timedelta(hours=1)) == 0


def test_real_time_stays_real_on_any_clock() -> None:
    clock = Clock.starting(MONDAY, 10_080)
    assert abs(clock.real_now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_clock_is_written_as_people_would_write_it() -> None:
    assert str(Clock()) == "real"
    text = "2026-03-02T00:00:00Z@1760000000.123x10080"
    assert str(Clock(MONDAY, 1_760_000_000.123, 10_080.0)) == text
    assert Clock.parse("2026-03-02T08:00:00+08:00@1760000000.123x10080") == Clock.parse(text)


@given(
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])),
    st.floats(0, 4e9, allow_subnormal=False),
    st.floats(0, 1e7, allow_subnormal=False),
)
def test_another_process_reads_the_very_same_clock(
    domain: datetime, real: float, speed: float
) -> None:
    try:
        clock = Clock(domain.astimezone(UTC), real, speed)
    except OverflowError:
        return
    assert Clock.parse(str(clock)) == clock


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-03-02@5x1", "2026-13-02T00:00:00Z@5x1", "2026-03-02T00:00:00Z@5x-1"],
)
def test_what_is_no_clock_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(GrammarError, match="is not a clock"):
        Clock.parse(text)
