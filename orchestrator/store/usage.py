"""What was counted of subscribers' use, by local day; read for turns and for segments."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
from msgspec import Struct

from orchestrator.core import calendar
from orchestrator.core.model import Subscriber
from orchestrator.core.usage import (
    NOTHING,
    WEEK_DAYS,
    Counts,
    Measure,
    Standing,
    day_of,
    figures,
    home,
)

if TYPE_CHECKING:
    from orchestrator.core.project import Project

# By whose clock these subscribers live.
ZONES = "SELECT id, timezone FROM subscribers WHERE id = ANY($1::bigint[])"

# All zones that subscribers live in.
ALL_ZONES = "SELECT DISTINCT coalesce(timezone, '') FROM subscribers"

# So much more was counted on a day, for these subscribers and measures; no two of the same month,
# so that each row is touched once. The array begins at the day it holds, which says where to add
# it. Their order is the same for all who write at once, so that none waits for another in a circle.
COUNT = """
INSERT INTO usage_months AS u (subscriber_id, measure, month, total, days)
SELECT g.subscriber_id, g.measure, g.month, g.total, g.days::numeric[]
FROM unnest($1::bigint[], $2::text[], $3::date[], $4::numeric[], $5::text[])
    AS g (subscriber_id, measure, month, total, days)
ORDER BY subscriber_id, measure, month
ON CONFLICT (subscriber_id, measure, month) DO UPDATE SET
    total = u.total + excluded.total,
    days[array_lower(excluded.days, 1)] =
        coalesce(u.days[array_lower(excluded.days, 1)], 0) + excluded.total
"""

_TODAY = "coalesce({n}m.days[c.day], 0)"
_WEEK = " + ".join(
    (
        *(f"coalesce({{n}}m.days[c.day - {back}], 0)" for back in range(WEEK_DAYS)),
        *(f"coalesce({{n}}p.days[c.since + {on}], 0)" for on in range(WEEK_DAYS - 1)),
    )
)
_MONTH = "coalesce({n}m.total, 0)"
_SEEN = "({n}m.month IS NOT NULL OR {n}p.month IS NOT NULL)"
_PLACED = "width_bucket(coalesce({n}m.total, 0)::float8, {n}r.totals)"
_ABOVE = f"coalesce({{n}}r.above[{_PLACED}], {{n}}r.people)"
_BELOW = f"coalesce({{n}}r.below[{_PLACED}], 0)"
_JOINS = """
LEFT JOIN usage_months {n}m
    ON {n}m.subscriber_id = {who} AND {n}m.measure = {measure} AND {n}m.month = c.month
LEFT JOIN usage_months {n}p ON {n}p.subscriber_id = {who} AND {n}p.measure = {measure}
    AND {n}p.month = c.before"""
_PLACE = """
LEFT JOIN usage_regions {n}r
    ON {n}r.measure = {measure} AND {n}r.month = c.month AND {n}r.region = {region}"""

# What was counted of each of these subscribers and measures: on the day that it is for them, in the
# days up to it, some of them in the month before, and in its month; and how that stands in their
# region.
LOAD = f"""
SELECT g.who, g.measure, {_SEEN} AS counted, {_TODAY} AS today, {_WEEK} AS week, {_MONTH} AS month,
    r.people, r.mean, {_ABOVE} AS above, {_BELOW} AS below
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::integer[]) AS g (who, measure, region, day)
JOIN unnest($5::integer[], $6::date[], $7::integer[], $8::date[], $9::integer[])
    AS c (number, month, day, before, since) ON c.number = g.day
{_JOINS}{_PLACE}
""".format(n="", who="g.who", measure="g.measure", region="g.region")

# What was counted of these subscribers, by day, in the month of a day and later.
BY_DAY = """
SELECT u.subscriber_id, u.measure, u.month + day - 1 AS day, u.days[day] AS amount
FROM usage_months u, generate_subscripts(u.days, 1) AS day
WHERE u.subscriber_id = ANY($1::bigint[]) AND u.month >= date_trunc('month', $2::date)
    AND u.days[day] > 0
ORDER BY u.subscriber_id, u.measure, u.month, day
"""

# Everyone as segments see them, with their points.
PEOPLE = """
SELECT s.*, coalesce(a.balance_points, 0) AS balance_points,
       coalesce(a.earned_points, 0) AS earned_points
FROM subscribers s LEFT JOIN accounts a ON a.subscriber_id = s.id
"""

# After its SELECT, the same, what was counted of them standing among what is known of them. It is
# filled in with the measures that a condition asks for: those of whom nothing was counted go below
# what an import said, others above.
_COUNTED = """
       s.id, s.key, s.shard, s.locale, s.timezone, s.tags, s.addresses, s.created_at,
       s.attributes || jsonb_build_object('usage', {below} ||
           CASE jsonb_typeof(s.attributes -> 'usage') WHEN 'object' THEN s.attributes -> 'usage'
               ELSE '{{}}' END || {above}) AS attributes,
       coalesce(a.balance_points, 0) AS balance_points,
       coalesce(a.earned_points, 0) AS earned_points
