"""The matcher of one partition: in any order of arrival, with duplicates and after crashes, it
comes to the same as looking at all events sorted."""

from __future__ import annotations

import random
from datetime import timedelta
from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.core.area import Area
from orchestrator.core.contact import ContactPolicy
from orchestrator.core.expression import Condition
from orchestrator.core.feed import EventType, Feed, Happened, Setting
from orchestrator.core.grammar import Share, Window
from orchestrator.core.journey import Entry, Journey, Unless
from orchestrator.core.matching import Changes, Fired, FiredAt, Matching, Standing, Wait
from orchestrator.core.project import PointsProgram, Project
from orchestrator.core.steps.base import EventName
from orchestrator.core.triggers import Triggers
from tests.core import matching_oracle

ANN, BO, CY = 8613800000001, 8613800000002, 8613800000003
LISTS = {"callers": {ANN, BO}, "tones": {8613900000001}}
LATE_S = 15
ZONE = "Africa/Monrovia"
"""At the beginning of 1970 it is 23:15:30 there."""

FEED = Feed(
    events={
        "call.ended": EventType(keep="matching", sets={"cell": Setting(property="cell")}),
        "location.changed": EventType(keep="matching", sets={"cell": Setting(property="cell")}),
        "phone.off": EventType(keep="matching", sets={"power": Setting(value="off")}),
        "phone.on": EventType(keep="matching", sets={"power": Setting(value="on")}),
    }
)
AREAS = {
    "campus": Area(cells=frozenset(["c1", "c2", "7", "-7"])),
    "airport": Area(cells=frozenset(["a1"]), covers=lambda lon, lat: lon > 100),
}


def entry(on: str, condition: str = "", **more: Any) -> Entry:
    """`{on: …, if: …}` with spans in seconds."""
    spans = {key: timedelta(seconds=more.pop(key)) for key in ("after", "once_per") if key in more}
    if "still" in more:
        more["still"] = Condition.parse(more["still"])
    return Entry(
        on=EventName(on),
        condition=Condition.parse(condition) if condition else None,
        **spans,
        **more,
    )


def unless(on: str, condition: str = "") -> Unless:
    return Unless(EventName(on), Condition.parse(condition) if condition else None)


def project(**entries: tuple[Entry, ...]) -> Project:
    """Journeys with these ways in."""
    journeys = {
        name: Journey(name, name, "care", enter, None, {}) for name, enter in entries.items()
    }
    return Project(
        journeys=journeys,
        versions=journeys,
        messages={},
        contact=ContactPolicy(classes={}),
        segments={},
        points=PointsProgram(),
        rewards={},
        locale="en",
        timezone=ZONE,
        feed=FEED,
        areas=AREAS,
    )


ALL = project(
    ring_back=(
        entry(
            "call.ended",
            "in_list('callers') and event.peer in list('tones') and in_area('campus', event.cell)",
            after=10,
            unless=(
                unless("phone.off"),
                unless("location.changed", "not in_area('campus', event.cell)"),
            ),
            still="state.power != 'off' and in_area('campus')",
            once_per=25,
        ),
    ),
    long_call=(
        entry("call.ended", "event.seconds >= 600 and in_list('callers')"),
        entry("call.ended", "event.seconds > 100.5 or event.peer == 'x'"),
        entry("call.ended", "event.kind in ['roaming', 'abroad'] and 60 <= event.seconds"),
    ),
    quiet=(entry("call.ended", after=8, unless=(unless("call.ended"),)),),
    seldom=(entry("phone.on", once_per=20), entry("phone.off", sample=Share(0.5))),
    by_day=(
        entry("phone.on", once_per=20, hours=Window.parse("23:15-23:16")),
        entry("phone.off", after=5, once_per=30, hours=Window.parse("23:15-23:16")),
    ),
    on_now=(entry("call.ended", "state.power == 'on' and not in_area('campus')"),),
    airport=(
        entry(
            "location.changed",
            "in_area('airport', event.cell)",
            after=12,
            still="in_area('airport') and event.cell != 'a2'",
            unless=(unless("phone.off", "state.cell == 'a1'"),),
        ),
    ),
)


