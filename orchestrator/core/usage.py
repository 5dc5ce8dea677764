"""What is counted of subscribers' use, by their local days, and what conditions see of it.

Production keeps the counts in PostgreSQL (`store/usage.py`), a life on the skipped clock in a
`Ledger`; what a day is, what an event counts and which figures come of it is said here, for both.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from orchestrator.core import calendar
from orchestrator.core.errors import GrammarError

WEEK_DAYS = 7
"""How many days `…_7d` is about: today and the six before it."""

MOST = Decimal(10) ** 12
"""An event counts less than this."""

NOTHING = Decimal(0)
SMALLEST = Decimal("0.000001")
"""What an event counts is rounded to this, and an allowance is no less."""

SHARE_STEPS = 10_000
"""A share is told in so many parts."""

_EXACT = Context(prec=60, rounding=ROUND_FLOOR)
_PROPERTY = re.compile(r"event\.([A-Za-z_]\w*)")


def _decimal(value: Any) -> Decimal | None:
    """A JSON number as authors see it written; None for anything else."""
    if type(value) is int:
        return Decimal(value)
    return Decimal(repr(value)) if type(value) is float else None


class Amount(Struct, frozen=True):
    """`event.mb`, or a number: so much one event counts. What is no number in it counts nothing,
    nor does what is below zero or not below a million millions; the rest is rounded to six
    places."""

    property: str = ""
    constant: int = 0

    @classmethod
    def parse(cls, text: str) -> Amount:
        if re.fullmatch(r"\d{1,6}", text):
            return cls(constant=int(text))
        if match := _PROPERTY.fullmatch(text):
            return cls(match[1])
        raise GrammarError(
            f"{text!r} does not say how much is counted",
            "write a property of the event, as event.mb, or a whole number, as 1",
        )

    def of(self, properties: Mapping[str, Any]) -> Decimal:
        """How much an event with these properties counts."""
        value = _decimal(properties.get(self.property)) if self.property else Decimal(self.constant)
        try:
            if value is None or not 0 <= value < MOST:
                return NOTHING
        except InvalidOperation:  # not a number
            return NOTHING
        return value.quantize(SMALLEST)


class Measure(Struct, frozen=True):
    """What a counted measure is compared with: `by` is the attribute that names a subscriber's
    region, in which they have their place; `of` the attribute with their allowance for a month."""

    by: str = ""
    of: str = ""

    def region(self, attributes: Mapping[str, Any]) -> str | None:
        """The region of a subscriber with these attributes; None if nothing names it."""
        named = attributes.get(self.by) if self.by else None
        return named if isinstance(named, str) else None

    def names(self, measure: str) -> tuple[str, ...]:
        """The names under `usage` by which conditions know this measure."""
        said = ("today", "7d", "month")
        shared = ("share",) if self.of else ()
        placed = ("mean", "rank", "percentile") if self.by else ()
        return tuple(f"{measure}_{it}" for it in (*said, *shared, *placed))


class Standing(Struct, frozen=True, gc=False):
    """A region in this month as it was last looked at, and one subscriber in it: of its `people`,
    so many are `above` and so many `below` them."""

    people: int
    mean: Decimal
    above: int
    below: int


class Counts(Struct, frozen=True, gc=False):
    """What was counted of one measure for one subscriber: today, in seven days, and in the calendar
    month of today; `counted` says whether anything was in this month or the one before."""

    counted: bool = False
    today: Decimal = NOTHING
    week: Decimal = NOTHING
    month: Decimal = NOTHING
    standing: Standing | None = None


def home(timezone: str | None, default: str) -> ZoneInfo:
    """By whose clock the days of a subscriber are: their own zone's, or the project's."""
    return calendar.zone(timezone) or calendar.zone(default) or calendar.UTC_ZONE


def day_of(at: datetime, now: datetime, tz: ZoneInfo) -> date:
    """The day an event of `at` counts for, however late it comes. What says that it has not
    happened yet counts for today."""
    return calendar.local_day(min(at, now), tz)


def figures(
    name: str,
    measure: Measure,
    counts: Counts,
    attributes: Mapping[str, Any],
    placed: bool = True,
) -> dict[str, int | float | None]:
    """What conditions see of a measure, by the names after `usage.`; of how others stand only if
    that is known (`placed`). The place of somebody whose region is not known, or was not looked at
    this month, is null; so is the share of an allowance that is no number, or none to speak of. For
    whom nothing was counted, what an import says (`attributes`) stands."""
    said: dict[str, int | float | None] = {
        f"{name}_today": plain(counts.today) if counts.today else 0,
        f"{name}_7d": plain(counts.week) if counts.week else 0,
        f"{name}_month": plain(counts.month) if counts.month else 0,
    }
    if measure.of:
        said[f"{name}_share"] = _share(counts.month, _decimal(attributes.get(measure.of)))
    if measure.by and placed:
        it = counts.standing
        said[f"{name}_mean"] = plain(it.mean) if it else None
        said[f"{name}_rank"] = min(it.above + 1, it.people) if it else None
        said[f"{name}_percentile"] = 100 * it.below // it.people if it else None
    imported = attributes.get("usage")
    if not counts.counted and isinstance(imported, dict):
        return {name: value for name, value in said.items() if name not in imported}
    return said


def _share(month: Decimal, allowance: Decimal | None) -> int | float | None:
    """Rounded down, so that nobody is told too early that they have reached it."""
    if allowance is None or not allowance >= SMALLEST:
        return None
    steps = int(_EXACT.divide_int(month * SHARE_STEPS, allowance))
    return steps // SHARE_STEPS if steps % SHARE_STEPS == 0 else steps / SHARE_STEPS


def plain(value: Decimal) -> int | float:
    """As a JSON number: whole if it is."""
    number = float(value)
    return int(number) if number.is_integer() else number


class Ledger:
    """What was counted of one subscriber, by measure and day."""

    def __init__(self) -> None:
        self._measures: dict[str, _Days] = {}

    @property
    def empty(self) -> bool:
        """Nothing was counted yet: it stands the same on every day."""
        return not self._measures

    def take(self, amounts: Mapping[str, Amount], properties: Mapping[str, Any], day: date) -> None:
        """What an event with these properties counts is counted on that day."""
        for measure, it in amounts.items():
            if amount := it.of(properties):
                if measure not in self._measures:
                    self._measures[measure] = _Days()
                self._measures[measure].add(day, amount)

    def figures(
        self, measures: Mapping[str, Measure], attributes: Mapping[str, Any], today: date
    ) -> dict[str, Any]:
        """What conditions see of all measures on that day. Nobody else is known here: of how others
        stand, what an import says holds."""
        said: dict[str, Any] = {}
        for name, measure in measures.items():
            said |= figures(name, measure, self.counts(name, today), attributes, placed=False)
        return said

    def counts(self, measure: str, today: date) -> Counts:
        """How it stands on that day."""
        days = self._measures.get(measure)
        return _UNCOUNTED if days is None else days.counts(today)


class _Days:
    """What was counted of one measure by day, added up from the first day on."""

    def __init__(self) -> None:
        self._days: list[date] = []
        self._sums: list[Decimal] = []

    def add(self, day: date, amount: Decimal) -> None:
        days, sums = self._days, self._sums
        place = bisect_left(days, day)
        if place == len(days) or days[place] != day:
            days.insert(place, day)
            sums.insert(place, self._before(place))
        for later in range(place, len(sums)):
            sums[later] += amount

    def counts(self, today: date) -> Counts:
        days = self._days
        before, first, since, tomorrow, following = _spans(today)
        month_end = end = len(days)
        if days[-1] >= tomorrow:  # the subscriber has moved to where it is still the day before
            end, month_end = bisect_left(days, tomorrow), bisect_left(days, following)
        by_now, by_end = self._before(end), self._before(month_end)
        is_today = end > 0 and days[end - 1] == today
        return Counts(
            month_end > 0 and days[month_end - 1] >= before,
            by_now - self._before(end - 1) if is_today else NOTHING,
            by_now - self._before(bisect_left(days, since)),
            by_end - self._before(bisect_left(days, first)),
        )

    def _before(self, place: int) -> Decimal:
        return self._sums[place - 1] if place else NOTHING


@lru_cache(maxsize=1024)
def _spans(today: date) -> tuple[date, ...]:
    """When last month, this month and the seven days began, when tomorrow and next month do."""
    first = today.replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    since = today - timedelta(days=WEEK_DAYS - 1)
    return before, first, since, today + timedelta(days=1), following


_UNCOUNTED = Counts()
