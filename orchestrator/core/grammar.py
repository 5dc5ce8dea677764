"""What the small words of the YAML mean: durations, days, times, windows, schedules.

Each value type parses its own text and raises `GrammarError` with the forms it takes; the loader
adds file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import Struct

from orchestrator.core.errors import GrammarError

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

WeekdayNumber: TypeAlias = Annotated[int, WEEKDAYS]
"""0 is monday; authors write the name."""

MIDNIGHT = time()
"""Where a window closes, the end of its day."""

_PACE_UNITS = {"s": 1, "min": 60, "h": 3600}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_S = 100 * 366 * 86400
_DURATION = re.compile(r"(\d{1,6})\s*([smhdw])")


def parse_duration(text: str) -> timedelta:
    """The span that `90s`, `30m`, `24h`, `3d`, `2w` or `1d 12h` means."""
    spans = _DURATION.findall(text)
    if not spans or _DURATION.sub("", text).strip():
        raise GrammarError(
            f"{text!r} is not a duration", "write a number and a unit: 90s, 30m, 24h, 3d or 2w"
        )
    seconds = sum(int(n) * _UNITS[unit] for n, unit in spans)
    if seconds > _LONGEST_S:
        raise GrammarError(f"{text!r} is longer than 100 years", "write a shorter one: 90d or 52w")
    return timedelta(seconds=seconds)


def span(duration: timedelta) -> str:
    """`20h`, `1d 12h`: as an author writes it; two weeks are `14d`, as most write them."""
    left = int(duration.total_seconds())
    week_s = _UNITS["w"]
    if left and left % week_s == 0 and left >= 4 * week_s:
        return f"{left // week_s}w"
    parts = []
    for unit in "dhms":
        if left >= _UNITS[unit]:
            parts.append(f"{left // _UNITS[unit]}{unit}")
            left %= _UNITS[unit]
    return " ".join(parts) or "0s"


def parse_time(text: str) -> time:
    """The local time of day that `9:30` or `09:30` means."""
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if not match or int(match[1]) > 23 or int(match[2]) > 59:
        raise GrammarError(f"{text!r} is not a time of day", "write hours and minutes: 09:30")
    return time(int(match[1]), int(match[2]))


def parse_percent(text: str) -> float:
    """The share, 0 to 1, that `5%` means."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%", text.strip())
    if not match or float(match[1]) > 100:
        raise GrammarError(f"{text!r} is not a share", "write a percentage from 0% to 100%: 5%")
    return float(match[1]) / 100


class Share(Struct, frozen=True):
    """`5%`: a part of all."""

    share: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Share:
        return cls(parse_percent(text))


class At(Struct, frozen=True):
    """`day 2 10:00`: a local time on a day of the journey; day 1 is the day of entry."""

    day: int
    time: time

    @classmethod
    def parse(cls, text: str) -> At:
        match = re.fullmatch(r"day\s+(\d{1,4})\s+(\d{1,2}:\d{2})", text.strip())
        if not match or int(match[1]) < 1:
            raise GrammarError(
                f"{text!r} is not a day and a time",
                "write the day of the journey, from 1, and a local time: day 2 10:00",
            )
        return cls(int(match[1]), parse_time(match[2]))


class Window(Struct, frozen=True):
    """`09:00-20:00`: from `opens` until just before `closes`, local time, within one day, which
    ends at `24:00`."""

    opens: time
    closes: time

    @classmethod
    def parse(cls, text: str) -> Window:
        opens, dash, closes = text.partition("-")
        if not dash:
            raise GrammarError(f"{text!r} is not a window", "write it from-to: 09:00-20:00")
        ends_the_day = closes.strip() == "24:00"
        window = cls(parse_time(opens), MIDNIGHT if ends_the_day else parse_time(closes))
        if window.opens >= window.closes and not ends_the_day:
            raise GrammarError(
                f"the window {text!r} never opens",
                "it must close later than it opens, same day; the day's end is 24:00",
            )
        return window

    def __str__(self) -> str:
        closes = "24:00" if self.closes == MIDNIGHT else f"{self.closes:%H:%M}"
        return f"{self.opens:%H:%M}-{closes}"

    def holds(self, clock: time) -> bool:
        """Whether a clock that shows this stands within the window."""
        return self.opens <= clock and (clock < self.closes or self.closes == MIDNIGHT)


WHOLE_DAY = Window(MIDNIGHT, MIDNIGHT)