def happened(name: str, who: int | str, at: float, source_id: str, **properties: Any) -> Happened:
    return Happened(name, who, at, source_id, properties)


_EVENTS = st.lists(
    st.builds(
        lambda name, who, at, cell, peer, seconds, kind: (
            name,
            who,
            at / 2,
            {"cell": cell, "peer": peer, "seconds": seconds, "kind": kind},
        ),
        st.sampled_from([*FEED.events, "call.ended", "call.ended", "unheard.of"]),
        st.sampled_from([ANN, BO, CY, "key-4"]),
        st.integers(0, 120),
        st.sampled_from(["c1", "c2", "a1", "b9", 7, [101.0, 20.0], [99.0, 20.0], None]),
        st.sampled_from(["+8613900000001", "8613900000001", "+8613900000002", "x"]),
        st.sampled_from([30, 60, 100.5, 101, 600, 900.25, None, "600"]),
        st.sampled_from(["roaming", "home", 3]),
    ),
    max_size=40,
)


def _arriving(
    events: list[tuple[str, int | str, float, dict[str, Any]]], dice: random.Random
) -> list[tuple[float, Happened]]:
    """Each with when it arrives: up to so late, some of them twice."""
    arrivals: list[tuple[float, Happened]] = []
    for number, (name, who, at, properties) in enumerate(events):
        it = Happened(name, who, at, f"s{dice.randrange(10)}-{number}", properties)
        for _ in range(1 + (dice.random() < 0.2)):
            arrivals.append((at + dice.random() * LATE_S, it))
    return sorted(arrivals, key=lambda it: it[0])


class Carrier:
    """Runs a matcher as a process does that may be killed: what is written is written at once."""

    def __init__(self, triggers: Triggers) -> None:
        self._triggers = triggers
        self._matching = Matching(triggers, LATE_S)
        self._standing, self._unwritten = Standing(), list[Fired]()
        self._entries: list[list[Happened]] = []
        self._seen = 0
        self.written: list[Fired] = []

    def arrive(self, entry: list[Happened]) -> None:
        self._entries.append(entry)
        self._unwritten += self._matching.take(entry)

    def advance(self, watermark: float) -> None:
        self._unwritten += self._matching.advance(watermark)

    def checkpoint(self) -> None:
        self._standing = after(self._standing, self._matching.changes())
        self.written += self._unwritten
        self._unwritten = []
        self._seen = len(self._entries)

    def killed(self) -> None:
        """The process died, and another one goes on from what is written."""
        self._matching = Matching(self._triggers, LATE_S, self._standing)
        watermark = self._standing.watermark
        seen = enumerate(self._entries[: self._seen])
        held = [number for number, it in seen if any(each.at > watermark for each in it)]
        resume = min(held, default=self._seen)
        self._unwritten = []
        for entry in self._entries[resume : self._seen]:
            assert self._matching.take(entry, replayed=True) == []
        for entry in self._entries[self._seen :]:
            self._unwritten += self._matching.take(entry)


def after(standing: Standing, changes: Changes) -> Standing:
    """What is written once these changes are."""
    waits: dict[Any, Wait] = {(it.journey, it.number, it.who): it for it in standing.waits}
    fired: dict[Any, FiredAt] = {(it.journey, it.number, it.who): it for it in standing.fired}
    for key in changes.ended:
        waits.pop(key, None)
    for key in changes.forgotten:
        fired.pop(key, None)
    waits |= {(it.journey, it.number, it.who): it for it in changes.waits}
    fired |= {(it.journey, it.number, it.who): it for it in changes.fired}
    states = {**standing.states, **changes.states}
    return Standing((*waits.values(),), states, (*fired.values(),), changes.watermark)


