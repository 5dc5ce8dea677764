"""Why somebody did or did not get each message of a journey, with the rule. Pure: it looks at what
is on record, and asks the same contact policy that turns ask."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from orchestrator.core import firing
from orchestrator.core.contact import ContactClass
from orchestrator.core.effects import Suppress
from orchestrator.core.events import Triggered
from orchestrator.core.expression import Condition, subscriber_scope
from orchestrator.core.grammar import Pace, span
from orchestrator.core.here import Here
from orchestrator.core.journey import Entry, Journey, Placed
from orchestrator.core.model import Enrollment
from orchestrator.core.scene import Scene
from orchestrator.core.stage import Stage

STATES = {
    "queued": "waits for a gateway of its channel",
    "submitting": "a gateway is handing it to the carrier",
    "accepted": "the carrier took it and has not said more",
    "rejected": "the carrier refused it",
    "unknown": "the carrier never answered: it may have arrived, so it is held",
    "delivered": "it arrived",
    "undelivered": "the carrier could not deliver it",
    "expired": "its time ran out before it could be delivered",
    "suppressed": "it was dropped before it was handed to a carrier",
}
"""What each state of a message means, for people."""

RULES = {
    "opted_out": "they refused {purpose} or everything",
    "no_consent": "nothing on record says that they agreed to {purpose}, which is opt_in",
    "unknown_zone": "their time zone is unknown, and the class has hours or caps: fail closed",
    "never_open": "the class's hours and weekdays are never open",
    "outside_hours": "outside the class's hours or weekdays",
    "on_list": "their number is on a list that the class names",
    "list_stale": "a list that the class names was never loaded, or is older than it may be",
    "holiday": "a public holiday where they live",
    "holidays_expired": "nobody knows today's holidays where they live: the pack is missing, or "
    "past its valid_until",
    "avoided": "an hour that the class or the journey avoids",
    "same_message": "they had the same message less than {same_message} ago",
    "other_journey": "another campaign wrote to them less than {other_journey} ago",
    "per_day": "they had {per_day} that day, the class's cap",
    "per_week": "they had {per_week} that week, the class's cap",
    "per_campaign": "they had {per_campaign} in this run of the journey, the class's cap",
    "gap": "the last message was less than {gap} ago",
    "no_channel": "none of the step's channels reaches them, or has wording",
    "no_message": "the template is gone from the project",
    "render_failed": "the template failed for them",
}
"""Reasons for not sending, by the rule behind each. Unknown ones are told as they are."""

_FIGURE = re.compile(r"\{(\w+)\}")


class Letter(Struct, frozen=True):
    """A message on record."""

    at: datetime
    journey: str
    run: int
    step: str
    template: str
    state: str
    channel: str
    code: str = ""
    reason: str = ""
    may_duplicate: bool = False


class Refusal(Struct, frozen=True):
    """A message that did not go, or not then, on record."""

    at: datetime
    journey: str
    step: str
    template: str
    reason: str
    until: datetime | None = None


class Happened(Struct, frozen=True):
    """The last event of a name."""

    at: datetime
    properties: Mapping[str, Any]


class Record(Struct, frozen=True):
    """All that is on record about messages to one subscriber, oldest first, the last event of each
    name, and the triggers that fired for them, oldest first."""

    letters: Sequence[Letter] = ()
    refusals: Sequence[Refusal] = ()
    events: Mapping[str, Happened] = {}
    fired: Sequence[Triggered] = ()


class Reason(Struct, frozen=True, omit_defaults=True):
    """Why one message went or did not. `outcome`: a message's state, `not_sent`, `put_off`,
    `to_come`, or `goes_now`; `why` is for people, `rule` the policy's word."""

    step: str
    template: str
    outcome: str
    why: str
    rule: str = ""
    at: datetime | None = None
    until: datetime | None = None


class Explanation(Struct, frozen=True):
    """One journey, as it went for one subscriber: whether and why they are in it, and each of its
    messages, in order of time."""

    journey: str
    standing: str
    messages: tuple[Reason, ...]


