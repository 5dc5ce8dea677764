"""The journeys' engine: `decide(scene, event, now)`. Pure and deterministic, so that production,
simulation, tests and `explain` run the same code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from orchestrator.core import contact, firing, verdict
from orchestrator.core.due import due_at
from orchestrator.core.effects import RerouteMessage, Suppress
from orchestrator.core.events import (
    Entered,
    Event,
    MessageFailed,
    ReplyReceived,
    SubscriberEvent,
    TimerDue,
    Triggered,
)
from orchestrator.core.expression import Condition
from orchestrator.core.here import Here
from orchestrator.core.journey import Journey, Placed
from orchestrator.core.model import Enrollment, Sent
from orchestrator.core.project import EarningRule, Heed
from orchestrator.core.scene import Decision, Scene
from orchestrator.core.stage import Stage
from orchestrator.core.steps.base import Go, Outcome, Stay, TemplateName
from orchestrator.core.steps.send import Send

MAX_STEPS = 1000
"""Steps one enrollment may take in one decision; a journey is a tree, so no real one comes near."""

_NOTHING: Mapping[str, Any] = {}
_UNHEEDED = Heed()


def decide(scene: Scene, event: Event, now: datetime) -> Decision:
    """What to do about `event`, and the scene once it is done."""
    stage = Stage(scene, now)
    stage.settle()
    if isinstance(event, TimerDue):
        _time_passed(stage)
    elif isinstance(event, SubscriberEvent):
        _event_happened(stage, event)
    elif isinstance(event, Triggered):
        _triggered(stage, event)
    elif isinstance(event, ReplyReceived):
        _reply_came(stage, event)
    elif isinstance(event, Entered):
        _enter(stage, stage.project.journeys.get(event.journey), _NOTHING)
    elif isinstance(event, MessageFailed):
        _message_failed(stage, event)
    return stage.decision()


def open_question(enrollments: Iterable[Enrollment], at: datetime) -> Enrollment | None:
    """The newest question that waited for this subscriber's answer when they wrote at `at`."""
    asked = [
        (enrollment.waiting.since, enrollment.journey, enrollment)
        for enrollment in enrollments
        if enrollment.status == "active"
        and enrollment.waiting is not None
        and enrollment.waiting.kind == "reply"
        and enrollment.waiting.since < at
    ]
    return max(asked)[2] if asked else None


def _time_passed(stage: Stage) -> None:
    now, due = stage.now, []
    for name, enrollment in stage.enrollments.items():
        at = enrollment.due_at
        if at is not None and at <= now and enrollment.ended_at is None:
            due.append((at, name))
    due.sort()
    for _, name in due:
        enrollment = stage.enrollments[name]
        halt = stage.halted.get(name)
        if halt == "cancelled":
            _end(stage, enrollment, "left", halt)
        elif enrollment.status == "control":
            _end(stage, enrollment, "finished", None)
        elif halt == "paused":
            stage.stand(enrollment)
        elif enrollment.waiting is None:
            _advance(stage, enrollment, _NOTHING)
        else:
            here = _here(stage, enrollment, _NOTHING)
            _follow(stage, enrollment, here.placed_step.on_time(here), _NOTHING)