FROM subscribers s
JOIN unnest({calendar}) AS c (zone, month, day, before, since)
    ON c.zone = coalesce(s.timezone, '')
LEFT JOIN accounts a ON a.subscriber_id = s.id{joins}
"""
_SHARE = """CASE WHEN jsonb_typeof(s.attributes -> {of}) = 'number' THEN CASE
    WHEN (s.attributes -> {of})::numeric >= 0.000001
    THEN div({month} * 10000, (s.attributes -> {of})::numeric) / 10000 END END"""
_SAID = """
CROSS JOIN LATERAL (SELECT jsonb_build_object({pairs}) AS it OFFSET 0) {n}said"""
_REGION = "CASE jsonb_typeof(s.attributes -> {by}) WHEN 'string' THEN s.attributes ->> {by} END"


class Row(Struct, frozen=True, order=True):
    """So much was counted of a measure for a subscriber on one of their days."""

    subscriber_id: int
    measure: str
    day: date
    amount: Decimal


class Told(Struct, frozen=True):
    """An event, as far as it may count: whose it is, its name, when, and its properties."""

    subscriber_id: int
    name: str
    at: datetime
    properties: Any


async def count(
    connection: asyncpg.Connection, happened: Iterable[Told], project: Project, now: datetime
) -> None:
    """What these events count has been added to the days they happened on, in the caller's
    transaction; whoever calls it twice for one event counts it twice."""
    counting = project.feed.counting
    counted = [it for it in happened if it.name in counting]
    if not counted:
        return
    who = {it.subscriber_id for it in counted}
    zones = {
        row["id"]: home(row["timezone"], project.timezone)
        for row in await connection.fetch(ZONES, [*who])
    }
    sums: dict[tuple[int, str, date], Decimal] = {}
    for it in counted:
        if it.subscriber_id in zones:
            day = day_of(it.at, now, zones[it.subscriber_id])
            for measure, amount in counting[it.name].items():
                key = it.subscriber_id, measure, day
                sums[key] = sums.get(key, NOTHING) + amount.of(it.properties)
    await _add(connection, [Row(*key, total) for key, total in sums.items() if total])


async def _add(connection: asyncpg.Connection, rows: Iterable[Row]) -> None:
    """One statement, and one more if somebody's events are of several days of a month."""
    lots: list[list[Row]] = []
    met: dict[tuple[int, str, int, int], int] = {}
    for row in sorted(rows):
        month = row.subscriber_id, row.measure, row.day.year, row.day.month
        lot = met[month] = met.get(month, -1) + 1
        if lot == len(lots):
            lots.append([])
        lots[lot].append(row)
    for lot_rows in lots:
        await connection.execute(
            COUNT,
            [it.subscriber_id for it in lot_rows],
            [it.measure for it in lot_rows],
            [it.day.replace(day=1) for it in lot_rows],
            [it.amount for it in lot_rows],
            [f"[{it.day.day}:{it.day.day}]={{{it.amount}}}" for it in lot_rows],
        )


async def load(
    connection: asyncpg.Connection, people: Sequence[Subscriber], project: Project, now: datetime
) -> dict[int, dict[str, Any]]:
    """What conditions see of what was counted of each of these people, in one query; nothing if
    the project counts nothing."""
    measures = project.feed.measures
    if not measures or not people:
        return {}
    days = _Days(project.timezone, now)
    numbers = [days.number(it.timezone) for it in people]
    by_id = {it.id: it for it in people}
    asked = [
        (it.id, name, measure.region(it.attributes), number)
        for name, measure in measures.items()
        for it, number in zip(people, numbers, strict=True)
    ]
    rows = await connection.fetch(LOAD, *map(list, zip(*asked, strict=True)), *days.columns())
    found: dict[int, dict[str, Any]] = {it.id: {} for it in people}
    for who, name, counted, today, week, month, size, mean, above, below in rows:
        standing = None if size is None else Standing(size, mean, above, below)
        counts = Counts(counted, today, week, month, standing)
        found[who] |= figures(name, measures[name], counts, by_id[who].attributes)
    return found


async def by_day(
    connection: asyncpg.Connection, ids: Sequence[int], since: date
) -> dict[int, tuple[tuple[str, date, Decimal], ...]]:
    """What was counted of each of these people, by measure and day, since the beginning of the
    month of that day."""
    found: dict[int, list[tuple[str, date, Decimal]]] = {}
    for who, measure, day, amount in await connection.fetch(BY_DAY, ids, since):
        found.setdefault(who, []).append((measure, day, amount))
    return {who: tuple(counted) for who, counted in found.items()}


