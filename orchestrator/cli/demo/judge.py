"""The judgement: what stood on the screens, against the plan and against what we believe we sent.

The screens come first. The database only lends names: which step a text belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from orchestrator.cli.demo.behaviour import Player
from orchestrator.core import calendar
from orchestrator.core.chance import draw
from orchestrator.core.contact import ContactClass
from orchestrator.core.project import Project
from orchestrator.core.steps.ask import Ask
from orchestrator.core.steps.send import Send
from orchestrator.store.reckoning import Entrance, Recorded

JOURNEY = "seven-days"
SENT = ("accepted", "delivered")

MUST_BE_ZERO = (
    "lost",
    "duplicates",
    "early",
    "outside_hours",
    "after_opt_out",
    "without_consent",
    "ledger_imbalance",
    "oversold",
    "failed_turns",
)
"""Figures any of which, if it is not 0, fails the demo."""


class Found(Struct):
    """What the screens say. All but the first two must be 0."""

    messages: int = 0
    expected: int = 0
    lost: int = 0
    duplicates: int = 0
    early: int = 0
    outside_hours: int = 0
    after_opt_out: int = 0
    without_consent: int = 0


class Plan(Struct, frozen=True):
    """What the demo was to be: `activated_at` by key, the end, and how late a message may stand on
    a screen after it went (at this speed, a second is hours)."""

    project: Project
    activated_at: Mapping[str, datetime]
    ends_at: datetime
    latency: timedelta


def judge(
    plan: Plan,
    players: Sequence[Player],
    recorded: Mapping[str, Sequence[Recorded]],
    entrances: Mapping[str, Entrance],
) -> Found:
    """What the screens say."""
    found = Found()
    for player in players:
        key = player.person.subscriber.key
        found.messages += len(player.heard)
        rows = recorded.get(key, ())
        _compare(player, rows, found)
        _look_at_times(plan, player, rows, found)
        if key in plan.activated_at:
            _expect_steps(plan, player, rows, entrances.get(key), found)
        if (left_at := player.opted_out_at) is not None:
            later = sum(heard.at > left_at for heard in player.heard)
            asked = sum(said.at > left_at for said in player.said)
            found.after_opt_out += max(0, later - asked)
    return found


def _compare(player: Player, rows: Sequence[Recorded], found: Found) -> None:
    """What was sent but never stood on the screen is lost; what stood there more often than it
    was sent, or twice from a journey, is a duplicate."""
    sent = Counter(row.text for row in rows if row.state in SENT)
    seen = Counter(heard.text for heard in player.heard)
    of_journeys = {row.text for row in rows if row.journey}
    found.lost += sum((sent - seen).values())
    extra = seen - Counter(row.text for row in rows)
    twice = Counter({text: count - 1 for text, count in seen.items() if text in of_journeys})
    found.duplicates += sum((extra | twice).values())


def _look_at_times(plan: Plan, player: Player, rows: Sequence[Recorded], found: Found) -> None:
    """No step before its time, nothing outside its class's hours, nothing without consent."""
    project = plan.project
    by_text = {row.text: row for row in rows if row.journey}
    tz = calendar.zone(player.person.subscriber.timezone)
    activated_at = plan.activated_at.get(player.person.subscriber.key)
    for heard in player.heard:
        row = by_text.get(heard.text)
        if row is None:
            continue
        rules = project.contact.classes[row.contact_class]
        if tz is None or (rules.consent == "opt_in" and not player.person.subscriber.consents):
            found.without_consent += 1
            continue
        placed = project.journeys[row.journey].steps.get(row.step)
        if placed is not None and placed.step.at and row.journey == JOURNEY and activated_at:
            at = placed.step.at
            due = calendar.on_day(activated_at, at.day, at.time, tz)
            found.early += heard.at < due
        found.outside_hours += not _within(rules, heard.at, plan.latency, player)


def _within(rules: ContactClass, at: datetime, latency: timedelta, player: Player) -> bool:
    tz = calendar.zone(player.person.subscriber.timezone)
    if rules.hours is None or tz is None:
        return True
    opening = calendar.next_open(at, rules.hours, rules.weekdays, tz)
    if opening == at:
        return True
    return at - calendar.closing(at, rules.hours, tz) < latency and at >= calendar.closing(
        at, rules.hours, tz
    )


def _expect_steps(
    plan: Plan,
    player: Player,
    rows: Sequence[Recorded],
    entrance: Entrance | None,
    found: Found,
) -> None:
    """Every unconditional step whose day has come must have been on the screen."""
    person = player.person
    tz = calendar.zone(person.subscriber.timezone)
    wanted = (
        person.subscriber.attributes["network"] in ("3g", "4g", "5g")
        and bool(person.subscriber.consents)
        and tz is not None
    )
    if not wanted or tz is None:
        return
    journey = plan.project.journeys[JOURNEY]
    if entrance is None:
        found.lost += 1
        return
    if draw("control", JOURNEY, entrance.subscriber_id) < journey.control:
        return
    stopped = [said.at for said in player.said if said.text == person.stop_word]
    # Of somebody who opts out, what was due on their last day may or may not have been before.
    until = min(stopped) - timedelta(days=1) if stopped else plan.ends_at
    seen = {heard.text for heard in player.heard}
    steps_seen = {row.step for row in rows if row.journey == JOURNEY and row.text in seen}
    activated_at = plan.activated_at[person.subscriber.key]
    for placed in journey.steps.values():
        at = placed.step.at
        if "." in placed.id or at is None or not isinstance(placed.step, Send | Ask):
            continue
        due = calendar.on_day(activated_at, at.day, at.time, tz)
        if max(due, activated_at) + plan.latency + timedelta(hours=1) < until:
            found.expected += 1
            found.lost += placed.id not in steps_seen