def _event_happened(stage: Stage, event: SubscriberEvent) -> None:
    on, properties = event.name, event.properties
    heed = stage.project.heeding.get(on, _UNHEEDED)
    scope: Mapping[str, Any] | None = None  # as it was before anything came of the event
    if heed.impersonal:
        scope = {"event": properties}
    if heed.earns:
        scope = scope or stage.scope(properties)
        _earn(stage, event, heed.earns, scope)
    versions, listening = stage.project.versions, heed.listening
    for name in [*stage.enrollments]:
        enrollment = stage.enrollments[name]
        if (asked := listening.get(enrollment.version)) is not None:
            goal, rules = asked
            if (
                goal is not None
                and enrollment.goal_at is None
                and event.at >= enrollment.entered_at
                and (goal.within is None or event.at <= enrollment.entered_at + goal.within)
                and _holds(goal.condition, scope := scope or stage.scope(properties))
            ):
                enrollment = replace(enrollment, goal_at=event.at)
                stage.stand(enrollment)
            if rules and enrollment.ended_at is None:
                scope = scope or stage.scope(properties)
                if any(_holds(rule.condition, scope) for rule in rules):
                    _end(stage, enrollment, "left", on)
                    continue
        elif enrollment.version not in versions and enrollment.ended_at is None:
            stage.journey(enrollment)  # nobody knows what this event is to it
        waiting = enrollment.waiting
        if waiting is not None and waiting.kind == "event" and enrollment.ended_at is None:
            here = _here(stage, enrollment, properties)
            outcome = here.placed_step.on_event(here, event)
            if outcome is not None:
                scope = scope or stage.scope(properties)
                _follow(stage, enrollment, outcome, properties)
    for journey, conditions in heed.entered:
        for condition in conditions:
            if condition is None or stage.holds(condition, properties):
                _enter(stage, journey, properties)
                break


def _triggered(stage: Stage, event: Triggered) -> None:
    scope = stage.scope(event.properties)
    if not firing.refusal(stage.project, event, scope, stage.subscriber.timezone):
        _enter(stage, stage.project.journeys[event.journey], event.properties)


def _holds(condition: Condition | None, scope: Mapping[str, Any]) -> bool | None:
    return condition is None or condition.holds(scope)


def _earn(
    stage: Stage,
    event: SubscriberEvent,
    rules: Iterable[tuple[int, EarningRule]],
    scope: Mapping[str, Any],
) -> None:
    """What the event earns is the member's. The keys name the event, so that one that comes twice
    earns once; rules that share a reason are told apart by their order."""
    for number, rule in rules:
        if rule.condition is not None and not rule.condition.holds(scope):
            continue
        if rule.per_day is not None:
            today = stage.now.date()
            if stage.account.awards_on(today, rule.reason) >= rule.per_day:
                continue
        key = f"earn:{rule.reason}:{number}:{event.source_id}"
        stage.award(rule.award, rule.reason, key)


def _reply_came(stage: Stage, reply: ReplyReceived) -> None:
    enrollment = open_question(stage.enrollments.values(), reply.at)
    if enrollment is None:
        return
    properties = {"text": reply.text}
    here = _here(stage, enrollment, properties)
    stage.answering = f"{here.step_id}."
    outcome = here.placed_step.on_reply(here, reply)
    if outcome is not None:
        _follow(stage, enrollment, outcome, properties)


def _message_failed(stage: Stage, failed: MessageFailed) -> None:
    enrollment = stage.enrollments.get(failed.journey)
    if enrollment is None or not failed.via or stage.halted.get(failed.journey) == "cancelled":
        return
    rerouted = _rerouted(stage, replace(enrollment, run=failed.run), failed)
    if isinstance(rerouted, RerouteMessage):
        stage.effects.append(rerouted)
    else:
        reason = f"fallback: {rerouted}"
        stage.effects.append(Suppress(failed.journey, failed.step, failed.template, reason))


def _rerouted(stage: Stage, enrollment: Enrollment, failed: MessageFailed) -> RerouteMessage | str:
    """The message on its next channel, or the reason why it ends here. The contact policy is asked
    anew, of the day on which it now goes, not counting the message itself. What a reply led to is
    still an answer: nothing that was sent before holds it up."""
    policy = stage.project.contact
    rules = policy.rules(failed.contact_class)
    if refusal := contact.refusal(rules, stage.subscriber):
        return refusal
    placed = stage.journey(enrollment).steps.get(failed.step)
    if placed is None:  # a version without this step was applied since; the message still stands
        placed = Placed(failed.step, Send(send=TemplateName(failed.template)), None, {})
    here = Here(stage, enrollment, placed, _NOTHING)
    others = [sent for sent in stage.recent if sent.id != failed.message_id]
    at = verdict.next_opening(
        rules,
        stage.subscriber,
        () if ".reply-" in failed.step else policy.counted(others),
        failed.template,
        failed.journey,
        stage.now,
        stage.around(here),
    )
    if isinstance(at, str):
        return at
    message = stage.compose(here, failed.template, failed.via, at)
    if isinstance(message, str):
        return message
    moved = Sent(at, failed.template, failed.journey, failed.contact_class, failed.message_id)
    stage.recent = (*others, moved)
    return RerouteMessage(failed.message_id, message, at)


