"""What the engine does with what the contact policy says: order, journeys' own hours, fallbacks."""

from __future__ import annotations

from typing import Any

from orchestrator.core.effects import SendMessage
from tests.core.world import World, ann, journey_text, lived, project_of

CONTACT = """
classes:
  service: {purpose: service, consent: opt_out}
  promotion:
    purpose: marketing
    consent: opt_in
    hours: 09:00-20:00
    holidays: avoid
    spread: 15m
    per_day: %d
"""
HOLIDAYS = """
holidays:
  here: {valid_until: 2026-12-31, days: [2026-03-03 to 2026-03-04]}
"""


def world(journeys: dict[str, dict[str, Any]], per_day: int = 3) -> World:
    """Ann, and journeys that each send the message of their name."""
    texts = {
        name: journey_text(
            name,
            [{"id": "one", "send": name, "via": ["mms", "sms"]}],
            **{"class": "promotion"} | it,
        )
        for name, it in journeys.items()
    }
    program = {"contact": CONTACT % per_day, "holidays": HOLIDAYS}
    person = ann(addresses={"sms": "+8613800138000", "mms": "+8613800138000"})
    return World(project_of(texts, program=program), person)


def told(world: World, word: str) -> list[str]:
    return [line for line in world.transcript if word in line]


def test_what_is_put_off_to_the_same_morning_keeps_its_order() -> None:
    later = world({name: {"enter": [{"on": name}]} for name in ("zebra", "monkey", "ant")})
    lived(
        later,
        [(f"day 1 2{n}:00", f"event {name}") for n, name in enumerate(["zebra", "monkey", "ant"])],
    )
    sent = [e.message.template for _, e in later.effects if isinstance(e, SendMessage)]
    assert sent == ["zebra", "monkey", "ant"]


def test_under_a_cap_the_first_that_waited_goes_first_on_each_day() -> None:
    later = world({name: {"enter": [{"on": name}]} for name in ("zebra", "monkey", "ant")}, 1)
    lived(
        later,
        [(f"day 1 2{n}:00", f"event {name}") for n, name in enumerate(["zebra", "monkey", "ant"])],
    )
    days = [
        (now.astimezone(later.tz).day, e.message.template)
        for now, e in later.effects
        if isinstance(e, SendMessage)
    ]
    assert days == [(5, "zebra"), (6, "monkey"), (7, "ant")], "the 3rd and 4th are holidays"


def test_a_journey_avoids_its_own_hours_and_its_messages_are_stale_when_they_begin() -> None:
    busy = world({"demo": {"avoid": ["12:00-14:00", "18:00-22:00"]}})
    lived(busy, [("day 1 12:30", "event start")])
    ((now, effect),) = [(now, e) for now, e in busy.effects if isinstance(e, SendMessage)]
    assert now.astimezone(busy.tz).hour == 14
    until = effect.message.valid_until
    assert until is not None
    assert f"{until.astimezone(busy.tz):%d %H:%M}" == "02 18:00"


def test_a_message_that_falls_back_waits_for_the_next_working_day_as_well() -> None:
    failing = world({"demo": {}})
    lived(failing, [("day 1 19:59", "event start"), ("day 2 10:00", "message fails")])
    (moved,) = told(failing, "moves on")
    assert "at day 4 09:" in moved


def test_a_message_does_not_fall_back_when_nobody_knows_the_holidays() -> None:
    failing = world({"demo": {}})
    lived(failing, [("day 1 19:59", "event start"), ("day 400 10:00", "message fails")])
    assert told(failing, "fallback: holidays_expired")


def test_a_message_that_falls_back_on_a_later_day_counts_for_that_day() -> None:
    failing = world({name: {"enter": [{"on": name}]} for name in ("early", "late")}, per_day=1)
    lived(
        failing,
        [
            ("day 1 19:59", "event early"),
            ("day 1 21:00", "message fails"),
            ("day 4 12:00", "event late"),
        ],
    )
    (moved,) = told(failing, "moves on to early")
    assert "at day 4 09:" in moved
    (put_off,) = told(failing, "puts off late")
    assert "until day 5 0" in put_off
    assert "per_day" in put_off


def test_a_message_that_falls_back_waits_for_a_day_that_has_room_for_it() -> None:
    failing = world({name: {"enter": [{"on": name}]} for name in ("early", "late")}, per_day=1)
    lived(failing, [("day 4 19:00", "event early"), ("day 5 10:00", "event late")])
    failing.fail(0)
    (moved,) = told(failing, "moves on to early")
    assert "at day 6 0" in moved


def test_messages_that_fall_back_together_do_not_share_a_day_that_has_room_for_one() -> None:
    failing = world({name: {"enter": [{"on": name}]} for name in ("one", "two")}, per_day=1)
    lived(failing, [("day 4 19:00", "event one"), ("day 5 19:00", "event two")])
    failing.go_to(failing.moment("day 5 21:00"))
    failing.fail(0)
    failing.fail(1)
    days = [line.split(" at ")[1][:6] for line in told(failing, "moves on")]
    assert days == ["day 6 ", "day 7 "]


def test_a_message_that_falls_back_at_once_does_not_count_itself() -> None:
    failing = world({"demo": {}}, per_day=1)
    lived(failing, [("day 4 12:00", "event start"), ("day 4 12:05", "message fails")])
    (moved,) = told(failing, "moves on")
    assert moved == "day 4 12:05  moves on to demo by sms"
