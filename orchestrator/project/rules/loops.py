"""Journeys that lead to each other come to an end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.core.journey import Entry
from orchestrator.core.steps.base import Step
from orchestrator.core.steps.emit import Emit
from orchestrator.core.steps.enroll import Enroll
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.forms import EventsForm, JourneyForm
from orchestrator.project.holding import fits
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.conditions import kinds_of
from orchestrator.project.timeline import A_MOMENT, moments

Edge = tuple[str, Step]
"""The journey that is entered, and the step that leads there."""


class EndlessLoop(Rule):
    """this goes round without a wait: {way}

    Journeys that enroll each other, or enter on each other's events, with `again: always` and
    nothing that takes time on the way, would carry somebody round for ever. Questions that may not
    be asked take no time either: their `silence` comes at once.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        edges = {str(form.journey): [*_edges(draft, form)] for form in draft.journeys.values()}
        told: set[frozenset[str]] = set()
        for form in draft.journeys.values():
            for way in _rounds(form.journey, edges):
                names = [form.journey, *(name for name, _ in way)]
                if frozenset(names) not in told:
                    told.add(frozenset(names))
                    step = way[-1][1]
                    hint = "put a `wait` on the way, or let one of them write `again: after 1d`"
                    mark = draft.places.mark(step, step.word())
                    yield self.at(mark, hint, way=" → ".join(names))


def _edges(draft: Draft, form: JourneyForm) -> Iterator[Edge]:
    """Where somebody who has just entered is led in no time, if they may come back there."""
    leading = [it for it in draft.within(form) if isinstance(it, Emit | Enroll)]
    if not leading:
        return
    at_once = [it.step for it in moments(form.steps) if it.soonest < A_MOMENT / 2]
    for step in at_once:
        if isinstance(step, Enroll):
            for other in draft.journeys.values():
                if other.journey == step.enroll and _may_return(other):
                    yield other.journey, step
        elif isinstance(step, Emit):
            feed = (draft.feed or EventsForm()).compiled()
            for other in draft.journeys.values():
                entries = [it for it in other.enter if not it.is_trigger(feed)]  # which hear none
                if _may_return(other) and any(_takes(draft, it, step) for it in entries):
                    yield other.journey, step


def _may_return(form: JourneyForm) -> bool:
    return form.again.after is not None and not form.again.after


def _takes(draft: Draft, entry: Entry, emit: Emit) -> bool:
    """Whether somebody may enter by what is emitted."""
    if entry.on != emit.emit:
        return False
    test = entry.condition
    if test is None:
        return True
    if test.about == "event":
        return test.holds({"event": emit.with_}) is True
    return fits([test], (), kinds_of(draft))


def _rounds(start: str, edges: Mapping[str, list[Edge]]) -> Iterator[list[Edge]]:
    """Each shortest way that leads back to `start`, which is the first of its journeys by name."""
    todo: list[list[Edge]] = [[edge] for edge in edges.get(start, ())]
    seen: set[str] = set()
    while todo:
        way = todo.pop(0)
        name = way[-1][0]
        if name == start:
            yield way
            return
        if name not in seen:
            seen.add(name)
            todo += [[*way, edge] for edge in edges.get(name, ())]