def parse_date(text: str) -> date:
    """The day that `2026-02-15` means."""
    match = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", text.strip())
    try:
        if match:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass  # 2026-02-30
    raise GrammarError(f"{text!r} is not a date", "write year, month and day: 2026-02-15")


class Days(Struct, frozen=True):
    """`2026-02-15`, or `2026-02-15 to 2026-02-23`: one day, or all from the first to the last."""

    first: date
    last: date

    @classmethod
    def parse(cls, text: str) -> Days:
        first, to, last = text.partition(" to ")
        days = cls(parse_date(first), parse_date(last if to else first))
        if days.last < days.first or (days.last - days.first).days > 366:
            raise GrammarError(
                f"{text!r} is no row of days",
                "the first comes first, a year later the last at most",
            )
        return days

    def each(self) -> Iterator[date]:
        """Every one of them."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)


class Again(Struct, frozen=True):
    """May a subscriber enter once more: `never`, `always`, `after 90d` since they entered, or
    `each month`, once in a calendar month by their own clock."""

    after: timedelta | None = None
    monthly: bool = False

    @classmethod
    def parse(cls, text: str) -> Again:
        if text == "never":
            return cls(None)
        if text == "always":
            return cls(timedelta())
        if text == "each month":
            return cls(monthly=True)
        if text.startswith("after "):
            return cls(parse_duration(text.removeprefix("after ")))
        raise GrammarError(
            f"{text!r} does not say when", "write never, always, after 90d or each month"
        )


class Schedule(Struct, frozen=True):
    """`day at 09:30`, `week on monday at 09:30` or `month on 1 at 09:30`, in the project's zone."""

    unit: Literal["day", "week", "month"]
    on: int
    time: time

    @classmethod
    def parse(cls, text: str) -> Schedule:
        match = re.fullmatch(
            r"(day|week|month)(?:\s+on\s+(\w+))?\s+at\s+(\d{1,2}:\d{2})", text.strip()
        )
        if match:
            unit, on, at = match.groups()
            if unit == "day" and on is None:
                return cls("day", 0, parse_time(at))
            if unit == "week" and on in WEEKDAYS:
                return cls("week", WEEKDAYS.index(on), parse_time(at))
            if unit == "month" and on and on.isdecimal() and 1 <= int(on) <= 28:
                return cls("month", int(on), parse_time(at))
        raise GrammarError(
            f"{text!r} is not a schedule",
            "write `day at 09:30`, `week on monday at 09:30` or `month on 1 at 09:30` (1 to 28)",
        )


class Pace(Struct, frozen=True):
    """`200/s`, `30/min` or `1000/h`: so many messages at most in any such time."""

    count: int
    unit_s: int

    @classmethod
    def parse(cls, text: str) -> Pace:
        match = re.fullmatch(r"(\d{1,6})\s*/\s*(s|min|h)", text.strip())
        if not match or int(match[1]) < 1:
            raise GrammarError(
                f"{text!r} is not a pace",
                "write how many messages, from 1, in which time: 200/s, 30/min or 1000/h",
            )
        return cls(int(match[1]), _PACE_UNITS[match[2]])

    def __str__(self) -> str:
        (unit,) = (word for word, span_s in _PACE_UNITS.items() if span_s == self.unit_s)
        return f"{self.count}/{unit}"

    @property
    def at_once(self) -> int:
        """How many go together: about a fifth of a second's."""
        fifth = max(1, self.count // (5 * self.unit_s))
        # Of many, the first lose less than one in a hundred: no need to look at all of them.
        fewest = max(fifth // 2, fifth - 100)
        return max(range(fifth, fewest, -1), key=lambda some: self.count // some * some)

    @property
    def every(self) -> timedelta:
        """The least time from one such lot to the next. In any unit of time there are then no more
        than `count` messages."""
        return timedelta(microseconds=-(-self.unit_s * 10**6 // (self.count // self.at_once)))


class TagChange(Struct, frozen=True):
    """`+vip` puts the tag on, `-vip` takes it off."""

    tag: str
    add: bool

    @classmethod
    def parse(cls, text: str) -> TagChange:
        if not re.fullmatch(r"[+-][\w.:-]{1,64}", text):
            raise GrammarError(
                f"{text!r} does not say what to do with the tag",
                "write +tag to put it on, -tag to take it off",
            )
        return cls(text[1:], text[0] == "+")
