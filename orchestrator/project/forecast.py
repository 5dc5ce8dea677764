"""What a simulation says: its counts, put in order for people and programs. The same audience,
project and seed always give the same forecast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct, to_builtins

from orchestrator.core import calendar
from orchestrator.core.model import word_of
from orchestrator.core.project import Project
from orchestrator.project import carriers
from orchestrator.project.carriers import Series
from orchestrator.project.tally import Tally, Told

Reasons = dict[str, int]


class Peak(Struct, frozen=True):
    """The most at once: how many, and when it was first so."""

    count: int
    at: datetime | None


class Load(Struct, frozen=True):
    """What one channel's carrier is given. `units` are parts of SMS, else messages; `moved` came
    from another channel that failed; `cost` is the units at the project's price. `rate_per_s` is
    the rate configured for it, at which the unluckiest message waits `wait_s`."""

    messages: int
    units: int
    moved: int
    failed: int
    cost: Decimal
    per_day: list[int]
    per_hour: list[int]
    peak_second: Peak
    peak_minute: Peak
    rate_per_s: float | None = None
    wait_s: int | None = None


class Goal(Struct, frozen=True):
    """How many of those who entered got there."""

    of: int
    reached: int

    @property
    def share(self) -> float:
        return self.reached / self.of if self.of else 0.0


class Fate(Struct, frozen=True):
    """One journey: who came in and went, and what became of its messages.

    `wanted` = `sent` + withheld + those that still wait at the end + those that were `overtaken`
    (their subscriber left before they could go). `held` were put off at least once; `late_h` is by
    how much those that went afterwards were late, in hours, on average. `held_by` says whose
    messages kept its own back, how often; `late_by_h` how many hours they cost it, all in all.
    `lost`: no channel took them. `pace_wait_s`: how long its pace made the unluckiest wait.
    `absent` says why nobody came in, '' if somebody did or was inside before.
    """

    inside: int
    entered: int
    control: int
    finished: int
    left: Reasons
    wanted: int
    sent: int
    held: int
    waiting: int
    overtaken: int
    lost: int
    late_h: float
    put_off: Reasons
    withheld: Reasons
    held_by: Reasons
    late_by_h: dict[str, float]
    goal: Goal | None = None
    control_goal: Goal | None = None
    pace_wait_s: int | None = None
    absent: str = ""


class Points(Struct, frozen=True):
    """Points: what was owned at first, what changed, and what is owed at the end of each day."""

    before: int
    issued: int
    spent: int
    expired: int
    by_reason: Reasons
    liability: list[int]


class Demand(Struct, frozen=True):
    """One reward: how many were bought, of so many in stock. Nobody in a simulation takes the last
    one from somebody else: more than the stock means that it would be sold out."""

    redeemed: int
    stock: int


class Forecast(Struct, frozen=True):
    """The whole. Rows of numbers are day by day from `start`, or hour by hour of the subscribers'
    clocks. `broken` are people whose life could not be decided to its end, by reason."""

    project: str
    people: int
    start: date
    days: int
    seed: int
    decisions: int
    messages: int
    answers: int
    replies: int
    opt_outs: int
    opt_ins: int
    currency: str
    cost: Decimal
    per_day: list[int]
    put_off_per_day: list[int]
    withheld_per_day: list[int]
    replies_per_day: list[int]
    opt_outs_per_day: list[int]
    put_off: Reasons
    withheld: Reasons
    channels: dict[str, Load]
    journeys: dict[str, Fate]
    points: Points
    rewards: dict[str, Demand]
    broken: Reasons

    def as_json(self) -> dict[str, Any]:
        """For programs: amounts are texts, instants ISO."""
        return dict(to_builtins(self))


def forecast(
    tally: Tally,
    project: Project,
    begin: datetime,
    days: int,
    seed: int,
    rates: Mapping[str, float] | None = None,
    absent: Mapping[str, str] | None = None,
) -> Forecast:
    """What the tally of a simulation of these days says. `rates`: messages a second, by channel;
    `absent`: why nobody came into a journey, if nobody did."""
    zone = calendar.zone(project.timezone) or calendar.UTC_ZONE
    channels, waits = _channels(tally, project, begin, days, rates or {})
    journeys = {
        name: _fate(tally, name, project, waits.get(name), (absent or {}).get(name, ""))
        for name in sorted({*project.journeys, *(name for name, _ in tally.journeys)})
    }

    def daily(name: str) -> list[int]:
        return [tally.days[name, day] for day in range(days)]

    return Forecast(
        project=project.name,
        people=tally.people,
        start=calendar.local_day(begin, zone),
        days=days,
        seed=seed,
        decisions=tally.decisions,
        messages=sum(it.messages for it in channels.values()),
        answers=tally.answers,
        replies=tally.replies,
        opt_outs=sum(daily("opt_outs")),
        opt_ins=sum(daily("opt_ins")),
        currency=project.prices.currency,
        cost=sum((it.cost for it in channels.values()), Decimal()),
        per_day=[sum(it) for it in zip(*(c.per_day for c in channels.values()), strict=True)]
        or [0] * days,
        put_off_per_day=daily("put_off"),
        withheld_per_day=daily("withheld"),
        replies_per_day=daily("replies"),
        opt_outs_per_day=daily("opt_outs"),
        put_off=_most(_summed(tally.put_off)),
        withheld=_most(_summed(tally.withheld)),
        channels=channels,
        journeys=journeys,
        points=_points(tally, days),
        rewards={
            name: Demand(tally.rewards[name, "redeemed"], reward.stock)
            for name, reward in project.rewards.items()
        },
        broken=_most(tally.broken),
    )


def _channels(
    tally: Tally, project: Project, begin: datetime, days: int, rates: Mapping[str, float]
) -> tuple[dict[str, Load], dict[str, int]]:
    """What each channel's carrier is given; and how long each pace makes wait."""
    queued: dict[str, dict[str, Series]] = {}
    for (channel, paced), series in tally.series.items():
        queued.setdefault(channel, {})[paced] = series
    loads: dict[str, Load] = {}
    waits: dict[str, int] = {}
    for channel in sorted(queued, key=lambda it: (-tally.channels[it, "messages"], it)):
        handed, waited = carriers.handed_over(queued[channel], project.paces)
        for journey, wait_s in waited.items():
            waits[journey] = max(wait_s, waits.get(journey, 0))
        (second, second_at), (minute, minute_at) = carriers.peaks(handed)
        units = tally.channels[channel, "units"]
        rate = rates.get(channel)
        loads[channel] = Load(
            messages=tally.channels[channel, "messages"],
            units=units,
            moved=tally.channels[channel, "moved"],
            failed=tally.failed[channel],
            cost=units * getattr(project.prices, word_of(channel)).amount,
            per_day=[tally.days[channel, day] for day in range(days)],
            per_hour=[tally.hours[channel, hour] for hour in range(24)],
            peak_second=Peak(second, begin + timedelta(seconds=second_at)),
            peak_minute=Peak(minute, begin + timedelta(seconds=minute_at)),
            rate_per_s=rate,
            wait_s=carriers.longest_wait(handed, rate) if rate else None,
        )
    return loads, waits


