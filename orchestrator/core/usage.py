"""What is counted of subscribers' use, by their local days, and what conditions see of it.

Production keeps the counts in PostgreSQL (`store/usage.py`), a life on the skipped clock in a
`Ledger`; what a day is, what an event counts and which figures come of it is said here, for both.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
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


@lru_cache(maxsize=4096, typed=True)
def _counting(number: int | float) -> Decimal:
    """How much a number counts; most are said again and again."""
    value = _decimal(number)
    try:
        if value is None or not 0 <= value < MOST:
            return NOTHING
    except InvalidOperation:  # not a number
        return NOTHING
    return value.quantize(SMALLEST)


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
        value = properties.get(self.property) if self.property else self.constant
        return _counting(value) if type(value) in (int, float) else NOTHING


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
        said = ("today", "7d", "month", "share") if self.of else ("today", "7d", "month")
        return (*(f"{measure}_{it}" for it in said), *self.placing(measure))

    def placing(self, measure: str) -> tuple[str, ...]:
        """Those of the names that tell of the subscriber's place among others."""
        return tuple(f"{measure}_{it}" for it in ("mean", "rank", "percentile") if self.by)


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
        said[f"{name}_share"] = _share(counts.month, _allowance(measure, attributes))
    if measure.by and placed:
        it = counts.standing
        said[f"{name}_mean"] = plain(it.mean) if it else None
        said[f"{name}_rank"] = min(it.above + 1, it.people) if it else None
        said[f"{name}_percentile"] = 100 * it.below // it.people if it else None
    imported = attributes.get("usage")
    if not counts.counted and isinstance(imported, dict):
        return {name: value for name, value in said.items() if name not in imported}
    return said


def _allowance(measure: Measure, attributes: Mapping[str, Any]) -> Decimal | None:
    """What may be used in a month; None if nothing says so, or too little to speak of."""
    allowance = _decimal(attributes.get(measure.of))
    return None if allowance is None or not allowance >= SMALLEST else allowance


def _share(month: Decimal, allowance: Decimal | None) -> int | float | None:
    """Rounded down, so that nobody is told too early that they have reached it."""
    if allowance is None:
        return None
    steps = int(_EXACT.divide_int(month * SHARE_STEPS, allowance))
    return steps // SHARE_STEPS if steps % SHARE_STEPS == 0 else steps / SHARE_STEPS


def plain(value: Decimal) -> int | float:
    """As a JSON number: whole if it is."""
    number = float(value)
    return int(number) if number.is_integer() else number


_Taken = tuple[Mapping[str, Amount], Mapping[str, Any], datetime, datetime, ZoneInfo]


class _Book:
    """What was `counted` of each measure, and what was `taken` since and is not yet added up."""

    def __init__(self, counted: Mapping[str, _Days]) -> None:
        self.counted = counted
        self.taken: list[_Taken] = []


class _Owner(Struct, frozen=True):
    """Whose figures they are, by the days of `tz`; the `boundless` ones are null in any case."""

    measures: Mapping[str, Measure]
    attributes: Mapping[str, Any]
    tz: ZoneInfo
    boundless: frozenset[str]


class Ledger:
    """What was counted of one subscriber; it is added up once somebody looks."""

    def __init__(self) -> None:
        self._book = _Book({})
        self._owner = _Owner({}, {}, calendar.UTC_ZONE, frozenset())

    @property
    def empty(self) -> bool:
        """Nothing was counted yet: it stands the same on every day."""
        return not self._book.counted and not self._book.taken

    def take(
        self,
        amounts: Mapping[str, Amount],
        properties: Mapping[str, Any],
        at: datetime,
        now: datetime,
        tz: ZoneInfo,
    ) -> None:
        """What an event of `at` with these properties counts is counted, as `day_of` has it."""
        self._book.taken.append((amounts, properties, at, now, tz))

    def add(self, measure: str, day: date, amount: Decimal) -> None:
        """So much was counted of a measure on that day."""
        counted = self.added_up(self._book, len(self._book.taken))
        days = counted.get(measure, _NO_DAYS).add(day, amount)
        self._book = _Book({**counted, measure: days})

    def figures(
        self,
        measures: Mapping[str, Measure],
        attributes: Mapping[str, Any],
        now: datetime,
        tz: ZoneInfo,
    ) -> Figures:
        """What conditions see of all measures then, by the days of `tz` and by what was counted
        until now."""
        owner, book = self._owner, self._book
        same = owner.attributes is attributes and owner.tz is tz and owner.measures is measures
        if not same:
            boundless = frozenset(_boundless(measures, attributes))
            owner = self._owner = _Owner(measures, attributes, tz, boundless)
        return Figures(self, book, len(book.taken), owner, now)

    def added_up(self, book: _Book, count: int) -> Mapping[str, _Days]:
        """What was counted, and the first `count` of what was taken after it."""
        if not count:
            return book.counted
        counted = {**book.counted}
        for amounts, properties, at, now, tz in book.taken[:count]:
            for measure, it in amounts.items():
                if amount := it.of(properties):
                    days = counted.get(measure, _NO_DAYS)
                    counted[measure] = days.add(day_of(at, now, tz), amount)
        if book is self._book and count == len(book.taken):
            self._book = _Book(counted)
        return counted


