"""A trigger that fired: the turn judges the rest, and what became of it is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestrator.core import explain, narration
from orchestrator.core.effects import MoveTo
from orchestrator.core.engine import decide
from orchestrator.core.events import Triggered
from orchestrator.core.scene import Decision, Scene
from tests.core.world import ann, journey_text, project_of

BEGAN = datetime(2026, 3, 2, 2, tzinfo=UTC)  # ten o'clock in Shanghai
FIRED = datetime(2026, 3, 2, 2, 5, tzinfo=UTC)
ENTRY = {
    "on": "call.ended",
    "if": "event.seconds > 60 and subscriber.plan == 'p1'",
    "hours": "09:00-20:00",
    "after": "5m",
    "still": "state.power != 'off' and points.balance < 100",
}
EVENTS = """
events:
  call.ended: {keep: matching, properties: {seconds: number}}
  phone.off: {keep: matching, sets: {power: 'off'}}
"""


def scene(entry: dict[str, Any] = ENTRY, **person: Any) -> Scene:
    offer = journey_text("offer", [{"id": "hello", "send": "hello"}], enter=[entry])
    project = project_of({"offer": offer}, program={"events": EVENTS})
    return Scene(project, ann(**{"attributes": {"plan": "p1"}, **person}), {})


def fired(**changes: Any) -> Triggered:
    usual = {
        "journey": "offer",
        "number": 0,
        "name": "call.ended",
        "began": BEGAN,
        "at": FIRED,
        "properties": {"seconds": 90},
        "source_id": "c1",
    }
    return Triggered(**{**usual, **changes})


def entered(decision: Decision) -> bool:
    return any(isinstance(it, MoveTo) for it in decision.effects)


def told(before: Scene, event: Triggered) -> list[narration.Line]:
    return [*narration.lines_of(before, event, decide(before, event, FIRED))]


def test_whoever_the_rest_of_the_conditions_holds_for_enters() -> None:
    assert entered(decide(scene(), fired(), FIRED))


def test_what_the_conditions_ask_of_the_subscriber_is_judged_by_the_turn() -> None:
    richer = scene(attributes={"plan": "p2"})
    assert not entered(decide(richer, fired(), FIRED))
    [line] = told(richer, fired())
    assert line.what.endswith("but `if` does not hold")
    assert line.saw == {"event.seconds": 90, "subscriber.plan": "p2"}


def test_an_unknown_time_zone_is_told_and_not_the_hours() -> None:
    nowhere = scene(timezone="Nowhere/At_All")
    assert not entered(decide(nowhere, fired(), FIRED))
    [line] = told(nowhere, fired())
    assert line.what.endswith("but their time zone is unknown, and the entry has hours")
    record = explain.Record(fired=[fired()])
    why = explain.explain(nowhere, record, "offer", FIRED).standing
    assert why.endswith("but their time zone is unknown, and the entry has hours")


def test_what_was_judged_where_events_arrive_is_not_judged_again() -> None:
    assert entered(decide(scene(), fired(properties={"seconds": 3}), FIRED))


def test_hours_are_those_of_the_event_by_the_subscribers_clock() -> None:
    evening = fired(
        began=datetime(2026, 3, 2, 11, 58, tzinfo=UTC), at=datetime(2026, 3, 2, 12, 3, tzinfo=UTC)
    )
    assert entered(decide(scene(), evening, evening.at)), "19:58 in Shanghai"
    assert not entered(decide(scene(timezone="Asia/Tokyo"), evening, evening.at)), "20:58 there"
    assert not entered(decide(scene(timezone=None), fired(), FIRED)), "nobody knows what time it is"
    [line] = told(scene(timezone="Asia/Tokyo"), evening)
    assert (line.what.endswith("but `hours` does not hold"), line.rule) == (True, "09:00-20:00")


def test_a_trigger_of_another_version_lets_nobody_in() -> None:
    for gone in (fired(journey="no-more"), fired(number=3), fired(name="phone.on")):
        assert not entered(decide(scene(), gone, FIRED))
    [line] = told(scene(), fired(number=3))
    assert line.what.endswith("but the entry is gone")


def test_whoever_enters_is_told_of_with_the_trigger() -> None:
    lines = [line.what for line in told(scene(), fired())]
    assert "offer: trigger 1 fired, of 2026-03-02 02:00:00Z" in lines


def test_explain_says_why_a_trigger_let_nobody_in() -> None:
    def standing(before: Scene, *happened: Triggered) -> str:
        record = explain.Record(fired=happened)
        return explain.explain(before, record, "offer", FIRED).standing

    never = "never entered: the trigger on call.ended never fired for them"
    assert standing(scene()) == f"{never}; of a wait that came to nothing no record is kept"
    assert standing(scene({"on": "call.ended", "hours": "09:00-20:00"})) == never
    poor = scene(attributes={"plan": "p2"})
    assert standing(poor, fired()).endswith(
        "but if `event.seconds > 60 and subscriber.plan == 'p1'` does not hold, "
        "event.seconds = 90, subscriber.plan = 'p2'"
    )
    assert "its turn is still to come" in standing(scene(), fired())
