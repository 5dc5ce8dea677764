"""Use is counted once per report and day, and read the same by turns, by segments and in a life on
the skipped clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.core.calendar import UTC_ZONE
from orchestrator.core.expression import Condition, subscriber_scope
from orchestrator.core.feed import EventType, Feed
from orchestrator.core.model import Subscriber
from orchestrator.core.project import Project
from orchestrator.core.usage import NOTHING, Amount, Ledger, Measure, home
from orchestrator.project import shipped
from orchestrator.project.load import load
from orchestrator.store import comparing, events, subscribers, usage
from orchestrator.store.events import NewEvent
from orchestrator.store.ids import Ids
from orchestrator.store.subscribers import NewSubscriber, subscriber_of

NOW = datetime(2026, 3, 3, 2, tzinfo=UTC)
"""The 3rd in Shanghai, the 2nd in Los Angeles: the seven days began in February."""

ZONES = ["Asia/Shanghai", "America/Los_Angeles", "Nowhere/Land", None]
CENT = Decimal("0.01")
CITIES: list[Any] = ["北京", "成都", "", 7, None]
PLANS: list[Any] = [100, 12.5, 0, -3, "100", None, True, 1e-300, 0.0001, 10**30]

FEED = Feed(
    {
        "data.used": EventType(counts={"mb": Amount("mb"), "uses": Amount(constant=1)}),
        "wifi.used": EventType(counts={"mb": Amount("mb")}),
        "call.ended": EventType(),
    },
    usage={"mb": Measure(by="city", of="plan_mb")},
)


@pytest.fixture(scope="module")
def project() -> Project:
    return replace(load(shipped.starter()), feed=FEED, timezone="Europe/Berlin")


class House:
    """A database, its people, and what was reported of them."""

    def __init__(self, url: str, project: Project) -> None:
        self.runner = asyncio.Runner()
        self.project = project
        self.connection: asyncpg.Connection = self.run(asyncpg.connect(url))
        self.ids = Ids()

    def run(self, it: Any) -> Any:
        return self.runner.run(it)

    def close(self) -> None:
        self.run(self.connection.close())
        self.runner.close()

    def empty(self) -> None:
        tables = "subscribers, addresses, events, sources, usage_months, usage_regions"
        self.run(self.connection.execute(f"TRUNCATE {tables}, usage_comparisons, lives CASCADE"))

    def people(self, random: Random, count: int = 6) -> list[Subscriber]:
        news = []
        for number in range(count):
            said = {"city": random.choice(CITIES), "plan_mb": random.choice(PLANS)}
            said |= {"usage": random.choice([None, 7, {"mb_7d": 99, "minutes": 3}])}
            kept = {name: value for name, value in said.items() if random.random() < 0.8}
            zone = random.choice(ZONES)
            news.append(NewSubscriber(f"p{number}", timezone=zone, attributes=kept))
        self.run(subscribers.upsert(self.connection, news, NOW - timedelta(days=99), "en"))
        rows = self.run(self.connection.fetch("SELECT * FROM subscribers ORDER BY id"))
        return [subscriber_of(row) for row in rows]

    def report(self, news: list[NewEvent], now: datetime) -> None:
        async def add() -> None:
            async with self.connection.transaction():
                await events.add(self.connection, news, now, self.ids, self.project)

        self.run(add())

    def loaded(self, people: list[Subscriber], now: datetime) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = self.run(
            usage.load(self.connection, people, self.project, now)
        )
        return found

    def compare(self, now: datetime) -> None:
        self.run(comparing.compare(self.connection, self.project, now))

    def chosen(self, condition: str, now: datetime) -> set[int]:
        """Whom a segment brings in."""
        test = Condition.parse(condition)
        sql = test.sql(1)
        people, more = self.run(
            usage.people(self.connection, test.names(), self.project, now, 1 + len(sql.parameters))
        )
        query = f"SELECT s.id FROM ({people}) s WHERE {sql.text}"
        return {row[0] for row in self.run(self.connection.fetch(query, *sql.parameters, *more))}


@pytest.fixture
def house(database_url: str, project: Project) -> Iterator[House]:
    opened = House(database_url, project)
    yield opened
    opened.close()


def event(who: Subscriber, name: str, at: datetime, source_id: str, **properties: Any) -> NewEvent:
    return NewEvent(who.id, who.shard, "event", name, properties, at, "test", source_id)


def reports(random: Random, people: list[Subscriber]) -> list[NewEvent]:
    """Batches of what networks say: late, twice, of tomorrow, and without a number."""
    values = [1, 5.3, 0.1, 0.2, 1e-7, 0.0000005, 0, -4, 10**12, 1e300, None, "7", True, 999999.25]
    made: list[NewEvent] = []
    for number in range(random.randint(0, 40)):
        if made and random.random() < 0.2:
            again = random.choice(made)
            made.append(replace(again, properties={"mb": 5}))
            continue
        late = timedelta(hours=random.choice([0, 1, 20, 26, 70, 150, 200, 800, -5, -30]))
        late += timedelta(minutes=random.randint(-60, 60))
        name = random.choice(["data.used", "data.used", "wifi.used", "call.ended"])
        who = random.choice(people)
        made.append(event(who, name, NOW - late, f"r{number}", mb=random.choice(values)))
    return made


def by_hand(
    person: Subscriber, made: list[NewEvent], measure: str, now: datetime
) -> tuple[list[float], bool]:
    """What a patient person would find: today's, the seven days' and the month's sum, and whether
    there was anything in this month or the last."""
    named = person.timezone
    zone = ZoneInfo(named if named and named in ZONES[:2] else "Europe/Berlin")
    today = now.astimezone(zone).date()
    sums, counted = [Fraction(0)] * 3, False
    last = today.replace(day=1) - timedelta(days=1)
    seen: set[str] = set()
    for it in made:
        known = it.source_id in seen
        seen.add(it.source_id)
        if known or it.subscriber_id != person.id:
            continue
        mb = it.properties["mb"]
        if measure == "uses":
            amount = Fraction(it.name == "data.used")
        elif type(mb) not in (int, float) or not 0 <= mb < 10**12 or it.name == "call.ended":
            continue
        else:
            amount = round(Fraction(repr(mb)) * 10**6) / Fraction(10**6)
        day = min(it.at, NOW).astimezone(zone).date()
        months = ((it.year, it.month) for it in (last, today))
        counted |= amount > 0 and (day.year, day.month) in months
        sums[0] += amount * (day == today)
        sums[1] += amount * (today - timedelta(days=6) <= day <= today)
        sums[2] += amount * ((day.year, day.month) == (today.year, today.month))
    return [float(it) for it in sums], counted


def test_counters_are_the_sums_of_what_was_reported_once(house: House) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32))
    def agree(seed: int) -> None:
        random = Random(seed)
        house.empty()
        people = house.people(random)
        made = reports(random, people)
        rest = [*made]
        while rest:
            some = random.randint(1, 15)
            house.report(rest[:some], NOW)
            rest = rest[some:]
        for days in (0, 1, 4, 5, 9, 28, 31, 60):
            now = NOW + timedelta(days=days)
            found = house.loaded(people, now)
            for person in people:
                for measure in ("mb", "uses"):
                    scope = subscriber_scope(person, usage=found[person.id])["usage"]
                    said = [scope[f"{measure}_{it}"] for it in ("today", "7d", "month")]
                    expected, counted = by_hand(person, made, measure, now)
                    imported = person.attributes.get("usage")
                    if measure == "mb" and not counted and isinstance(imported, dict):
                        expected[1] = imported["mb_7d"]
                    assert said == expected, (person, measure, days)

    agree()


def test_a_life_on_the_skipped_clock_counts_the_same(house: House, project: Project) -> None:
    for seed in range(10):
        random = Random(seed)
        house.empty()
        people = house.people(random)
        made = reports(random, people)
        house.report(made, NOW)
        found = house.loaded(people, NOW)
        for person in people:
            ledger, seen = Ledger(), set[str]()
            zone = home(person.timezone, project.timezone)
            for it in made:
                if it.subscriber_id == person.id and it.source_id not in seen:
                    amounts = FEED.counting.get(it.name, {})
                    ledger.take(amounts, it.properties, it.at, NOW, zone)
                seen.add(it.source_id)
            others = {"mb_mean", "mb_rank", "mb_percentile"}
            expected = {it: found[person.id][it] for it in found[person.id].keys() - others}
            assert ledger.figures(FEED.measures, person.attributes, NOW, zone) == expected


def test_places_are_those_of_a_list_sorted_by_hand(house: House) -> None:
    for seed in range(8):
        random = Random(seed)
        house.empty()
        people = house.people(random, 40)
        house.report(reports(random, people), NOW)
        house.compare(NOW)
        found = house.loaded(people, NOW)
        months = {it.id: Decimal(repr(found[it.id]["mb_month"])) for it in people}
        for person in people:
            said = {it: found[person.id][f"mb_{it}"] for it in ("mean", "rank", "percentile")}
            region = person.attributes.get("city")
            if not isinstance(region, str):
                assert set(said.values()) == {None}
                continue
            others = [months[it.id] for it in people if it.attributes.get("city") == region]
            mine = months[person.id]
            assert said == {
                "mean": float((sum(others, NOTHING) / len(others)).quantize(CENT, ROUND_HALF_UP)),
                "rank": 1 + sum(it > mine for it in others),
                "percentile": 100 * sum(it < mine for it in others) // len(others),
            }


CONDITIONS = [
    *("usage.mb_today > 0", "usage.mb_7d >= 5.3", "usage.mb_7d == 0", "usage.mb_month > 999999"),
    *(
        "usage.mb_share >= 0.8 and usage.mb_share < 1",
        "usage.mb_share is none",
        "usage.uses_7d > 1",
    ),
    *("usage.mb_month < usage.mb_mean", "usage.mb_rank <= 2", "usage.mb_percentile >= 50"),
    *("subscriber.usage.mb_7d > 1", "usage.minutes == 3", "usage.mb_7d + usage.minutes > 3"),
    *(
        "'mb_share' in subscriber.usage",
        "usage.mb_percentile is none",
        "subscriber.usage|length > 8",
    ),
    "usage.mb_share * 3 == usage.mb_today / 7",
]


def test_segments_and_predicates_agree_about_what_was_counted(house: House) -> None:
    for seed in range(12):
        random = Random(seed)
        house.empty()
        people = house.people(random, 20)
        house.report(reports(random, people), NOW)
        if seed % 3:
            house.compare(NOW)
        for days in (0, 3, 29):
            now = NOW + timedelta(days=days)
            found = house.loaded(people, now)
            for condition in CONDITIONS:
                test = Condition.parse(condition)
                scopes = {it.id: subscriber_scope(it, usage=found[it.id]) for it in people}
                expected = {who for who, scope in scopes.items() if test.holds(scope)}
                assert house.chosen(condition, now) == expected, (condition, days)


def test_a_share_is_never_reached_too_early() -> None:
    ledger, measures = Ledger(), {"mb": Measure(of="plan_mb")}
    noon = datetime(2026, 3, 3, 12, tzinfo=UTC)
    ledger.take({"mb": Amount("mb")}, {"mb": 79.999999}, noon, noon, UTC_ZONE)
    assert ledger.figures(measures, {"plan_mb": 100}, noon, UTC_ZONE)["mb_share"] == 0.7999
    ledger.take({"mb": Amount("mb")}, {"mb": 0.000001}, noon, noon, UTC_ZONE)
    assert ledger.figures(measures, {"plan_mb": 100}, noon, UTC_ZONE)["mb_share"] == 0.8