def _boundless(measures: Mapping[str, Measure], attributes: Mapping[str, Any]) -> Iterator[str]:
    """The shares of allowances that somebody has not: they are null, whatever is counted."""
    imported = attributes.get("usage")
    for name, measure in measures.items():
        said = f"{name}_share"
        known = isinstance(imported, dict) and said in imported
        if measure.of and not known and _allowance(measure, attributes) is None:
            yield said


class Figures(Mapping[str, Any]):
    """How a subscriber stood when it was asked for; it is added up once somebody looks, but for
    what is null in any case. Nobody else is known here: of how others stand, what an import says
    holds."""

    __slots__ = ("_book", "_count", "_ledger", "_now", "_owner", "_said")

    def __init__(
        self, ledger: Ledger, book: _Book, count: int, owner: _Owner, now: datetime
    ) -> None:
        self._ledger, self._book, self._count = ledger, book, count
        self._owner, self._now = owner, now
        self._said: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return None if name in self._owner.boundless else self._added_up()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._added_up())

    def __len__(self) -> int:
        return len(self._added_up())

    def _added_up(self) -> Mapping[str, Any]:
        if self._said is None:
            self._said, owner = {}, self._owner
            counted = self._ledger.added_up(self._book, self._count)
            today = calendar.local_day(self._now, owner.tz)
            for name, measure in owner.measures.items():
                counts = counted.get(name, _NO_DAYS).counts(today)
                self._said |= figures(name, measure, counts, owner.attributes, placed=False)
        return self._said


class _Days(Struct, frozen=True):
    """What was counted of one measure: of the first `count` amounts, by their days, the day of each
    and the sum up to it. Who adds to it leaves it as it is."""

    days: list[date] = []
    sums: list[Decimal] = []
    count: int = 0

    def add(self, day: date, amount: Decimal) -> _Days:
        """This, and an amount on that day."""
        days, sums, count = self.days, self.sums, self.count
        if count and count == len(days) and day >= days[-1]:
            days.append(day)  # nobody who holds what was before looks so far
            sums.append(sums[-1] + amount)
            return _Days(days, sums, count + 1)
        days, sums = days[:count], sums[:count]
        place = bisect_right(days, day)
        days.insert(place, day)
        sums.insert(place, sums[place - 1] if place else NOTHING)
        for later in range(place, count + 1):
            sums[later] += amount
        return _Days(days, sums, count + 1)

    def counts(self, today: date) -> Counts:
        """How it stands on that day."""
        if not self.count:
            return _UNCOUNTED
        before, first, since, tomorrow, following = _spans(today)
        last, until_now = self.days[self.count - 1], self.sums[self.count - 1]
        until_month_end = until_now
        if last >= tomorrow:  # the subscriber has moved to where it is still the day before
            until_now, until_month_end = self._until(tomorrow), self._until(following)
            last = self._last_before(following)
        return Counts(
            last >= before,
            until_now - self._until(today),
            until_now - self._until(since),
            until_month_end - self._until(first),
        )

    def _until(self, day: date) -> Decimal:
        """The sum of what is of days before that one."""
        place = bisect_left(self.days, day, 0, self.count)
        return self.sums[place - 1] if place else NOTHING

    def _last_before(self, day: date) -> date:
        """The last day before that one of which anything was counted; `date.min` if none."""
        place = bisect_left(self.days, day, 0, self.count)
        return self.days[place - 1] if place else date.min


_NO_DAYS = _Days()


@lru_cache(maxsize=1024)
def _spans(today: date) -> tuple[date, ...]:
    """When last month, this month and the seven days began, when tomorrow and next month do."""
    first = today.replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    since = today - timedelta(days=WEEK_DAYS - 1)
    return before, first, since, today + timedelta(days=1), following


_UNCOUNTED = Counts()