def told(fired: list[Fired]) -> list[matching_oracle.Known]:
    known = [(it.journey, it.number, it.who, it.at, it.source_id) for it in fired]
    return sorted(known, key=repr)


@settings(max_examples=120, deadline=None)
@given(_EVENTS, st.randoms(use_true_random=False), st.booleans())
def test_late_duplicated_and_reordered_events_and_crashes_come_to_the_same_as_sorted_ones(
    events: list[tuple[str, int | str, float, dict[str, Any]]], dice: random.Random, sieved: bool
) -> None:
    arrivals = _arriving(events, dice)
    triggers = Triggers(ALL, LISTS)
    carrier = Carrier(triggers)
    entry: list[Happened] = []
    for at, it in arrivals:
        if not sieved or triggers.wants(it):
            entry.append(it)
        if dice.random() < 0.6:
            carrier.arrive(entry)
            entry = []
            if dice.random() < 0.7:
                carrier.advance(at - LATE_S)
            if dice.random() < 0.3:
                carrier.checkpoint()
            if dice.random() < 0.2:
                carrier.killed()
    carrier.arrive(entry)
    carrier.killed()
    carrier.advance(1000)
    carrier.checkpoint()
    assert told(carrier.written) == matching_oracle.fired(ALL, LISTS, [it for _, it in arrivals])


def test_what_needs_the_event_alone_fires_at_once_and_once() -> None:
    matching = Matching(Triggers(ALL, LISTS), LATE_S)
    call = happened("call.ended", ANN, 100.0, "c1", seconds=600, cell="b9")
    assert [it.number for it in matching.take([call, call])] == [0, 1]
    assert matching.take([call]) == []


def test_an_event_of_the_future_that_comes_again_much_later_begins_once() -> None:
    matching = Matching(Triggers(project(j=(entry("call.ended", after=5),)), {}), LATE_S)
    call = happened("call.ended", ANN, 1000.0, "c1")
    matching.take([call])
    for watermark in range(0, 900, 10):
        matching.advance(watermark)
    matching.take([call])
    assert len(matching.advance(2000)) == 1


def test_an_event_that_is_too_late_begins_nothing_and_is_counted_once() -> None:
    matching = Matching(Triggers(ALL, LISTS), LATE_S)
    matching.advance(200)
    call = happened("call.ended", ANN, 190.0, "c1", seconds=700)
    assert matching.take([call, call]) == []
    assert matching.advance(1000) == []
    assert matching.late == 1


def test_an_event_that_is_too_late_still_ends_a_wait_and_tells_where_somebody_is() -> None:
    arrives = entry(
        "location.changed",
        "in_area('airport', event.cell)",
        after=20,
        still="state.power == 'on'",
        unless=(unless("phone.off"),),
    )
    triggers = Triggers(project(j=(arrives,)), {})
    begun = happened("location.changed", ANN, 100.0, "l1", cell="a1")

    def fires(late: Happened) -> bool:
        matching = Matching(triggers, LATE_S)
        matching.take([happened("phone.on", ANN, 99.0, "p0"), begun])
        matching.advance(115)
        matching.take([late])
        return bool(matching.advance(1000))

    assert fires(happened("phone.on", ANN, 98.0, "p1"))
    assert not fires(happened("phone.off", ANN, 110.0, "p1"))
    assert fires(happened("phone.off", ANN, 98.0, "p1")), "before the wait, and older than known"


def test_what_was_judged_before_a_crash_is_not_late_when_it_is_read_again() -> None:
    triggers = Triggers(ALL, LISTS)
    matching = Matching(triggers, LATE_S)
    call = happened("call.ended", ANN, 100.0, "c1", seconds=700)
    assert len(matching.take([call])) == 2
    matching.advance(105)
    again = Matching(triggers, LATE_S, after(Standing(), matching.changes()))
    assert again.take([call], replayed=True) == []
    assert again.late == 0
    assert again.waiting == 1, "`quiet` waits"