def _fate(tally: Tally, name: str, project: Project, pace_wait_s: int | None, absent: str) -> Fate:
    it = {what: count for (journey, what), count in tally.journeys.items() if journey == name}
    journey = project.journeys.get(name)
    has_goal = journey is not None and journey.goal is not None
    control = it.get("control", 0)
    late = it.get("late", 0)
    empty = not any(it.get(what, 0) for what in ("inside", "entered", "control"))
    return Fate(
        inside=it.get("inside", 0),
        entered=it.get("entered", 0),
        control=control,
        finished=it.get("finished", 0),
        left=_of(tally.left, name),
        wanted=it.get("wanted", 0),
        sent=it.get("sent", 0),
        held=it.get("held", 0),
        waiting=it.get("waiting", 0),
        overtaken=it.get("overtaken", 0),
        lost=it.get("lost", 0),
        late_h=round(it.get("late_s", 0) / late / 3600, 2) if late else 0.0,
        put_off=_of(tally.put_off, name),
        withheld=_of(tally.withheld, name),
        held_by=_of(tally.held_by, name),
        late_by_h={by: round(s / 3600, 2) for by, s in _of(tally.late_s, name).items()},
        goal=Goal(it.get("entered", 0), it.get("goal", 0)) if has_goal else None,
        control_goal=Goal(control, it.get("control_goal", 0)) if has_goal and control else None,
        pace_wait_s=pace_wait_s,
        absent=absent if empty else "",
    )


def _points(tally: Tally, days: int) -> Points:
    before = owned = tally.days["owned", 0]
    liability = []
    for day in range(days):
        owned += tally.days["issued", day] - tally.days["spent", day] - tally.days["expired", day]
        liability.append(owned)
    sums = {
        what: sum(tally.days[what, day] for day in range(days))
        for what in ("issued", "spent", "expired")
    }
    return Points(before, **sums, by_reason=_most(_reasons(tally.reasons)), liability=liability)


def _reasons(reasons: Mapping[Told, int]) -> dict[str, int]:
    return {f"{what}: {reason}": points for (what, reason), points in reasons.items()}


def _summed(counts: Mapping[Told, int]) -> dict[str, int]:
    """By what was counted, over all journeys."""
    summed: dict[str, int] = {}
    for (_, what), count in counts.items():
        summed[what] = summed.get(what, 0) + count
    return summed


def _of(counts: Mapping[Told, int], name: str) -> Reasons:
    return _most({what: n for (journey, what), n in counts.items() if journey == name})


def _most(counts: Mapping[str, int]) -> Reasons:
    """The most frequent first; of equals in the order of the alphabet."""
    return dict(sorted(counts.items(), key=lambda it: (-it[1], it[0])))


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, float | Decimal]]:
    """Each single number of a forecast, named by its path: `journeys.seven-days.sent`. Rows of
    numbers are left out, their sums stand beside them."""
    if isinstance(value, Struct):
        value = {field: getattr(value, field) for field in value.__struct_fields__}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield name, value


class Difference(Struct, frozen=True):
    """One number before and after; what is not there is none."""

    name: str
    before: float | Decimal
    after: float | Decimal

    @property
    def change(self) -> str:
        """`+12 %`, `-3 %`, `new`, `gone`, or '' for what stayed."""
        if self.before == self.after:
            return ""
        if not self.before:
            return "new"
        if not self.after:
            return "gone"
        share = (float(self.after) - float(self.before)) / abs(float(self.before))
        return f"{share:+.1%}".replace("%", " %")


def differences(before: Forecast, after: Forecast) -> list[Difference]:
    """Every number that is in one of two forecasts, in the order of the first."""
    old, new = dict(numbers(before)), dict(numbers(after))
    return [
        Difference(name, old.get(name, 0), new.get(name, 0)) for name in dict.fromkeys([*old, *new])
    ]