def _enter(stage: Stage, journey: Journey | None, properties: Mapping[str, Any]) -> None:
    entered = stage.enter(journey) if journey is not None else None
    if entered is not None and entered.status == "active":
        _advance(stage, entered, properties)


def _advance(stage: Stage, enrollment: Enrollment, properties: Mapping[str, Any]) -> None:
    """The enrollment's step is started, and those after it, until one waits or none is left."""
    journey = stage.journey(enrollment)
    looked_at = -1
    for _ in range(MAX_STEPS):
        if enrollment.step is None:
            return _end(stage, enrollment, "finished", None)
        if looked_at != stage.changes:
            looked_at = stage.changes
            if reason := _leave_reason(stage, journey, properties):
                return _end(stage, enrollment, "left", reason)
        placed = journey.steps[enrollment.step]
        if placed.step.at is not None:
            due = due_at(journey, enrollment, placed, stage.subscriber.timezone, stage.now)
            if due > stage.now:
                return stage.stand(replace(enrollment, due_at=due, waiting=None))
        if stage.halted and (halt := stage.halted.get(enrollment.journey)):
            if halt == "cancelled":
                return _end(stage, enrollment, "left", halt)
            return stage.stand(replace(enrollment, due_at=stage.now, waiting=None))
        outcome = Here(stage, enrollment, placed, properties).begin()
        put_off = isinstance(outcome, Stay) and outcome.waiting is None
        if placed.step.at is not None and not put_off:
            enrollment = replace(enrollment, ran_at=stage.now, ran_step=placed.id)
        settled = _settle(stage, enrollment, outcome)
        if settled is None:
            return None
        enrollment = settled
    raise RuntimeError(f"{journey.name} took {MAX_STEPS} steps at once")


def _follow(
    stage: Stage, enrollment: Enrollment, outcome: Outcome, properties: Mapping[str, Any]
) -> None:
    """A waiting step has its answer: the enrollment goes where that leads."""
    settled = _settle(stage, enrollment, outcome)
    if settled is not None:
        _advance(stage, settled, properties)


def _settle(stage: Stage, enrollment: Enrollment, outcome: Outcome) -> Enrollment | None:
    """Where the enrollment goes on, or None if it now rests."""
    if isinstance(outcome, Go):
        return replace(enrollment, step=outcome.to, waiting=None)
    if isinstance(outcome, Stay):
        stage.stand(replace(enrollment, due_at=outcome.until, waiting=outcome.waiting))
    else:
        _end(stage, enrollment, "left", outcome.reason)
    return None


def _leave_reason(stage: Stage, journey: Journey, properties: Mapping[str, Any]) -> str:
    """Why the subscriber leaves before the next step, or ''."""
    rules = stage.project.contact.rules(journey.contact_class)
    if contact.refused(rules, stage.subscriber.consents) == "opted_out":
        return "opted_out"
    for condition in journey.leave_if:
        if stage.holds(condition, properties):
            return condition.source
    return ""


def _end(stage: Stage, enrollment: Enrollment, status: str, reason: str | None) -> None:
    """The enrollment is over. Who was held out stays known as such: they are compared with."""
    stage.stand(
        replace(
            enrollment,
            status="control" if enrollment.status == "control" else status,
            step=None,
            due_at=None,
            waiting=None,
            ended_at=stage.now,
            reason=reason,
        )
    )


def leave_all(stage: Stage, refused: Iterable[Enrollment], reason: str) -> None:
    """Those enrollments end: after an opt-out, nothing of theirs may go out any more."""
    for enrollment in refused:
        _end(stage, enrollment, "left", reason)


def _here(stage: Stage, enrollment: Enrollment, properties: Mapping[str, Any]) -> Here:
    assert enrollment.step is not None
    placed = stage.journey(enrollment).steps[enrollment.step]
    return Here(stage, enrollment, placed, properties)