def test_firings_that_no_longer_matter_are_forgotten() -> None:
    matching = Matching(Triggers(project(j=(entry("phone.on", once_per=20),)), {}), LATE_S)
    matching.take([happened("phone.on", ANN, 100.0, "p1")])
    assert len(matching.advance(105)) == 1
    assert matching.changes().fired == (FiredAt("j", 0, ANN, 100.0),)
    matching.advance(119)
    assert matching.changes().forgotten == ()
    matching.advance(120)
    assert matching.changes().forgotten == (("j", 0, ANN),)


def test_what_fires_out_of_hours_does_not_keep_it_from_firing_within_them() -> None:
    by_day = entry("phone.on", once_per=86_400, hours=Window.parse("09:00-20:00"))
    night, day, later = (happened("phone.on", ANN, at * 3600.0, f"p{at}") for at in (14, 26, 30))
    theirs = replace(project(j=(by_day,)), timezone="Asia/Shanghai")  # 22:00, 10:00, 14:00
    matching = Matching(Triggers(theirs, {}), LATE_S)
    matching.take([night, day, later])
    assert [it.source_id for it in matching.advance(1e6)] == ["p14", "p26"]


def test_a_new_project_keeps_the_waits_of_what_is_still_there() -> None:
    waits = entry("phone.on", after=10)
    other = entry("phone.on", "in_list('callers')", after=30)
    matching = Matching(Triggers(project(a=(waits,), b=(other,)), LISTS), LATE_S)
    matching.take([happened("phone.on", ANN, 100.0, "p1")])
    matching.advance(101)
    matching.changes()
    moved = project(a=(entry("call.ended", after=1), waits), b=(entry("phone.off", after=30),))
    matching.renewed(Triggers(moved, LISTS))
    changes = matching.changes()
    assert [(it.journey, it.number) for it in changes.waits] == [("a", 1)]
    assert sorted(changes.ended) == [("a", 0, ANN), ("b", 0, ANN)]
    assert matching.dropped == 1
    assert [(it.journey, it.number, it.at) for it in matching.advance(1000)] == [("a", 1, 110.0)]


def test_an_edited_entry_judges_the_waits_it_has() -> None:
    before = project(j=(entry("phone.on", after=10),))
    edited = project(j=(entry("phone.on", after=60, still="state.power == 'on'"),))
    matching = Matching(Triggers(before, {}), LATE_S)
    matching.take([happened("phone.on", ANN, 100.0, "p1"), happened("phone.on", BO, 100.0, "p2")])
    matching.advance(101)
    matching.renewed(Triggers(edited, {}))
    matching.take([happened("phone.on", BO, 105.0, "p3")])
    assert [(it.who, it.at) for it in matching.advance(109)] == []
    assert [(it.who, it.at) for it in matching.advance(1000)] == [(BO, 110.0)]


def test_lists_count_as_they_are_when_they_are_asked() -> None:
    lists: dict[str, set[int]] = {}
    triggers = Triggers(
        project(j=(entry("phone.on", "in_list('callers')"),), k=(entry("phone.off", after=10),)),
        lists,
    )
    on = happened("phone.on", ANN, 100.0, "p1")
    assert not triggers.wants(on)
    lists["callers"] = {ANN}
    assert triggers.wants(on)
    assert not triggers.wants(happened("phone.on", BO, 100.0, "p1"))


def test_who_left_the_list_during_the_wait_is_let_be() -> None:
    lists = {"callers": {ANN, BO}}
    waits = project(j=(entry("phone.on", "in_list('callers')", after=10),))
    matching = Matching(Triggers(waits, lists), LATE_S)
    matching.take([happened("phone.on", it, 100.0, f"p{it}") for it in (ANN, BO)])
    matching.advance(101)
    lists["callers"] = {BO}
    assert [it.who for it in matching.advance(1000)] == [BO]