class _Days:
    """The days that it is now for people in different zones, numbered."""

    def __init__(self, default: str, now: datetime) -> None:
        self._default = default
        self._now = now
        self._zones: dict[str | None, int] = {}
        self._days: list[date] = []

    def number(self, timezone: str | None) -> int:
        """The number of the day that it is in a zone."""
        number = self._zones.get(timezone)
        if number is None:
            day = calendar.local_day(self._now, home(timezone, self._default))
            if day not in self._days:
                self._days.append(day)
            number = self._zones[timezone] = self._days.index(day)
        return number

    def day(self, timezone: str | None) -> date:
        return self._days[self.number(timezone)]

    def columns(self) -> list[list[Any]]:
        """Number, month, day of it, the month before, and the day of that on which the seven days
        began."""
        return [list(range(len(self._days))), *_columns(self._days)]


def _columns(days: Sequence[date]) -> list[list[Any]]:
    firsts = [day.replace(day=1) for day in days]
    befores = [(first - timedelta(days=1)).replace(day=1) for first in firsts]
    lengths = [monthrange(before.year, before.month)[1] for before in befores]
    since = [length + day.day - (WEEK_DAYS - 1) for day, length in zip(days, lengths, strict=True)]
    return [firsts, [day.day for day in days], befores, since]


async def people(
    connection: asyncpg.Connection,
    names: Collection[str],
    project: Project,
    now: datetime,
    first_parameter: int,
) -> tuple[str, list[Any]]:
    """A query of everyone as a condition sees them that uses these dotted names, and its
    parameters, numbered from `first_parameter`."""
    asked = {
        name: wanted
        for name, measure in project.feed.measures.items()
        if (wanted := _wanted(measure.names(name), names))
    }
    if not asked:
        return PEOPLE, []
    days = _Days(project.timezone, now)
    zones = [row[0] for row in await connection.fetch(ALL_ZONES)]
    parameters: list[Any] = [zones, *_columns([days.day(zone) for zone in zones])]
    types = ("text[]", "date[]", "integer[]", "date[]", "integer[]")
    marks = [f"${first_parameter + n}::{kind}" for n, kind in enumerate(types)]
    joins, below, above = "", [], []

    def parameter(value: str) -> str:
        parameters.append(value)
        return f"${first_parameter + len(parameters) - 1}::text"

    for number, (name, wanted) in enumerate(asked.items()):
        said = {"n": f"u{number}", "who": "s.id", "measure": parameter(name)}
        joins += _JOINS.format(**said) + _told(
            name, project.feed.measures[name], wanted, said, parameter
        )
        seen, it = _SEEN.format(**said), f"{said['n']}said.it"
        below.append(f"CASE WHEN {seen} THEN '{{}}' ELSE {it} END")
        above.append(f"CASE WHEN {seen} THEN {it} ELSE '{{}}' END")
    columns = _COUNTED.format(
        below=" || ".join(below), above=" || ".join(above), calendar=", ".join(marks), joins=joins
    )
    return f"SELECT {columns}", parameters


def _wanted(measured: Sequence[str], names: Collection[str]) -> list[str]:
    """Of a measure's names under `usage` those among the dotted names; all, if they name the
    whole of it."""
    if "subscriber.usage" in names:
        return [*measured]
    return [it for it in measured if f"usage.{it}" in names or f"subscriber.usage.{it}" in names]


def _told(
    name: str,
    measure: Measure,
    wanted: Sequence[str],
    said: Mapping[str, str],
    parameter: Callable[[str], str],
) -> str:
    """What joins the wanted figures of a measure, as a jsonb object."""
    month, joins = _MONTH.format(**said), ""
    values = {
        f"{name}_today": _TODAY.format(**said),
        f"{name}_7d": _WEEK.format(**said),
        f"{name}_month": month,
    }
    if f"{name}_share" in wanted:
        values[f"{name}_share"] = _SHARE.format(month=month, of=parameter(measure.of))
    if any(f"{name}_{it}" in wanted for it in ("mean", "rank", "percentile")):
        region = _REGION.format(by=parameter(measure.by))
        joins = _PLACE.format(region=region, **said)
        above, below = _ABOVE.format(**said), _BELOW.format(**said)
        size = f"{said['n']}r.people"
        values |= {
            f"{name}_mean": f"{said['n']}r.mean",
            f"{name}_rank": f"least({above} + 1, {size})",
            f"{name}_percentile": f"100 * {below} / {size}",
        }
    pairs = (f"{parameter(it)}, ({values[it]})::float8" for it in wanted)
    return joins + _SAID.format(pairs=", ".join(pairs), **said)
