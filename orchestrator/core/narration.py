"""What a decision did, line by line, with the rules it went by and the values it saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core import firing, points
from orchestrator.core.effects import (
    Effect,
    EmitEvent,
    MoveTo,
    PostEntry,
    Redeem,
    Release,
    RerouteMessage,
    Reserve,
    SendMessage,
    SetAttributes,
    SetConsent,
    SetLocale,
    Suppress,
)
from orchestrator.core.events import Event, ReplyReceived, SubscriberEvent, Triggered
from orchestrator.core.explain import rule_text, seen
from orchestrator.core.expression import subscriber_scope
from orchestrator.core.journey import Journey
from orchestrator.core.model import Enrollment, Message, Subscriber
from orchestrator.core.scene import Decision, Passed, Scene
from orchestrator.core.steps.when import When


class Line(Struct, frozen=True, omit_defaults=True):
    """One thing that a decision did: `what`, by which `rule`, and the values that the condition or
    the template `saw`."""

    what: str
    rule: str = ""
    saw: Mapping[str, Any] = {}


def changed(before: Subscriber, after: Subscriber) -> Iterator[Line]:
    """What is known otherwise now: names, not values, of what may be long."""
    for name in ("key", "locale", "timezone", "attributes", "tags", "addresses", "consents"):
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
            yield Line(f"{name}: {', '.join(sorted(changed))}")
        else:
            yield Line(name)


def lines_of(scene: Scene, event: Event, decision: Decision) -> Iterator[Line]:
    """The way through the journeys, and what was done on it."""
    properties = _properties(event)
    for passed in decision.path:
        if (line := _way(scene, decision.scene, passed, properties)) is not None:
            yield line
    running = _Running(scene)
    if isinstance(event, Triggered):
        yield _fired(event, running, scene, properties)
    for effect in decision.effects:
        running.take(effect)
        yield from _effect(effect, running, decision.scene, properties)


def _properties(event: Event) -> Mapping[str, Any]:
    if isinstance(event, SubscriberEvent | Triggered):
        return event.properties
    return {"text": event.text} if isinstance(event, ReplyReceived) else {}


class _Running:
    """The person and their points while the effects of one decision are gone through."""

    def __init__(self, scene: Scene) -> None:
        self.person = scene.subscriber
        self.balance = scene.account.balance_points
        self.earned = scene.account.earned_points
        self.usage = scene.usage

    def take(self, effect: Effect) -> None:
        match effect:
            case SetAttributes(attributes, tags):
                self.person = replace(self.person, attributes=attributes, tags=tags)
            case SetLocale(locale):
                self.person = replace(self.person, locale=locale)
            case PostEntry():
                self.balance += effect.points * (effect.credit == "available")
                self.balance -= effect.points * (effect.debit == "available")
                self.earned += effect.points * (effect.debit == "issued")

    def scope(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        known = subscriber_scope(
            self.person,
            balance_points=self.balance,
            earned_points=self.earned,
            usage=self.usage,
        )
        return {**known, "event": properties}


def _fired(
    event: Triggered, running: _Running, scene: Scene, properties: Mapping[str, Any]
) -> Line:
    """What the turn made of a trigger: the hours or the condition that did not hold, and the values
    that it saw."""
    what = f"{event.journey}: trigger {event.number + 1} fired, of {event.began:%Y-%m-%d %H:%M:%S}Z"
    project = scene.project
    scope = running.scope(properties) | {"lists": scene.members, "areas": project.areas}
    refused = firing.refusal(project, event, scope, scene.subscriber.timezone)
    key, _, rule = refused.partition(": ")
    if not rule:
        return Line(f"{what}, but {refused}" if refused else what)
    entry = firing.entry_of(project, event)
    condition = {"if": entry.condition, "still": entry.still}.get(key) if entry else None
    names = condition.names() if condition is not None else frozenset()
    saw = seen(scope, (it for it in names if not it.startswith("state.")))
    return Line(f"{what}, but `{key}` does not hold", rule, saw)


def _way(before: Scene, after: Scene, passed: Passed, properties: Mapping[str, Any]) -> Line | None:
    """A branch that was taken, with the condition that led into it."""
    if passed.way in ("", "next"):
        return Line(f"{passed.journey}: {passed.step}") if not passed.way else None
    what = f"{passed.journey}: {passed.step} goes {passed.way}"
    enrollment = after.enrollments.get(passed.journey)
    version = before.project.versions.get(enrollment.version) if enrollment else None
    step = version.steps[passed.step].step if version and passed.step in version.steps else None
    if isinstance(step, When) and passed.way.startswith("case-"):
        case = step.when[int(passed.way.removeprefix("case-")) - 1]
        if case.if_ is not None:
            scope = _Running(before).scope(properties)
            return Line(what, case.if_.source, seen(scope, case.if_.names()))
    return Line(what)


def _effect(
    effect: Effect, running: _Running, scene: Scene, properties: Mapping[str, Any]
) -> Iterator[Line]:
    match effect:
        case SendMessage(message):
            yield _sent("sends", message, running, scene, properties)
        case RerouteMessage(_, message, _):
            yield _sent("moves on:", message, running, scene, properties)
        case Suppress():
            rules = scene.project.contact.classes.get(_class_of(scene, effect.journey))
            until = f" until {effect.until:%Y-%m-%d %H:%M}Z" if effect.until else ""
            what = (
                f"puts off {effect.template}{until}" if until else f"keeps back {effect.template}"
            )
            yield Line(f"{what}: {rule_text(effect.reason, rules)}", effect.reason)
        case MoveTo(enrollment):
            yield Line(_stands(enrollment))
        case PostEntry():
            for amount, reason, _ in points.lines((effect,)):
                yield Line(f"{amount:+} points for {reason}")
        case SetAttributes(attributes, tags):
            yield Line("knows of them now", saw={**attributes, "tags": sorted(tags)})
        case SetConsent(purpose, consent):
            yield Line(f"{'yes' if consent.granted else 'no'} to {purpose} is on record")
        case SetLocale(locale):
            yield Line(f"writes in {locale}")
        case EmitEvent(name, given, _):
            yield Line(f"emits {name}", saw=given)
        case Reserve(_, reward):
            yield Line(f"holds {reward} for them")
        case Redeem(_, reward):
            yield Line(f"sells {reward}")
        case Release(_, reward):
            yield Line(f"gives {reward} back")


def _sent(
    verb: str,
    message: Message,
    running: _Running,
    scene: Scene,
    properties: Mapping[str, Any],
) -> Line:
    """A message, by which class it was allowed, and the values of the names in its template."""
    wordings = scene.project.messages.get(message.template)
    names = wordings.names() if wordings is not None else frozenset()
    saw = seen(running.scope(properties), names)
    rule = f"class {message.contact_class}"
    return Line(f"{verb} {message.template} by {message.channel}", rule, saw)


def _class_of(scene: Scene, journey: str) -> str:
    enrollment = scene.enrollments.get(journey)
    version: Journey | None = scene.project.journeys.get(journey)
    if enrollment is not None:
        version = scene.project.versions.get(enrollment.version, version)
    return version.contact_class if version is not None else ""


def _stands(enrollment: Enrollment) -> str:
    name = f"{enrollment.journey} ({enrollment.version})"
    if enrollment.ended_at is not None:
        because = f": {enrollment.reason}" if enrollment.reason else ""
        return f"{enrollment.status} {name}{because}"
    if enrollment.status == "control":
        return f"held out of {name}"
    until = f" until {enrollment.due_at:%Y-%m-%d %H:%M}Z" if enrollment.due_at else ""
    if enrollment.waiting is not None:
        return f"waits at {enrollment.step} of {name}{until}"
    return f"at {enrollment.step} of {name}{until}"
