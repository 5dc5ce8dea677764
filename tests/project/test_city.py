"""A city at work: events in order, always the same, and a map that is the shipped one."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from orchestrator.project import city, shipped
from orchestrator.project.city import AIRPORT, CAMPUSES, CELLS, HOURLY, generate
from orchestrator.project.load import load

MORNING = datetime(2026, 3, 2, 8, tzinfo=timezone(timedelta(hours=8)))
PEOPLE = range(8613_8000_0000, 8613_8000_2000)


def test_events_come_in_the_order_in_which_they_happen_and_none_comes_twice() -> None:
    events = [it for some in generate(1, PEOPLE, MORNING, 1, 5) for it in some]
    order = [(it.at, it.source_id) for it in events]
    assert order == sorted(set(order))
    assert MORNING.timestamp() <= events[0].at
    assert events[-1].at < MORNING.timestamp() + 3600
    assert len(events) == pytest.approx(5 * 3600 * HOURLY[8], rel=0.01)


def test_the_same_seed_gives_the_same_events_and_another_one_others() -> None:
    again = [[*generate(seed, PEOPLE, MORNING, 0.1, 20)] for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


def test_by_night_there_is_less_and_whoever_is_off_only_comes_on() -> None:
    by_hour: Counter[int] = Counter()
    off: set[int | str] = set()
    for some in generate(3, PEOPLE, MORNING, 24, 0.5):
        for it in some:
            by_hour[datetime.fromtimestamp(it.at, MORNING.tzinfo).hour] += 1
            assert (it.who in off) is (it.name == "phone.on")
            if it.name == "phone.off":
                off.add(it.who)
            off -= {it.who} if it.name == "phone.on" else set()
            assert it.properties["cell"] in CELLS
    assert by_hour[4] * 10 < by_hour[18]


def test_people_are_on_campus_and_at_the_airport() -> None:
    seen = Counter(
        "campus" if it.properties["cell"] in CAMPUSES else
        "airport" if it.properties["cell"] in AIRPORT else "elsewhere"
        for some in generate(4, PEOPLE, MORNING, 2, 5) for it in some
    )  # fmt: skip
    assert seen["campus"] > 500
    assert seen["airport"] > 50


def test_many_events_come_a_thousand_at_a_time() -> None:
    sizes = [len(some) for some in generate(5, PEOPLE, MORNING, 0.001, 10_000)]
    assert max(sizes) == city.BATCH
    assert sum(sizes) == pytest.approx(36_000 * HOURLY[8], rel=0.01)


def test_the_map_is_that_of_the_shipped_programme() -> None:
    areas = load(shipped.programme()).areas
    assert areas["campuses"].cells == CAMPUSES
    assert areas["airport"].cells == AIRPORT
