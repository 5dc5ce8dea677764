"""The engine's promises, each told as a life of one subscriber and its transcript."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.core.effects import MoveTo, PostEntry, RerouteMessage, SendMessage, Suppress
from orchestrator.core.engine import MAX_STEPS, decide, open_question
from orchestrator.core.events import (
    Entered,
    MessageFailed,
    ReplyReceived,
    SubscriberEvent,
    TimerDue,
)
from orchestrator.core.model import Enrollment
from orchestrator.core.render import compile_message
from orchestrator.core.scene import Scene
from tests.core.world import World, ann, journey_text, lived, project_of

HELLO: list[dict[str, Any]] = [{"id": "one", "send": "hello"}]
LATER: list[dict[str, Any]] = [{"id": "one", "at": "day 2 10:00", "send": "hello"}]


Steps = Sequence[Mapping[str, Any]]

PROMOTION: dict[str, Any] = {"class": "promotion"}


def world(
    steps: Steps,
    others: Mapping[str, tuple[Steps, Mapping[str, Any]]] | None = None,
    who: Mapping[str, Any] | None = None,
    **journey: Any,
) -> World:
    """Ann and the journey `demo` of these steps, with the `others` beside it."""
    journeys = {"demo": journey_text("demo", steps, **journey)}
    for name, (inner, more) in (others or {}).items():
        journeys[name] = journey_text(name, inner, **more)
    return World(project_of(journeys), ann(**(who or {})))


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize(
    "condition",
    [
        *("in_list('vip')", "in_area('here', event.cell)", "event.peer in list('vip')"),
        *("event.cell == 'c1'", "subscriber.name == 'Ann'", "usage.mb_7d is none"),
    ],
)
def test_what_an_event_earns_reaches_and_ends_may_ask_about_anything(condition: str) -> None:
    text = journey_text(
        "demo",
        [{"id": "one", "wait": "9d"}],
        goal={"on": "paid", "if": condition},
        leave=[{"on": "gone", "if": condition}],
    )
    earn = [{"on": on, "if": condition, "award": 5, "reason": on} for on in ("paid", "gone")]
    program = {
        "areas": json.dumps({"areas": {"here": {"cells": ["c1"]}}}),
        "points": json.dumps({"earn": earn}),
    }
    project = project_of({"demo": text}, program=program)
    alone = World(project, ann())
    inside = Enrollment(
        "demo", project.journeys["demo"].version, 1, "active", "one", None, alone.now
    )
    scene = Scene(
        project=project,
        subscriber=ann(),
        enrollments={"demo": inside},
        members={"vip": {8613800138000}},
    )
    said = {"cell": "c1", "peer": "+8613800138000"}
    for on in ("paid", "gone"):
        decision = decide(scene, SubscriberEvent(on, alone.now, said, on), alone.now)
        posted, moved = decision.effects
        assert isinstance(posted, PostEntry)
        assert posted.points == 5
        assert isinstance(moved, MoveTo)
        assert (moved.enrollment.goal_at is not None) == (on == "paid")
        assert (moved.enrollment.ended_at is not None) == (on == "gone")


# --- entering -----------------------------------------------------------------------------------


def test_only_those_enter_whom_an_entry_lets_in() -> None:
    entries = [
        {"on": "start", "if": "subscriber.network in ['3g', '4g']"},
        {"on": "start", "if": "event.friend"},
        {"on": "other"},
    ]
    for attributes, event, enters in [
        ({"network": "4g"}, "event start", True),
        ({"network": "2g"}, "event start", False),
        ({}, "event start", False),
        ({}, 'event start {"friend": true}', True),
        ({}, "event other", True),
        ({}, "event third", False),
    ]:
        life = world(HELLO, who={"attributes": attributes}, enter=entries)
        assert bool(lived(life, [("day 1 10:00", event)])) == enters, (attributes, event)


def test_two_entries_that_fit_are_one_entry() -> None:
    life = world(HELLO, enter=[{"on": "start"}, {"on": "start"}], again="always")
    assert lived(life, [("day 1 10:00", "event start")]).count("day 1 10:00  enters") == 1


def test_a_subscriber_is_in_a_journey_once_at_a_time() -> None:
    life = world(LATER, again="always")
    happenings = [("day 1 10:00", "event start"), ("day 1 11:00", "event start")]
    assert lived(life, happenings) == lines("""
        day 1 10:00  enters
        day 1 10:00  comes to one at day 2 10:00
        day 2 10:00  sends hello by sms
        day 2 10:00  finishes
    """)


@pytest.mark.parametrize(
    ("again", "days", "runs"),
    [
        ("never", [1, 2, 400], 1),
        ("always", [1, 2, 3], 3),
        ("after 30d", [1, 30, 31, 32, 60], 2),
        ("after 30d", [1, 31, 61], 3),
        ("each month", [1, 2, 30, 31, 60], 2),
    ],
)
def test_again_says_how_often_somebody_may_come(again: str, days: list[int], runs: int) -> None:
    """`after` counts from when they entered, to the minute; day 31 is the first of April."""
    life = world([{"id": "gift", "award": 1, "for": "coming"}], again=again)
    transcript = lived(life, [(f"day {day} 10:00", "event start") for day in days])
    assert sum(line.endswith("enters") for line in transcript) == runs
    assert life.scene.enrollments["demo"].run == runs
    assert sum(line.endswith("for coming") for line in transcript) == runs


def test_after_counts_to_the_minute() -> None:
    life = world(HELLO, again="after 30d")
    life.happen("day 1 10:00", "event start")
    life.happen("day 31 09:59", "event start")
    assert life.scene.enrollments["demo"].run == 1
    life.happen("day 31 10:00", "event start")
    assert life.scene.enrollments["demo"].run == 2


def test_a_segment_brings_in_whom_a_journey_lets_in() -> None:
    life = world(HELLO)
    assert lived(life, [("day 1 10:00", "enter demo"), ("day 2 10:00", "enter demo")]) == lines("""
        day 1 10:00  enters
        day 1 10:00  sends hello by sms
        day 1 10:00  finishes
    """)


def test_nothing_happens_for_a_journey_that_does_not_exist() -> None:
    assert lived(world(HELLO), [("day 1 10:00", "enter nowhere")]) == []


# --- control and goal ---------------------------------------------------------------------------

GOAL = {"on": "data.used", "if": "event.mb >= 30", "within": "14d"}


def test_who_is_held_out_is_sent_nothing_and_measured_until_the_goal_s_time_is_over() -> None:
    life = world(HELLO, control="100%", goal=GOAL)
    happenings = [
        ("day 1 10:00", "event start"),
        ("day 2 10:00", 'event data.used {"mb": 29}'),
        ("day 3 10:00", 'event data.used {"mb": 30}'),
        ("day 4 10:00", 'event data.used {"mb": 31}'),
    ]
    assert lived(life, happenings) == lines("""
        day 1 10:00  is held out until day 15 10:00
        day 3 10:00  reaches the goal
        day 15 10:00  finishes
    """)


@pytest.mark.parametrize("leaves", [False, True])
def test_who_was_held_out_is_known_as_such_for_ever(leaves: bool) -> None:
    """Reports compare them with the others, long after the journey is over."""
    life = world(HELLO, control="100%", goal=GOAL, leave=[{"on": "gone"}], again="always")
    life.happen("day 1 10:00", "event start")
    if leaves:
        life.happen("day 2 10:00", "event gone")
    life.go_on()
    held_out = life.scene.enrollments["demo"]
    assert (held_out.status, held_out.open, held_out.due_at) == ("control", False, None)
    life.happen("day 30 10:00", "event start")
    assert life.scene.enrollments["demo"].run == 2


def test_a_goal_counts_within_its_time_and_after_the_end_of_the_journey() -> None:
    life = world(HELLO, goal=GOAL)
    life.happen("day 1 10:00", "event start")
    assert life.scene.enrollments["demo"].status == "finished"
    life.happen("day 15 10:00", 'event data.used {"mb": 30}')
    assert life.scene.enrollments["demo"].goal_at == life.now
    late = world(HELLO, goal=GOAL)
    late.happen("day 1 10:00", "event start")
    late.happen("day 15 10:01", 'event data.used {"mb": 30}')
    assert late.scene.enrollments["demo"].goal_at is None


def test_a_goal_is_reached_when_it_happened_not_when_we_heard_of_it() -> None:
    life = world(HELLO, goal=GOAL)
    life.happen("day 1 10:00", "event start")
    at = life.moment("day 2 10:00")
    life.go_to(life.moment("day 20 10:00"))
    life.take(SubscriberEvent("data.used", at, {"mb": 30}, "late"))
    assert life.scene.enrollments["demo"].goal_at == at


def test_what_happened_before_somebody_entered_is_no_goal() -> None:
    life = world(HELLO, goal=GOAL)
    life.happen("day 2 10:00", "event start")
    life.take(SubscriberEvent("data.used", life.moment("day 1 10:00"), {"mb": 30}, "old"))
    assert life.scene.enrollments["demo"].goal_at is None


def test_reaching_the_goal_does_not_end_the_journey() -> None:
    life = world(LATER, goal=GOAL)
    happenings = [("day 1 10:00", "event start"), ("day 1 11:00", 'event data.used {"mb": 30}')]
    assert lived(life, happenings)[-2:] == lines("""
        day 2 10:00  sends hello by sms
        day 2 10:00  finishes
    """)


# --- leaving ------------------------------------------------------------------------------------


def test_an_event_ends_the_journey_at_once() -> None:
    life = world(LATER, leave=[{"on": "gone"}])
    assert lived(life, [("day 1 10:00", "event start"), ("day 1 11:00", "event gone")]) == lines("""
        day 1 10:00  enters
        day 1 10:00  comes to one at day 2 10:00
        day 1 11:00  leaves: gone
    """)


def test_a_journey_that_is_over_cannot_be_left() -> None:
    life = world(HELLO, leave=[{"on": "gone"}])
    happenings = [("day 1 10:00", "event start"), ("day 1 11:00", "event gone")]
    assert lived(life, happenings)[-1] == "day 1 10:00  finishes"


def test_an_event_that_ends_the_journey_is_not_its_answer_as_well() -> None:
    steps: Steps = [{"id": "w", "wait_for": "gone", "within": "1d", "then": [{"send": "hello"}]}]
    life = world(steps, leave=[{"on": "gone"}])
    happenings = [("day 1 10:00", "event start"), ("day 1 11:00", "event gone")]
    assert lived(life, happenings)[-1] == "day 1 11:00  leaves: gone"


def test_an_event_that_may_end_a_version_nobody_can_read_is_not_taken_as_if_it_did_not() -> None:
    life = world(LATER, leave=[{"on": "gone"}])
    life.take(SubscriberEvent("start", life.now, {}, "s1"))
    lost = {name: replace(it, version="lost") for name, it in life.scene.enrollments.items()}
    life.scene = replace(life.scene, enrollments=lost)
    gone = SubscriberEvent("gone", life.now, {}, "g1")
    with pytest.raises(KeyError, match="lost"):
        decide(life.scene, gone, life.now)
    ended = {name: replace(it, ended_at=life.now) for name, it in lost.items()}
    assert decide(replace(life.scene, enrollments=ended), gone, life.now).effects == ()


def test_whom_a_leave_condition_fits_leaves_before_the_next_step() -> None:
    steps: Steps = [{"id": "tag", "set": {"tags": ["+bought"]}}, {"id": "one", "send": "hello"}]
    life = world(steps, leave=[{"if": "'bought' in subscriber.tags"}])
    assert lived(life, [("day 1 10:00", "event start")]) == lines("""
        day 1 10:00  enters
        day 1 10:00  sets {"name": "Ann"} bought
        day 1 10:00  leaves: 'bought' in subscriber.tags
    """)


def test_leave_is_looked_at_before_the_answer_leads_on() -> None:
    steps: Steps = [
        {"id": "q", "ask": "q", "within": "1d", "reply": [{"is": "yes", "do": [{"send": "on"}]}]}
    ]
    life = world(steps, leave=[{"if": "subscriber.done"}])
    life.happen("day 1 10:00", "event start")
    person = replace(life.scene.subscriber, attributes={"done": True})
    life.scene = replace(life.scene, subscriber=person)
    life.happen("day 1 11:00", "reply yes")
    assert life.transcript[-1] == "day 1 11:00  leaves: subscriber.done"


def test_who_has_opted_out_leaves_before_the_next_step_of_whatever_type() -> None:
    steps: Steps = [{"id": "rest", "wait": "1h"}, {"id": "gift", "award": 5, "for": "staying"}]
    for purpose in ("service", "everything"):
        life = world(steps)
        happenings = [("day 1 10:00", "event start"), ("day 1 10:30", f"refuses {purpose}")]
        assert lived(life, happenings)[-1] == "day 1 11:00  leaves: opted_out"


def test_an_opt_out_from_one_purpose_leaves_the_journeys_of_others_alone() -> None:
    life = world(LATER)
    happenings = [("day 1 10:00", "event start"), ("day 1 10:30", "refuses marketing")]
    assert lived(life, happenings)[-2] == "day 2 10:00  sends hello by sms"


def test_one_may_enter_again_after_leaving() -> None:
    life = world(LATER, leave=[{"on": "gone"}], again="always")
    happenings = [(f"day 1 1{n}:00", f"event {what}") for n, what in enumerate(["start", "gone"])]
    assert lived(life, [*happenings, ("day 3 10:00", "event start")])[-4:] == lines("""
        day 3 10:00  enters
        day 3 10:00  comes to one at day 4 10:00
        day 4 10:00  sends hello by sms
        day 4 10:00  finishes
    """)


# --- time ---------------------------------------------------------------------------------------


def test_nothing_moves_before_its_time() -> None:
    life = world(LATER)
    life.happen("day 1 10:00", "event start")
    due = life.next_due()
    assert due == life.moment("day 2 10:00")
    assert decide(life.scene, TimerDue(), due - timedelta(microseconds=1)).effects == ()
    assert decide(life.scene, TimerDue(), due).effects != ()


def test_a_timer_that_comes_twice_moves_nobody_twice() -> None:
    life = world(LATER)
    life.happen("day 1 10:00", "event start")
    life.go_to(life.moment("day 2 10:00"))
    assert life.take(TimerDue()).effects == ()


def test_who_moves_east_gets_the_next_step_by_their_new_clock() -> None:
    life = world([*LATER, {"id": "two", "at": "day 3 10:00", "send": "next"}])
    life.happen("day 1 10:00", "event start")
    life.go_to(life.moment("day 2 12:00"))
    life.happen("day 2 12:00", "moves to Europe/Berlin")
    life.go_on()
    sent = [at for at, effect in life.effects if isinstance(effect, SendMessage)]
    assert life.shown(sent[-1]) == "day 3 17:00", "10:00 in Berlin is 17:00 in Shanghai"


def test_a_journey_of_years_keeps_its_times() -> None:
    steps: Steps = [{"id": "one", "at": "day 1000 10:00", "send": "hello"}]
    life = world(steps)
    life.happen("day 1 09:00", "event start")
    life.go_on(days=2000)
    assert life.transcript[-1] == "day 1000 10:00  finishes"


def test_steps_that_came_due_in_an_outage_come_one_a_day_and_in_order() -> None:
    steps: Steps = [{"id": f"s{n}", "at": f"day {n} 10:00", "send": f"m{n}"} for n in range(1, 6)]
    life = world(steps)
    happenings = [
        ("day 1 09:00", "event start"),
        ("day 1 09:30", "worker stops"),
        ("day 4 23:00", "worker starts"),
    ]
    sends = [line for line in lived(life, happenings) if "sends" in line]
    assert sends == lines("""
        day 4 23:00  sends m1 by sms
        day 5 10:00  sends m2 by sms
        day 6 10:00  sends m3 by sms
        day 7 10:00  sends m4 by sms
        day 8 10:00  sends m5 by sms
    """)


def test_a_step_put_off_for_days_does_not_bring_the_next_along() -> None:
    """Another journey wrote on day 1, so this one is quiet until day 8."""
    steps: Steps = [{"id": f"s{n}", "at": f"day {n} 10:00", "send": f"m{n}"} for n in (2, 3, 9)]
    other = [{"id": "o", "send": "theirs"}]
    life = world(
        steps,
        {"other": (other, {**PROMOTION, "enter": [{"on": "other"}]})},
        **PROMOTION,
    )
    happenings = [("day 1 12:00", "event start"), ("day 1 12:01", "event other")]
    sends = [line for line in lived(life, happenings) if "sends" in line or "puts off" in line]
    assert sends == lines("""
        day 1 12:01  sends theirs by sms
        day 2 10:00  puts off m2 until day 8 12:01: other_journey
        day 8 12:01  sends m2 by sms
        day 9 10:00  sends m3 by sms
        day 10 10:00  sends m9 by sms
    """)


def test_an_event_of_the_very_instant_at_which_a_wait_begins_came_before_it() -> None:
    life = world([{"id": "w", "wait_for": "used", "within": "1d", "then": [{"send": "hello"}]}])
    life.happen("day 1 10:00", "event start")
    life.happen("day 1 10:00", "event used")
    assert life.transcript[-1] == "day 1 10:00  waits in w for an event until day 2 10:00"


# --- replies ------------------------------------------------------------------------------------

YES_GIFT: dict[str, Any] = {
    "id": "q",
    "ask": "q",
    "within": "1d",
    "reply": [{"is": "yes", "do": [{"award": 1, "for": "yes"}]}],
}


def test_a_reply_from_before_the_question_is_no_answer() -> None:
    life = world([YES_GIFT])
    life.happen("day 1 10:00", "event start")
    early = ReplyReceived("yes", "sms", "+86", life.now - timedelta(seconds=1), "early")
    assert life.take(early).effects == ()
    assert open_question(life.scene.enrollments.values(), life.now) is None
    later = life.now + timedelta(seconds=1)
    assert open_question(life.scene.enrollments.values(), later) is not None


def test_a_reply_to_nobody_s_question_does_nothing() -> None:
    life = world(LATER)
    life.happen("day 1 10:00", "event start")
    life.happen("day 1 11:00", "reply yes")
    assert life.transcript == lines("""
        day 1 10:00  enters
        day 1 10:00  comes to one at day 2 10:00
    """)


def test_the_older_question_stays_open_while_the_newer_is_answered() -> None:
    life = world(
        [YES_GIFT],
        {"second": ([{**YES_GIFT, "within": "1h"}], {"enter": [{"on": "second"}]})},
    )
    happenings = [
        ("day 1 10:00", "event start"),
        ("day 1 11:00", "event second"),
        ("day 1 12:30", "reply yes"),  # the newer question's hour is over
    ]
    assert lived(life, happenings)[-2:] == lines("""
        day 1 12:30  earns 1 points for yes
        day 1 12:30  finishes
    """)


# --- fallback -----------------------------------------------------------------------------------

BOTH = {"addresses": {"mms": "+8613800138000", "sms": "+8613800138000"}}
VIA = [{"id": "one", "send": "hello", "via": ["mms", "sms"]}]


def failed(life: World, **changes: Any) -> MessageFailed:
    usual = MessageFailed(
        message_id=1,
        template="hello",
        contact_class="service",
        journey="demo",
        run=1,
        step="one",
        via=("sms",),
        state="undelivered",
        at=life.now,
    )
    return replace(usual, **changes)


def test_fallback_is_one_message_moving_on() -> None:
    life = world(VIA, who=BOTH)
    life.happen("day 1 10:00", "event start")
    decision = life.take(failed(life))
    (moved,) = decision.effects
    assert isinstance(moved, RerouteMessage)
    assert (moved.message_id, moved.message.channel, moved.message.via) == (1, "sms", ())
    assert decision.scene.recent == life.scene.recent
    assert len(decision.scene.recent) == 1, "it counts once towards every cap"


def test_a_message_is_good_until_the_hours_end_in_which_it_goes() -> None:
    """The one that moves on in the evening goes in the morning, and is good for that day."""
    life = world(VIA, who=BOTH, **PROMOTION)
    life.happen("day 1 19:00", "event start")
    assert life.messages[-1].valid_until == life.moment("day 1 20:00")
    life.happen("day 1 20:30", "message fails")
    (_, moved) = life.effects[-1]
    assert isinstance(moved, RerouteMessage)
    assert moved.not_before == life.moment("day 2 09:00")
    assert moved.message.valid_until == life.moment("day 2 20:00")


def test_a_message_without_hours_is_good_for_a_day() -> None:
    life = world(HELLO)
    life.happen("day 1 23:00", "event start")
    assert life.messages[-1].valid_until == life.moment("day 2 23:00")


def test_a_message_of_an_earlier_run_moves_on_as_that_run_s() -> None:
    life = world(VIA, who=BOTH, again="always")
    life.happen("day 1 10:00", "event start")
    life.happen("day 2 10:00", "event start")
    (moved,) = life.take(failed(life, run=1)).effects
    assert isinstance(moved, RerouteMessage)
    assert moved.message.run == 1


def test_a_message_that_cannot_move_on_ends_with_a_reason() -> None:
    life = world(VIA, who=BOTH)
    life.happen("day 1 10:00", "event start")
    (ended,) = life.take(failed(life, via=("telegram",))).effects
    assert isinstance(ended, Suppress)
    assert ended.reason == "fallback: no_channel"


def test_a_message_moves_on_although_its_step_is_gone_since() -> None:
    life = world(VIA, who=BOTH)
    life.happen("day 1 10:00", "event start")
    (moved,) = life.take(failed(life, step="gone-since")).effects
    assert isinstance(moved, RerouteMessage)
    assert moved.message.step == "gone-since"


def test_a_message_with_nothing_left_to_try_just_ends() -> None:
    life = world(VIA, who=BOTH)
    life.happen("day 1 10:00", "event start")
    assert life.take(failed(life, via=())).effects == ()
    assert life.take(failed(life, journey="never-entered")).effects == ()


# --- several journeys ---------------------------------------------------------------------------


def test_one_event_moves_every_journey_it_concerns() -> None:
    waits = {"wait_for": "used", "within": "1d", "then": [{"award": 1, "for": "use"}]}
    life = world(
        [{"id": "w", **waits}],
        {
            "leaver": (LATER, {"leave": [{"on": "used"}]}),
            "newcomer": (HELLO, {"enter": [{"on": "used"}]}),
            "bystander": (LATER, {}),
        },
    )
    life.happen("day 1 10:00", "event start")
    life.transcript.clear()
    life.happen("day 1 11:00", "event used")
    assert life.transcript == lines("""
        day 1 11:00  earns 1 points for use
        day 1 11:00  finishes
        day 1 11:00  leaver: leaves: used
        day 1 11:00  newcomer: enters
        day 1 11:00  sends hello by sms
        day 1 11:00  newcomer: finishes
    """)


def test_journeys_due_together_go_in_the_order_in_which_they_came_due() -> None:
    life = world(
        [{"id": "one", "at": "day 2 11:00", "send": "late"}],
        {"earlier": ([{"id": "one", "at": "day 2 09:00", "send": "early"}], {})},
    )
    happenings = [
        ("day 1 10:00", "event start"),
        ("day 1 11:00", "worker stops"),
        ("day 3 10:00", "worker starts"),
    ]
    sends = [line for line in lived(life, happenings) if "sends" in line]
    assert sends == ["day 3 10:00  sends early by sms", "day 3 10:00  sends late by sms"]


def test_journeys_share_one_cap() -> None:
    life = world(
        [{"id": "a", "at": "day 2 10:00", "send": "mine"}],
        {"other": ([{"id": "b", "at": "day 2 10:00", "send": "theirs"}], PROMOTION)},
        **PROMOTION,
    )
    transcript = lived(life, [("day 1 10:00", "event start")])
    assert sum("sends" in line for line in transcript) == 2
    assert "day 2 10:00  sends mine by sms" in transcript
    assert "day 2 10:00  puts off theirs until day 9 10:00: other_journey" in transcript


def test_a_journey_entered_from_another_s_answer_keeps_its_new_run() -> None:
    """B has a goal on the very event that makes A enter B anew: the old run must not come back."""
    waits = {"id": "w", "wait_for": "used", "within": "9d", "then": [{"enroll": "second"}]}
    life = world(
        [waits],
        {"second": (LATER, {"again": "always", "enter": [], "goal": {"on": "used"}})},
    )
    life.take(Entered("second", life.now))
    life.go_on()
    assert life.scene.enrollments["second"].status == "finished"
    life.happen("day 3 10:00", "event start")
    life.happen("day 3 11:00", "event used")
    second = life.scene.enrollments["second"]
    assert (second.run, second.status) == (2, "active")


# --- what authors took away ---------------------------------------------------------------------


def test_a_version_in_flight_does_without_what_was_deleted_since() -> None:
    steps: Steps = [
        {"id": "rest", "wait": "1d"},
        {"id": "also", "enroll": "second"},
        {"id": "say", "send": "bye"},
        {"id": "gift", "award": 1, "for": "staying"},
    ]
    life = world(steps, {"second": (HELLO, {"enter": []})})
    life.happen("day 1 10:00", "event start")
    project = life.scene.project
    journeys = {name: j for name, j in project.journeys.items() if name == "demo"}
    messages = {name: m for name, m in project.messages.items() if name != "bye"}
    life.scene = replace(life.scene, project=replace(project, journeys=journeys, messages=messages))
    life.go_on()
    assert life.transcript[-3:] == lines("""
        day 2 10:00  withholds bye: no_message
        day 2 10:00  earns 1 points for staying
        day 2 10:00  finishes
    """)


def test_a_version_in_flight_passes_over_a_channel_whose_wording_was_deleted_since() -> None:
    steps: Steps = [
        {"id": "rest", "wait": "1d"},
        {"id": "a", "send": "hello", "via": ["mms", "sms"]},
    ]
    life = world(steps, who=BOTH)
    life.happen("day 1 10:00", "event start")
    now_only_sms = compile_message("hello", {"en": "{% block sms %}hello{% endblock %}"}, "en")
    project = replace(life.scene.project, messages={"hello": now_only_sms})
    life.scene = replace(life.scene, project=project)
    life.go_on()
    assert life.transcript[-2] == "day 2 10:00  sends hello by sms"


# --- the decision itself ------------------------------------------------------------------------


def test_a_decision_changes_nothing_it_was_given() -> None:
    tag = {"id": "t", "set": {"tags": ["+a"]}}
    life = world([tag, *HELLO, YES_GIFT])
    before = life.scene
    copy = (dict(before.enrollments), before.recent, before.subscriber, before.account)
    event = SubscriberEvent("start", life.now, {}, "s")
    first, second = (decide(before, event, life.now) for _ in range(2))
    assert first == second
    assert (dict(before.enrollments), before.recent, before.subscriber, before.account) == copy


def test_the_last_move_of_a_decision_is_how_its_scene_stands() -> None:
    life = world([*HELLO, YES_GIFT])
    decision = decide(life.scene, SubscriberEvent("start", life.now, {}, "s"), life.now)
    moves = [effect for effect in decision.effects if isinstance(effect, MoveTo)]
    assert decision.scene.enrollments["demo"] == moves[-1].enrollment


def test_a_journey_may_take_many_steps_at_once() -> None:
    steps: Steps = [{"id": f"s{n}", "award": 1, "for": "step"} for n in range(MAX_STEPS - 1)]
    life = world(steps)
    lived(life, [("day 1 10:00", "event start")])
    assert life.scene.account.balance_points == MAX_STEPS - 1
