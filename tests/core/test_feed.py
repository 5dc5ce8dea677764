"""What feeds bring: events of declared types, and the numbers they happen to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orchestrator.core.feed import EventType, Feed, PropertyKind, Setting
from orchestrator.core.telephone import number_of

CALL = EventType(
    keep="matching",
    properties={"peer": "text", "seconds": "number", "note": "text", "any": "any"},
    may_lack=frozenset({"note", "any"}),
    sets={"cell": Setting("cell"), "power": Setting(value="on")},
)


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({"peer": "+86138", "seconds": 3}, ""),
        ({"peer": "+86138", "seconds": 3.5, "note": "x", "any": [1], "more": 1}, ""),
        ({"peer": "+86138"}, "seconds is missing"),
        ({"peer": "+86138", "seconds": None}, "seconds is missing"),
        ({"peer": 86138, "seconds": 3}, "peer is not a text"),
        ({"peer": "+86138", "seconds": True}, "seconds is not a number"),
        ({"peer": "+86138", "seconds": 3, "note": 5}, "note is not a text"),
    ],
)
def test_an_event_tells_what_it_is_declared_to(properties: dict[str, Any], fault: str) -> None:
    assert CALL.fault(properties) == fault


def test_an_event_that_declares_nothing_may_tell_anything() -> None:
    assert EventType().fault({"x": [1]}) == ""


def test_an_event_sets_a_property_or_a_constant() -> None:
    assert CALL.sets["cell"].of({"cell": "a1"}) == "a1"
    assert CALL.sets["cell"].of({}) is None
    assert CALL.sets["power"].of({}) == "on"


def test_a_feed_knows_what_only_triggers_hear_and_what_is_known() -> None:
    feed = Feed({"call.ended": CALL, "order.placed": EventType()})
    assert feed.matching == {"call.ended"}
    assert feed.state == {"cell", "power"}
    assert set(feed.setting) == {"call.ended"}


@pytest.mark.parametrize(
    "value", ["+8613800138000", "8613800138000", 8613800138000, 8613800138000.0,
              Decimal("8613800138000")],
)  # fmt: skip
def test_a_number_is_the_same_however_it_is_written(value: Any) -> None:
    assert number_of(value) == 8613800138000


@pytest.mark.parametrize(
    "value",
    [
        *("", "+", "++1", "0138", "138 0013", "1380013x", "１３８", "1" * 16, 0, -1, 1.5, 10**15),
        *(True, None, [1], {}, float("inf"), float("nan")),
    ],
)
def test_what_is_no_number_is_none(value: Any) -> None:
    assert number_of(value) is None


@pytest.mark.parametrize("kind", ["text", "number", "boolean", "list", "any"])
@pytest.mark.parametrize("may_lack", [False, True])
def test_many_events_fit_where_none_is_at_fault(kind: PropertyKind, may_lack: bool) -> None:
    lacking = frozenset(["it"]) if may_lack else frozenset[str]()
    declared = EventType(properties={"it": kind}, may_lack=lacking)
    values: tuple[Any, ...] = ("a", 1, 1.5, True, [], {}, None)
    said: list[dict[str, Any]] = [{}, *({"it": value} for value in values)]
    fine = [it for it in said if not declared.fault(it)]
    assert declared.fits(fine)
    assert [declared.fits([*fine, it]) for it in said] == [not declared.fault(it) for it in said]
