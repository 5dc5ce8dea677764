"""The judgement: what stood on the screens, against the plan and against what we believe we sent.

The screens come first. The database only lends names: which step a text belongs to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct

from orchestrator.cli.demo.behaviour import Heard, Player
from orchestrator.cli.demo.cast import Person
from orchestrator.core import calendar
from orchestrator.core.chance import draw
from orchestrator.core.contact import ContactClass
from orchestrator.core.project import Project
from orchestrator.core.steps.ask import Ask
from orchestrator.core.steps.send import Send
from orchestrator.store.reckoning import Entrance, Recorded

JOURNEY = "seven-days"

MUST_BE_ZERO = (
    "lost",
    "duplicates",
    "early",
    "outside_hours",
    "over_cap",
    "uninvited",
    "after_opt_out",
    "without_consent",
    "wrong_channel",
    "untold",
    "not_fired",
    "fired_in_vain",
    "ledger_imbalance",
    "oversold",
    "failed_turns",
    "unfinished",
)
"""Figures any of which, if it is not 0, fails the demo."""


class Found(Struct):
    """What the screens say: `messages` stood on them, `rerouted` of which another channel had been
    tried for. All but the first three must be 0."""

    messages: int = 0
    expected: int = 0
    rerouted: int = 0
    lost: int = 0
    duplicates: int = 0
    early: int = 0
    outside_hours: int = 0
    over_cap: int = 0
    uninvited: int = 0
    after_opt_out: int = 0
    without_consent: int = 0
    wrong_channel: int = 0
    untold: int = 0


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
    """What the screens say. A phone on which somebody improvised is not held to the script."""
    found = Found()
    for player in players:
        key = player.person.subscriber.key
        found.messages += len(player.heard)
        rows = recorded.get(key, ())
        _compare(plan, player, rows, found)
        _look_at_times(plan, player, rows, found)
        _count_days(plan, player, rows, found)
        _look_at_channels(plan, player, rows, found)
        if key in plan.activated_at:
            _look_for_uninvited(plan, player, rows, entrances.get(key), found)
        if player.improvised:
            continue
        _compare_answers(player, rows, found)
        _look_after_opt_out(plan, player, rows, found)
        if key in plan.activated_at:
            _expect_steps(plan, player, rows, entrances.get(key), found)
    return found


def _answers(row: Recorded) -> bool:
    """Whether the message is what a reply led to at once, from the bot or from a journey."""
    return not row.journey or ".reply-" in row.step


def _compare(plan: Plan, player: Player, rows: Sequence[Recorded], found: Found) -> None:
    """What was to be sent but never stood on the screen is lost; what stood there more often than
    it was sent, or twice from a journey, is a duplicate. A message that moved on to another channel
    is one message, in the words of that channel."""
    wanted = Counter(
        _face(row)
        for row in rows
        if row.state != "suppressed"
        and not _given_up(plan, player, row)
        and not _closed_on(plan, player, row)
    )
    seen = Counter(map(_shown, player.heard))
    steps = {_face(row) for row in rows if not _answers(row)}
    found.lost += sum((wanted - seen).values())
    extra = seen - Counter(map(_face, rows))
    twice = Counter({face: count - 1 for face, count in seen.items() if face in steps})
    found.duplicates += sum((extra | twice).values())


def _given_up(plan: Plan, player: Player, row: Recorded) -> bool:
    """Whether a dead channel gave the message back just when the person had opted out: then it may
    not move on."""
    stopped_at, latency = player.stopped_at, plan.latency
    word = "mms" if row.subject else "wap_push" if row.href else ""
    if stopped_at is None or word not in player.person.dead:
        return False
    refused = row.state in ("rejected", "undelivered", "expired")
    return refused and stopped_at - latency < row.queued_at < stopped_at + latency


def _closed_on(plan: Plan, player: Player, row: Recorded) -> bool:
    """Whether the hours of the message's class ended while it was on its way to the carrier: then
    it may not go, and at this speed that way is hours."""
    rules = plan.project.contact.classes[row.contact_class]
    tz = calendar.zone(player.person.subscriber.timezone)
    if row.state != "expired" or rules.hours is None or tz is None:
        return False
    return calendar.closing(row.queued_at, rules.hours, tz) < row.queued_at + plan.latency


_Face = tuple[str, str, str, bool]


def _face(row: Recorded) -> _Face:
    """What a screen that shows the message says: words, subject, link, and whether a picture."""
    return row.text, row.subject, row.href, bool(row.image)


def _shown(heard: Heard) -> _Face:
    return heard.text, heard.subject, heard.href, heard.picture


def _look_at_channels(plan: Plan, player: Player, rows: Sequence[Recorded], found: Found) -> None:
    """What a journey sends comes by the first of the step's channels that reaches this person; of
    what another channel had refused before, the message's own story says so."""
    by_face = {_face(row): row for row in rows if row.journey}
    for heard in player.heard:
        row = by_face.get(_shown(heard))
        placed = plan.project.journeys[row.journey].steps.get(row.step) if row else None
        if placed is not None and isinstance(placed.step, Send | Ask):
            first = next(filter(player.person.reached_by, placed.step.via), heard.word)
            found.wrong_channel += heard.word != first
            if row is not None and player.person.lost_by(placed.step.via, heard.word):
                found.rerouted += 1
                found.untold += not row.reason.startswith("fell back from ")