def explain(scene: Scene, record: Record, journey: str, now: datetime) -> Explanation:
    """Why this subscriber did or did not get the messages of `journey`."""
    enrollment = scene.enrollments.get(journey)
    version = _version(scene, journey, enrollment)
    rules = scene.project.contact.classes.get(version.contact_class) if version else None
    pace = scene.project.paces.get(journey)
    reasons = [_sent(it, pace) for it in record.letters if it.journey == journey]
    reasons += [_refused(it, rules) for it in record.refusals if it.journey == journey]
    reasons.sort(key=lambda it: it.at or now)
    if enrollment is not None and version is not None and (next_ := _now(scene, version, now)):
        reasons.append(next_)
    if enrollment is None:
        standing = _not_in(scene, record, version)
    else:
        standing = _standing(enrollment, version, now)
    if halt := scene.halted.get(journey):
        standing += f" ({halt} by an operator)"
    return Explanation(journey, standing, tuple(reasons))


def rule_text(reason: str, rules: ContactClass | None) -> str:
    """What a reason means under these rules, for people."""
    word, _, more = (part.strip() for part in reason.partition(":"))
    if word == "fallback":
        return f"its channel failed, and the next was not tried: {rule_text(more, rules)}"
    text = RULES.get(word)
    if text is None:
        return reason
    figures = {name: _figure(getattr(rules, name, None)) for name in _FIGURE.findall(text)}
    if "" in figures.values():  # the class has no such rule any more
        return reason
    return text.format(**figures) + (f": {more}" if more else "")


def _figure(value: timedelta | int | str | None) -> str:
    """A rule's figure, as its author writes it; '' if there is none."""
    if value is None:
        return ""
    return span(value) if isinstance(value, timedelta) else str(value)


def _version(scene: Scene, journey: str, enrollment: Enrollment | None) -> Journey | None:
    known = scene.project.versions.get(enrollment.version) if enrollment else None
    return known or scene.project.journeys.get(journey)


def _sent(letter: Letter, pace: Pace | None) -> Reason:
    why = STATES.get(letter.state, letter.state)
    if pace is not None and letter.state == "queued":
        why += f", and for the journey's pace of {pace}"
    for more in (letter.reason, letter.code):
        why += f" ({more})" if more else ""
    why += "; it was sent again after no answer and may have come twice" * letter.may_duplicate
    return Reason(
        letter.step, letter.template, letter.state, f"by {letter.channel}: {why}", at=letter.at
    )


def _refused(it: Refusal, rules: ContactClass | None) -> Reason:
    outcome = "put_off" if it.until else "not_sent"
    why = rule_text(it.reason, rules)
    return Reason(it.step, it.template, outcome, why, it.reason, it.at, it.until)


def _now(scene: Scene, version: Journey, now: datetime) -> Reason | None:
    """What the contact policy says now of the message at hand, if there is one still to go."""
    enrollment = scene.enrollments[version.name]
    placed = version.steps.get(enrollment.step or "")
    if placed is None or enrollment.status != "active" or enrollment.waiting is not None:
        return None
    template = template_of(placed)
    if not template:
        return None
    stage = Stage(scene, now)
    later = enrollment.due_at if enrollment.due_at is not None and enrollment.due_at > now else None
    if first := _before_it(stage, version):
        outcome, why = first
        return Reason(placed.id, template, outcome, f"now: {why}", until=later)
    placed.step.start(Here(stage, enrollment, placed, {}))
    rules = scene.project.contact.classes.get(version.contact_class)
    for effect in stage.effects:
        if isinstance(effect, Suppress):
            why = f"now: {rule_text(effect.reason, rules)}"
            outcome = "put_off" if effect.until else "not_sent"
            until = max(effect.until, enrollment.due_at or now) if effect.until else None
            return Reason(placed.id, template, outcome, why, effect.reason, until=until)
    if later is not None:
        why = "it waits for its time; the contact policy would let it go now"
        return Reason(placed.id, template, "to_come", why, until=later)
    return Reason(placed.id, template, "goes_now", "now: the contact policy allows it")


def _before_it(stage: Stage, version: Journey) -> tuple[str, str] | None:
    """What a turn looks at before the contact policy: whether they leave, or an operator halted
    the journey; the outcome, and why."""
    for condition in version.leave_if:
        if stage.holds(condition, {}):
            return "not_sent", f"they leave the journey, for `{condition.source}` holds"
    if halt := stage.halted.get(version.name):
        return "put_off" if halt == "paused" else "not_sent", f"an operator {halt} the journey"
    return None


def template_of(placed: Placed) -> str:
    """The template that a step sends, or ''."""
    template: str = getattr(placed.step, "send", "") or getattr(placed.step, "ask", "")
    return template


