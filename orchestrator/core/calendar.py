"""Local time: the only place that knows it. In and out go aware UTC instants."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from orchestrator.core.grammar import MIDNIGHT, Days, Schedule, Window

UTC_ZONE = ZoneInfo("UTC")
WORKDAYS = range(5)
_DAY = timedelta(days=1)
_LONGEST_HOLIDAYS = 60
"""Days after which a weekday that is no holiday must have come."""


class HolidayPack(Struct, frozen=True, dict=True):
    """The public holidays of one country or region, known up to `valid_until`: after that day,
    nobody knows. `days` are free; `working` are worked although they lie on a weekend. It is for
    subscribers in these `zones`, or, without any, for all whom no other pack is for."""

    valid_until: date
    days: tuple[Days, ...]
    working: tuple[Days, ...] = ()
    zones: tuple[str, ...] = ()

    @cached_property
    def free(self) -> frozenset[date]:
        return frozenset(day for row in self.days for day in row.each()) - self.worked

    @cached_property
    def worked(self) -> frozenset[date]:
        return frozenset(day for row in self.working for day in row.each())


@lru_cache(maxsize=1024)
def zone(name: str | None) -> ZoneInfo | None:
    """The IANA zone of that name, or None when it is unknown: callers fail closed."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=8192)
def instant(day: date, at: time, tz: ZoneInfo) -> datetime:
    """The first moment at which a clock in `tz` shows `at` on `day`.

    A time that a change to summer time leaves out comes when the clock would have shown it, an
    hour later by the wall: never early. One that comes twice is taken the first time.
    """
    return datetime.combine(day, at, tz).astimezone(UTC)


@lru_cache(maxsize=8192)
def _ahead(day: date, tz: ZoneInfo) -> timedelta | None:
    """How far clocks in `tz` are ahead of UTC, all day long by UTC; None if they are changed."""
    begins = datetime.combine(day, time(), UTC)
    ahead = begins.astimezone(tz).utcoffset()
    return ahead if ahead == (begins + _DAY).astimezone(tz).utcoffset() else None


def _local(moment: datetime, tz: ZoneInfo) -> datetime:
    """What a clock and a calendar in `tz` show at `moment`; the zone it bears says nothing."""
    if moment.tzinfo is UTC and (ahead := _ahead(moment.date(), tz)) is not None:
        return moment + ahead
    return moment.astimezone(tz)


def local_day(moment: datetime, tz: ZoneInfo) -> date:
    return _local(moment, tz).date()


def local_hour(moment: datetime, tz: ZoneInfo) -> int:
    return moment.astimezone(tz).hour


def local_time(moment: datetime, tz: ZoneInfo) -> time:
    return _local(moment, tz).time()


def day_start(moment: datetime, tz: ZoneInfo) -> datetime:
    """When the local day of `moment` began."""
    return instant(local_day(moment, tz), time(), tz)


def week_start(moment: datetime, tz: ZoneInfo) -> datetime:
    """When the local ISO week of `moment` began, on a Monday."""
    day = local_day(moment, tz)
    return instant(day - day.weekday() * _DAY, time(), tz)


@lru_cache(maxsize=8192)
def on_day(entered_at: datetime, day: int, at: time, tz: ZoneInfo) -> datetime:
    """The instant of local time `at` on day `day` of a journey; day 1 is the day of entry."""
    return instant(local_day(entered_at, tz) + (day - 1) * _DAY, at, tz)


def next_at(moment: datetime, at: time, tz: ZoneInfo, weekday: int | None = None) -> datetime:
    """The first instant after `moment` at which a clock in `tz` shows `at`, on that weekday.

    It may belong to the day before: Nuuk leaves out 23:00 to 24:00, so 23:30 comes after midnight.
    """
    day = local_day(moment, tz) - _DAY
    step = _DAY
    if weekday is not None:
        day += (weekday - day.weekday()) % 7 * _DAY
        step = 7 * _DAY
    while (then := instant(day, at, tz)) <= moment:
        day += step
    return then


def is_open(
    moment: datetime,
    window: Window,
    weekdays: Container[int],
    tz: ZoneInfo,
    avoid: Sequence[Window] = (),
    pack: HolidayPack | None = None,
) -> bool:
    """Whether it is one of these weekdays and no holiday, the window is open, and nothing is to be
    avoided. A weekend that is worked counts for who writes from Monday to Friday."""
    local = _local(moment, tz)
    return (
        (local.weekday() in weekdays if pack is None else _fits(local.date(), weekdays, pack))
        and window.holds(clock := local.time())
        and not (avoid and any(it.holds(clock) for it in avoid))
    )


def _fits(day: date, weekdays: Container[int], pack: HolidayPack) -> bool:
    if day in pack.worked and all(it in weekdays for it in WORKDAYS):
        return True
    return day.weekday() in weekdays and day not in pack.free


def next_open(
    moment: datetime,
    window: Window,
    weekdays: Container[int],
    tz: ZoneInfo,
    avoid: Sequence[Window] = (),
    pack: HolidayPack | None = None,
) -> datetime | None:
    """`moment` if it is open then (see `is_open`), else when it next is; None if it never is."""
    if is_open(moment, window, weekdays, tz, avoid, pack):
        return moment
    day = local_day(moment, tz)
    begins = (window.opens, *(it.closes for it in avoid))
    for _ in range(9 if pack is None else _LONGEST_HOLIDAYS):
        for then in sorted(it for at in begins for it in _instants(day, at, tz)):
            if then > moment and is_open(then, window, weekdays, tz, avoid, pack):
                return then
        day += _DAY
    return None


@lru_cache(maxsize=8192)
def _instants(day: date, at: time, tz: ZoneInfo) -> frozenset[datetime]:
    """When a clock in `tz` shows `at` on `day`: twice, if the hour comes twice."""
    first = instant(day, at, tz)
    second = datetime.combine(day, at, tz).replace(fold=1).astimezone(UTC)
    return frozenset((first, second) if second > first else (first,))


def closing(
    moment: datetime, window: Window, tz: ZoneInfo, avoid: Iterable[Window] = ()
) -> datetime:
    """When the window that is open at `moment` closes, or what is to be avoided begins; in an hour
    that comes twice, the second time once the first is over."""
    day = local_day(moment, tz)
    closes = _end(moment, day, window.closes, tz)
    for it in avoid:
        begins = _end(moment, day, it.opens, tz)
        if moment < begins < closes:
            closes = begins
    return closes


def _end(moment: datetime, day: date, at: time, tz: ZoneInfo) -> datetime:
    """When a clock shows `at` on `day`, or, that being over, shows it again; midnight ends it."""
    then = instant(day + _DAY if at == MIDNIGHT else day, at, tz)
    if then > moment:
        return then
    return datetime.combine(day, at, tz).replace(fold=1).astimezone(UTC)


def next_run(after: datetime, schedule: Schedule, tz: ZoneInfo) -> datetime:
    """The first instant after `after` that `schedule` names."""
    day = local_day(after, tz) - _DAY
    while True:
        fits = (
            schedule.unit == "day"
            or (schedule.unit == "week" and day.weekday() == schedule.on)
            or (schedule.unit == "month" and day.day == schedule.on)
        )
        if fits and (then := instant(day, schedule.time, tz)) > after:
            return then
        day += _DAY