def _compare_answers(player: Player, rows: Sequence[Recorded], found: Found) -> None:
    """Everything that was said is answered, once."""
    asked, answered = len(player.said), sum(map(_answers, rows))
    found.lost += max(0, asked - answered)
    found.duplicates += max(0, answered - asked)


def _look_after_opt_out(plan: Plan, player: Player, rows: Sequence[Recorded], found: Found) -> None:
    """An opt-out is confirmed, and nothing comes after that, but what another carrier had in its
    hands: the confirmation may overtake it. One that is not confirmed is lost, and counts from when
    it was said and could have been heard."""
    stopped_at, confirmation = player.stopped_at, player.confirmation
    if stopped_at is None:
        return
    found.lost += confirmation is None
    since = confirmation.at if confirmation else stopped_at + plan.latency
    decided_before = {_face(row) for row in rows if row.queued_at < stopped_at}

    def overtaken(heard: Heard) -> bool:
        other = confirmation is not None and {heard.word, confirmation.word} == {"mms", "sms"}
        return other and heard.at < since + plan.latency and _shown(heard) in decided_before

    found.after_opt_out += sum(it.at > since and not overtaken(it) for it in player.heard)


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
        agreed = bool(player.person.subscriber.consents) or player.improvised
        if tz is None or (rules.consent == "opt_in" and not agreed):
            found.without_consent += 1
            continue
        placed = project.journeys[row.journey].steps.get(row.step)
        if placed is not None and placed.step.at and row.journey == JOURNEY and activated_at:
            at = placed.step.at
            due = calendar.on_day(activated_at, at.day, at.time, tz)
            found.early += heard.at < due
        if not _answers(row):
            found.outside_hours += not _within(rules, heard.at, plan.latency, player)


def _count_days(plan: Plan, player: Player, rows: Sequence[Recorded], found: Found) -> None:
    """On no local day came more messages to the screen than any of their classes allows. What came
    late, after its hours, counts for the day on which it went."""
    by_text = {row.text: row for row in rows if not _answers(row)}
    tz = calendar.zone(player.person.subscriber.timezone)
    if tz is None:
        return
    days: dict[date, list[float]] = {}
    for heard in player.heard:
        if (row := by_text.get(heard.text)) is not None:
            rules = plan.project.contact.classes[row.contact_class]
            hours = rules.hours
            late = hours and calendar.next_open(heard.at, hours, rules.weekdays, tz) != heard.at
            day = calendar.local_day(heard.at - plan.latency if late else heard.at, tz)
            days.setdefault(day, []).append(rules.per_day or math.inf)
    found.over_cap += int(sum(max(0, len(most) - max(most)) for most in days.values()))


def _look_for_uninvited(
    plan: Plan,
    player: Player,
    rows: Sequence[Recorded],
    entrance: Entrance | None,
    found: Found,
) -> None:
    """Nothing of the journey comes to whom its entry does not let in, or who is held out."""
    if _invited(player.person) and not _held_out(plan, entrance):
        return
    texts = {row.text for row in rows if row.journey == JOURNEY}
    found.uninvited += sum(heard.text in texts for heard in player.heard)


def _invited(person: Person) -> bool:
    return person.subscriber.attributes["network"] in ("3g", "4g", "5g")


def _held_out(plan: Plan, entrance: Entrance | None) -> bool:
    control = plan.project.journeys[JOURNEY].control
    return entrance is not None and draw("control", JOURNEY, entrance.subscriber_id) < control


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
    """Every unconditional step whose day has come must have been decided; `_compare` then looks
    for it on the screen."""
    person = player.person
    tz = calendar.zone(person.subscriber.timezone)
    if tz is None or not person.subscriber.consents or not _invited(person):
        return
    journey = plan.project.journeys[JOURNEY]
    if entrance is None:
        found.lost += 1
        return
    if _held_out(plan, entrance):
        return
    # Of somebody who opts out, what was due on their last day may or may not have been before.
    stopped_at = player.stopped_at
    until = stopped_at - timedelta(days=1) if stopped_at else plan.ends_at
    decided = {row.step for row in rows if row.journey == JOURNEY}
    activated_at = plan.activated_at[person.subscriber.key]
    for placed in journey.steps.values():
        at = placed.step.at
        if "." in placed.id or at is None or not isinstance(placed.step, Send | Ask):
            continue
        due = calendar.on_day(activated_at, at.day, at.time, tz)
        if max(due, activated_at) + plan.latency + timedelta(hours=1) < until:
            found.expected += 1
            found.lost += placed.id not in decided
