"""Events that journeys wait for can happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from orchestrator.core.journey import Entry, Goal, LeaveRule
from orchestrator.core.project import EarningRule
from orchestrator.core.steps.emit import Emit
from orchestrator.core.steps.hand_over import DESK_OUTCOME
from orchestrator.core.steps.wait_for import WaitFor
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark, did_you_mean
from orchestrator.project.forms import EventsForm, JourneyForm
from orchestrator.project.holding import fault
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.conditions import kinds_of, told_by
from orchestrator.project.slips import slips
from orchestrator.project.timeline import DAY_S, moments

OURS = (DESK_OUTCOME, "link.clicked")
"""Events that Outreach itself reports."""


class UnknownEvent(Rule):
    """nothing reports the event {name!r}

    With `events` in program/project.yaml an event is one of those, one of program/events.yaml, one
    that a journey emits, or one of ours: `link.clicked`, `desk.outcome`. With program/events.yaml
    alone this holds for what triggers hear.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        declared = draft.settings.events if draft.settings else ()
        feed = draft.feed.events if draft.feed else {}
        if (declared or feed) and not draft.broken_journeys:
            known = {*declared, *feed, *OURS, *(emit.emit for _, emit in draft.each(Emit))}
            for name, mark in awaited(draft) if declared else _by_triggers(draft):
                if name not in known:
                    yield self.at(mark, _meant(name, known), name=name)


def _meant(name: str, known: set[str]) -> str:
    return did_you_mean(name, known, "declare it in program/events.yaml or project.yaml")


class MisspeltEvent(Rule):
    """is {name!r} the event {other!r}?

    It is named once, and the other, one key away, more often. Write `events` in
    program/project.yaml to say which there are.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        if draft.settings and draft.settings.events:
            return
        found = {mark for _, mark in _by_triggers(draft)} if draft.feed else set()
        heard = (it for it in awaited(draft) if it[1] not in found)  # `unknown-event` looks at them
        named = [*heard, *((it.emit, _at(draft, it)) for _, it in draft.each(Emit))]
        counts = Counter(name for name, _ in named)
        feed = draft.feed.events if draft.feed else {}
        counts.update(dict.fromkeys((*OURS, *feed), 2))
        close = slips(counts)
        for name, mark in named:
            if counts[name] == 1:
                for other in close.get(name, ()):
                    if counts[other] > 1:
                        yield self.at(mark, f"then write {other!r}", name=name, other=other)
                        break


class UnreachableGoal(Rule):
    """no event can reach this goal

    Its condition never holds, or only this project's own journeys report the event, and none of
    them with such properties, or so early.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        kinds = kinds_of(draft)
        emitted: dict[str, list[tuple[JourneyForm, Emit]]] = {}
        for form, emit in draft.each(Emit):
            emitted.setdefault(emit.emit, []).append((form, emit))
        outside: tuple[str, ...] = draft.settings.events if draft.settings else ()
        outside = (*outside, *draft.feed.events) if draft.feed else outside
        for form, goal in draft.each(Goal):
            known = {**kinds, **told_by(draft, goal)}
            why = fault(goal.condition, known) if goal.condition else None
            if why:
                yield self.at(draft.places.mark(goal, "if"), why)
            elif outside and goal.on not in (*outside, *OURS) and goal.on in emitted:
                hint = _never_emitted(goal, form, emitted[goal.on])
                if hint:
                    yield self.at(draft.places.mark(goal, "on"), hint)


def _never_emitted(goal: Goal, form: JourneyForm, emits: list[tuple[JourneyForm, Emit]]) -> str:
    """Why none of these is the goal's event, or ''."""
    test = goal.condition
    if test and test.about == "event":
        emits = [(by, it) for by, it in emits if test.holds({"event": it.with_})]
        if not emits:
            return f"it is emitted, but never so that {test.source}"
    if goal.within is None or any(by is not form for by, _ in emits):
        return ""
    within = goal.within.total_seconds() / DAY_S
    own = [it.soonest for it in moments(form.steps) if any(it.step is emit for _, emit in emits)]
    if own and min(own) > within:
        return f"it is emitted {min(own):.1f} days after entering, and `within` has passed by then"
    return ""


def heard(draft: Draft, entry: Entry) -> Iterator[tuple[str, Mark]]:
    """The events that an entry hears, and where each is named."""
    mark = draft.places.mark
    yield str(entry.on), mark(entry, "on")
    for number, unless in enumerate(entry.unless):
        written = draft.places.knows(unless)
        yield str(unless.on), mark(unless, "on") if written else mark(entry, "unless", number)


def _by_triggers(draft: Draft) -> Iterator[tuple[str, Mark]]:
    feed = (draft.feed or EventsForm()).compiled()
    for _, entry in draft.each(Entry):
        if entry.is_trigger(feed):
            yield from heard(draft, entry)


def awaited(draft: Draft) -> Iterator[tuple[str, Mark]]:
    """Every event that something is to come of, and where it is named."""
    for struct in draft.written():
        if isinstance(struct, Goal | LeaveRule | EarningRule) and struct.on is not None:
            yield struct.on, _at(draft, struct)
        elif isinstance(struct, WaitFor):
            yield struct.wait_for, _at(draft, struct)
        elif isinstance(struct, Entry) and struct.on is not None:
            yield from heard(draft, struct)


def _at(draft: Draft, struct: Struct) -> Mark:
    key = struct.word() if isinstance(struct, WaitFor | Emit) else "on"
    return draft.places.mark(struct, key)
