"""The small words of the YAML: what they mean, and what is said when they mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import grammar
from orchestrator.core.errors import GrammarError
from orchestrator.core.grammar import (
    WEEKDAYS,
    Again,
    At,
    Pace,
    Schedule,
    TagChange,
    Window,
    parse_duration,
    parse_percent,
    parse_time,
)
from orchestrator.core.steps.wait import Pause

PARSERS: dict[str, Callable[[str], object]] = {
    "duration": parse_duration,
    "time": parse_time,
    "percent": parse_percent,
    "at": At.parse,
    "window": Window.parse,
    "again": Again.parse,
    "schedule": Schedule.parse,
    "tag": TagChange.parse,
    "pause": Pause.parse,
    "pace": Pace.parse,
}

times = st.times().map(lambda t: t.replace(second=0, microsecond=0, fold=0))


def shown(at: time) -> str:
    return f"{at:%H:%M}"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        ("3d", timedelta(days=3)),
        ("2w", timedelta(weeks=2)),
        ("1d 12h", timedelta(days=1, hours=12)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("5 m", timedelta(minutes=5)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from("smhdw")), min_size=1, max_size=3))
def test_a_duration_is_the_sum_of_its_spans(spans: list[tuple[int, str]]) -> None:
    names = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    text = " ".join(f"{n}{unit}" for n, unit in spans)
    assert parse_duration(text) == sum(
        (timedelta(**{names[unit]: n}) for n, unit in spans), timedelta()
    )


@pytest.mark.parametrize(
    "written", ["1m 30s", "20h", "14d", "1d 12h", "8w", "1m", "2d 3h 4m 5s", "0s"]
)
def test_a_span_is_said_as_an_author_writes_it(written: str) -> None:
    assert grammar.span(parse_duration(written)) == written


@given(times)
def test_a_time_of_day_reads_back(at: time) -> None:
    assert parse_time(shown(at)) == at


@given(st.integers(1, 9999), times)
def test_a_day_and_a_time_read_back(day: int, at: time) -> None:
    assert At.parse(f"day {day} {shown(at)}") == At(day, at)


@given(times, times)
def test_a_window_reads_back_or_never_opens(opens: time, closes: time) -> None:
    text = f"{shown(opens)}-{shown(closes)}"
    if opens < closes:
        assert Window.parse(text) == Window(opens, closes)
    else:
        with pytest.raises(GrammarError, match="never opens"):
            Window.parse(text)


@given(times, st.sampled_from(WEEKDAYS), st.integers(1, 28))
def test_a_schedule_reads_back(at: time, weekday: str, day: int) -> None:
    assert Schedule.parse(f"day at {shown(at)}") == Schedule("day", 0, at)
    assert Schedule.parse(f"week on {weekday} at {shown(at)}") == Schedule(
        "week",
        WEEKDAYS.index(weekday),
        at,
    )
    assert Schedule.parse(f"month on {day} at {shown(at)}") == Schedule("month", day, at)


def test_again_says_whether_one_may_enter_once_more() -> None:
    assert Again.parse("never").after is None
    assert Again.parse("always").after == timedelta()
    assert Again.parse("after 90d").after == timedelta(days=90)


def test_a_tag_goes_on_with_plus_and_off_with_minus() -> None:
    assert TagChange.parse("+vip") == TagChange("vip", True)
    assert TagChange.parse("-需要帮助") == TagChange("需要帮助", False)


def test_a_share_is_a_percentage() -> None:
    assert parse_percent("5%") == 0.05
    assert parse_percent("12.5 %") == 0.125
    assert (parse_percent("0%"), parse_percent("100%")) == (0.0, 1.0)


def test_a_pause_is_a_span_or_lasts_until_a_local_time() -> None:
    assert Pause.parse("3d") == Pause(span=timedelta(days=3))
    assert Pause.parse("until 10:00") == Pause(time=time(10))
    assert Pause.parse("until monday 10:00") == Pause(weekday=0, time=time(10))


NONSENSE = {
    "duration": [
        "",
        "3",
        "d",
        "3 days",
        "-3d",
        "1.5h",
        "3dd",
        "1d, 2h",
        "3y",
        "999999w",
        "1234567s",
    ],
    "time": ["", "10", "24:00", "10:60", "1000", "10:0", "-1:00", "10:00:00", "noon"],
    "percent": ["", "5", "101%", "-1%", "%", "5%%", "nan%", "1000%"],
    "at": ["", "10:00", "day 0 10:00", "day 10:00", "day -1 10:00", "day 2 25:00", "day 2"],
    "window": ["", "09:00", "20:00-09:00", "09:00-09:00", "09:00-20:00-21:00", "9-20"],
    "again": ["", "no", "after", "after tomorrow", "90d", "Never"],
    "schedule": [
        "",
        "day",
        "day on 1 at 09:30",
        "week at 09:30",
        "week on 1 at 09:30",
        "week on mon at 09:30",
        "month on 0 at 09:30",
        "month on 29 at 09:30",
        "month on ² at 09:30",
        "month at 09:30",
        "year on 1 at 09:30",
        "month on 1 at 24:30",
    ],
    "tag": ["", "vip", "+", "++vip", "+a b", "+" + "x" * 65],
    "pause": ["", "until", "until tomorrow", "until mon 10:00", "until 25:00", "until monday", "3"],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in NONSENSE.items() for text in texts]
)
def test_what_means_nothing_is_an_error_that_shows_what_would(kind: str, text: str) -> None:
    with pytest.raises(GrammarError) as caught:
        PARSERS[kind](text)
    assert caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("kind", PARSERS)
@given(text=st.text(max_size=30) | st.from_regex(r"[a-z0-9:%+ -]{0,24}", fullmatch=True))
def test_any_text_is_a_value_or_a_grammar_error(kind: str, text: str) -> None:
    with suppress(GrammarError):
        PARSERS[kind](text)


@given(st.integers(1, 999_999), st.sampled_from(["s", "min", "h"]))
def test_a_pace_lets_no_more_through_than_it_says_and_hardly_less(count: int, unit: str) -> None:
    pace = Pace.parse(f"{count}/{unit}")
    assert str(pace) == f"{count}/{unit}"
    lots = timedelta(seconds=pace.unit_s) / pace.every
    assert lots * pace.at_once <= count + 0.01
    assert lots * pace.at_once >= count * 0.9
    assert pace.at_once == 1 or pace.every <= timedelta(seconds=0.5)


@pytest.mark.parametrize("text", ["", "200", "0/s", "200/day", "-1/s", "1.5/s", "9999999/s"])
def test_what_is_no_pace_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(GrammarError, match="is not a pace") as refused:
        Pace.parse(text)
    assert "200/s" in refused.value.hint
