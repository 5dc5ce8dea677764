"""Ids are in the order in which they were drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.store.ids import Ids, instant_of

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def test_what_is_drawn_for_one_instant_is_in_order_also_when_the_counter_begins_again() -> None:
    ids = Ids()
    drawn = [ids.draw(NOON) for _ in range(10_000)]
    assert drawn == sorted(set(drawn))
    assert instant_of(drawn[-1]) - NOON < timedelta(milliseconds=5)


def test_a_later_instant_has_later_ids_and_an_earlier_one_earlier_ones() -> None:
    ids = Ids()
    second = timedelta(seconds=1)
    assert ids.draw(NOON - second) < ids.draw(NOON) < ids.draw(NOON + second)
    assert instant_of(ids.draw(NOON)) == NOON


def test_what_a_statement_makes_for_many_at_once_is_never_drawn_again() -> None:
    ids = Ids()
    ids.draw(NOON)
    first, number = ids.begin(NOON)
    many = {first + (n >> 12 << 22) + (n & 0xFFF) for n in range(number, number + 10_000)}
    ids.made(10_000)
    soon = [NOON + timedelta(milliseconds=ms) for ms in range(5)]
    after = [ids.draw(moment) for moment in soon for _ in range(3_000)]
    assert len(many) == 10_000
    assert many.isdisjoint(after)
    assert after == sorted(set(after))


def test_nor_is_it_if_something_of_an_earlier_instant_is_made_meanwhile() -> None:
    ids = Ids()
    first, number = ids.begin(NOON)
    many = {first + (n >> 12 << 22) + (n & 0xFFF) for n in range(number, number + 10_000)}
    ids.made(10_000)
    earlier = ids.draw(NOON - timedelta(milliseconds=1))
    assert earlier < min(many)
    soon = [NOON + timedelta(milliseconds=ms) for ms in range(5)]
    after = [ids.draw(moment) for moment in soon for _ in range(3_000)]
    assert many.isdisjoint(after)
    assert after == sorted(set(after))