def test_only_what_may_matter_is_wanted() -> None:
    calls = entry("call.ended", "in_list('callers') and in_area('campus', event.cell)", after=10)
    asks = replace(calls, still=Condition.parse("state.cell == 'c1'"))
    triggers = Triggers(project(j=(asks,)), LISTS)
    moved = happened("location.changed", ANN, 100.0, "l1", cell="b9")
    assert triggers.wants(moved), "where they are is asked at the end of the wait"
    assert not triggers.wants(replace(moved, who=CY)), "of whoever is on the list"
    assert not triggers.wants(happened("phone.off", ANN, 100.0, "p1")), "nobody asks"
    assert triggers.wants(happened("call.ended", ANN, 100.0, "c1", cell=7)), "a cell's number"
    assert triggers.names == {"call.ended", "location.changed"}


BY_WORD = project(
    near=(entry("call.ended", "in_list('callers') and in_area('campus', event.cell)"),),
    long=(entry("call.ended", "event.seconds >= 600 and in_list('callers')"),),
    short=(entry("call.ended", "60 > event.seconds"),),
    abroad=(entry("call.ended", "event.kind in ['roaming', 'abroad']"),),
)


@settings(max_examples=120, deadline=None)
@given(_EVENTS, st.sampled_from([BY_WORD, ALL]))
def test_many_events_are_sifted_as_each_for_itself(
    events: list[tuple[str, int | str, float, dict[str, Any]]], of: Project
) -> None:
    triggers = Triggers(of, LISTS)
    for name, plan in triggers.plans.items():
        some = [(who, said) for event, who, _, said in events if event == name]
        left = [some[place] for place in plan.sift([said for _, said in some])]
        assert [it for it in left if plan.wants(*it)] == [it for it in some if plan.wants(*it)]


def test_what_many_triggers_ask_of_an_event_is_judged_as_each_asks_it() -> None:
    asked = (
        *("event.it == 1", "event.it == true", "event.it == false", "event.it == 0"),
        *("event.it != 1", "event.it != true", "event.it in [1]", "event.it in [true]"),
        *("event.it < 5", "event.it == 'c1'", "event.it in ['c1', 'a1']"),
        *("in_area('campus', event.it)", "not in_area('campus', event.it)"),
        *("in_area('airport', event.it)", "event.it in list('tones')"),
    )
    alike = project(**{f"j{n}": (entry("call.ended", it),) for n, it in enumerate(asked)})
    triggers = Triggers(alike, LISTS)
    for it in (0, 1, 0.0, 1.0, True, False, 7, 7.0, -7, "7", "c1", [101.0, 20.0], None):
        begun = triggers.begins(happened("call.ended", ANN, 1.0, "c1", it=it))
        scope = {"event": {"it": it}, "number": ANN, "lists": LISTS, "areas": AREAS}
        hold = [condition for condition in asked if Condition.parse(condition).holds(scope) is True]
        told = [asked[int(trigger.journey[1:])] for trigger in begun]
        assert sorted(told) == sorted(hold), it


def test_what_ends_one_wait_does_not_hide_what_ends_another() -> None:
    waits = {
        f"j{n}": (entry("call.ended", after=10, unless=(unless("phone.off", it),)),)
        for n, it in enumerate(("event.it == 1", "event.it == true"))
    }
    triggers = Triggers(project(**waits), LISTS)
    for it in (1, True):
        assert triggers.wants(happened("phone.off", ANN, 1.0, "p1", it=it)), it
    assert not triggers.wants(happened("phone.off", ANN, 1.0, "p1", it=2))