def _standing(enrollment: Enrollment, version: Journey | None, now: datetime) -> str:
    since = f"since {_time(enrollment.entered_at)}"
    if enrollment.status == "control":
        share = f" ({100 * version.control:g}%)" if version else ""
        return f"in the control group{share} {since}: sent nothing, and measured"
    if enrollment.ended_at is not None:
        because = f": {enrollment.reason}" if enrollment.reason else ""
        return f"{enrollment.status} at {_time(enrollment.ended_at)}{because}"
    waiting, due = enrollment.waiting, enrollment.due_at
    if version is None:
        return f"stands at {enrollment.step} of a version that cannot be read"
    if waiting is not None:
        kind = {"reply": "their reply", "event": "an event", "time": "time to pass"}[waiting.kind]
        until = f" until {_time(due)}" if due else ""
        return f"waits at {enrollment.step} for {kind}{until}"
    if due is not None and due <= now:
        return f"due at {enrollment.step} since {_time(due)}: a turn will look at them"
    return f"at {enrollment.step}, next looked at {_time(due) if due else 'by an event'}"


def _not_in(scene: Scene, record: Record, version: Journey | None) -> str:
    if version is None:
        return "there is no such journey"
    why = "; ".join(
        _not_fired(scene, record, version, number)
        if entry.is_trigger(scene.project.feed)
        else _missed(scene, record, entry)
        for number, entry in enumerate(version.enter)
    )
    return f"never entered: {why or 'only another journey lets people in'}"


def _not_fired(scene: Scene, record: Record, version: Journey, number: int) -> str:
    """Why a trigger did not let them in: its events are not kept, what fired is."""
    entry = version.enter[number]
    on = entry.on
    fired = [it for it in record.fired if (it.journey, it.number) == (version.name, number)]
    if not fired:
        told = f"the trigger on {on} never fired for them"
        return f"{told}; of a wait that came to nothing no record is kept" if entry.after else told
    last = fired[-1]
    told = f"the trigger on {on} fired at {_time(last.at)}"
    scope = _scope(scene, last.properties)
    refused = firing.refusal(scene.project, last, scope, scene.subscriber.timezone)
    if not refused:
        return f"{told}, and its turn is still to come, or `again` did not let them in"
    key, _, rule = refused.partition(": ")
    condition = {"if": entry.condition, "still": entry.still}.get(key)
    names = condition.names() if condition is not None else frozenset()
    saw = seen(scope, (it for it in names if not it.startswith("state.")))
    values = "".join(f", {name} = {value!r}" for name, value in saw.items())
    return f"{told}, but {f'{key} `{rule}` does not hold{values}' if rule else refused}"


def _missed(scene: Scene, record: Record, entry: Entry) -> str:
    if entry.segment is not None:
        condition = scene.project.segments[entry.segment]
        inside = condition.holds(_scope(scene, {}))
        return (
            f"they are {'now' if inside else 'not'} in the segment {entry.segment} "
            f"({_with_values(scene, condition, {})}), which is brought in on its schedule"
        )
    happened = record.events.get(entry.on or "")
    if happened is None:
        return f"the event {entry.on} never came"
    if entry.condition is None:
        return f"{entry.on} came at {_time(happened.at)}, and its turn is still to come or failed"
    holds = entry.condition.holds(_scope(scene, happened.properties))
    values = _with_values(scene, entry.condition, happened.properties)
    if holds:
        return f"{entry.on} came at {_time(happened.at)}; {values} is true now, and was not then"
    return f"{entry.on} came at {_time(happened.at)}, but {values} is not true"


def _with_values(scene: Scene, condition: Condition, properties: Mapping[str, Any]) -> str:
    """The condition with what each of its names is."""
    scope = _scope(scene, properties)
    known = seen(scope, condition.names())
    values = ", ".join(f"{name} = {value!r}" for name, value in known.items())
    return f"`{condition.source}`" + (f" with {values}" if values else "")


def seen(scope: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """What each of these dotted names is in a scope; None for what is not there."""
    return {name: _value(scope, name) for name in sorted(names)}


def _value(scope: Mapping[str, Any], name: str) -> Any:
    value: Any = scope
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _scope(scene: Scene, properties: Mapping[str, Any]) -> dict[str, Any]:
    scope = subscriber_scope(
        scene.subscriber,
        balance_points=scene.account.balance_points,
        earned_points=scene.account.earned_points,
        usage=scene.usage,
    )
    project = scene.project
    return {**scope, "event": properties, "lists": scene.members, "areas": project.areas}


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