def test_what_no_trigger_can_need_is_sifted_out() -> None:
    plan = Triggers(BY_WORD, LISTS).plans["call.ended"]
    said = {"cell": "b9", "seconds": 100, "kind": "home"}
    others: tuple[dict[str, Any], ...] = (
        {},
        {"cell": "c1"},
        {"seconds": 600},
        {"kind": "abroad"},
        {"cell": 7},
        {"cell": -7},
        {"cell": 8},
    )
    assert [*plan.sift([said, *({**said, **it} for it in others)])] == [2, 3, 4, 5, 6]


def test_what_is_known_of_who_left_all_lists_is_forgotten_after_a_while() -> None:
    lists = {"callers": {ANN, BO}}
    asks = project(j=(entry("phone.on", "in_list('callers') and state.cell == 'c1'", after=5),))
    matching = Matching(Triggers(asks, lists), LATE_S)
    matching.take([happened("location.changed", it, 100.0, str(it), cell="c1") for it in (ANN, BO)])
    matching.advance(101)
    assert matching.changes().states.keys() == {ANN, BO}
    lists["callers"] = {BO}
    for day in range(1, 8):
        matching.advance(day * 86_400)
    assert matching.changes().states == {}, "the list may lack them for a while"
    for day in range(8, 11):
        matching.advance(day * 86_400)
    assert matching.changes().states == {ANN: {}}


def test_while_a_list_has_expired_nothing_is_forgotten_of_who_was_on_it() -> None:
    lists = {"callers": {ANN}}
    asks = project(j=(entry("phone.on", "in_list('callers') and state.cell == 'c1'"),))
    matching = Matching(Triggers(asks, lists), LATE_S)
    matching.take([happened("location.changed", ANN, 100.0, "l1", cell="c1")])
    matching.advance(101)
    expired = lists.pop("callers")
    for day in range(1, 15):
        matching.advance(day * 86_400)
    lists["callers"] = expired
    matching.take([happened("phone.on", ANN, 15 * 86_400.0, "p1")])
    assert [it.who for it in matching.advance(16 * 86_400)] == [ANN]


def test_under_a_new_project_what_was_known_is_known() -> None:
    on = entry("phone.on", "in_list('callers') and state.cell == 'c1'")
    matching = Matching(Triggers(project(j=(on,)), LISTS), LATE_S)
    matching.take([happened("location.changed", ANN, 100.0, "l1", cell="c1")])
    matching.advance(101)
    matching.renewed(Triggers(project(k=(on,)), LISTS))
    matching.take([happened("phone.on", ANN, 102.0, "p1")])
    assert [(it.journey, it.who) for it in matching.advance(103)] == [("k", ANN)]


def test_what_nobody_asked_about_for_a_while_is_not_known_again() -> None:
    asks = Triggers(project(j=(entry("call.ended", "state.cell == 'c1'", after=5),)), LISTS)
    others = Triggers(project(j=(entry("call.ended", "state.power == 'on'", after=5),)), LISTS)
    written: dict[Any, Any] = {}

    def written_by(matching: Matching, at: float) -> Standing:
        matching.advance(at)
        written.update(matching.changes().states)
        return Standing(states={**written}, watermark=at)

    matching = Matching(asks, LATE_S)
    matching.take([happened("location.changed", ANN, 10.0, "l1", cell="c1")])
    there = written_by(matching, 20.0)
    assert there.states == {ANN: {"cell": (10.0, "c1")}}
    matching.renewed(others)
    matching.take([happened("location.changed", ANN, 30.0, "l2", cell="b9")])
    assert written_by(matching, 40.0).states == {ANN: {}}, "where they went nobody looked"
    assert written_by(Matching(others, LATE_S, there), 40.0).states == {ANN: {}}


def test_a_project_without_triggers_wants_nothing() -> None:
    triggers = Triggers(project(), LISTS)
    assert not triggers.wants(happened("call.ended", ANN, 100.0, "c1"))
    matching = Matching(triggers, LATE_S)
    assert matching.take([happened("call.ended", ANN, 100.0, "c1")]) == []
    assert matching.next_at == inf
