"""What program/events.yaml declares is what journeys make of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from orchestrator.core.feed import EventType
from orchestrator.core.grammar import span
from orchestrator.core.journey import Goal, LeaveRule
from orchestrator.core.project import EarningRule
from orchestrator.core.steps.wait_for import WaitFor
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark, did_you_mean
from orchestrator.project.forms import EventForm
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.conditions import conditions, happening

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


LATEST = timedelta(hours=1)
"""What triggers may be held up by without anybody being asked whether it is meant."""


def declared(draft: Draft) -> Mapping[str, EventForm]:
    """The events of program/events.yaml."""
    return draft.feed.events if draft.feed else {}


class OnlyTriggersSee(Rule):
    """{name!r} is seen by triggers only

    Of an event with `keep: matching` nothing is stored but what triggers need. Goals, `leave`,
    `wait_for` and points are decided on what is stored.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        kept = {name for name, it in declared(draft).items() if it.keep == "matching"}
        for struct in draft.written() if kept else ():
            name = happening(struct)
            if name in kept and isinstance(struct, Goal | LeaveRule | EarningRule | WaitFor):
                key = struct.word() if isinstance(struct, WaitFor) else "on"
                hint = "write `keep: all` in program/events.yaml, or `emit` another event for it"
                yield self.at(draft.places.mark(struct, key), hint, name=name)


class UnknownProperty(Rule):
    """the event {event!r} does not tell {name!r}

    Where program/events.yaml says what an event tells, that is all that conditions, `sets` and
    `counts` can ask of it.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        types = {
            name: it.compiled() for name, it in (draft.feed.events if draft.feed else {}).items()
        }
        for condition, mark, owner in conditions(draft):
            event = happening(owner)
            if event in types and types[event].properties:
                asked = (it.split(".") for it in sorted(condition.names()))
                names = dict.fromkeys(it[1] for it in asked if it[0] == "event" and len(it) > 1)
                yield from self._unknown(event, types[event], names, mark)
        for event, form in declared(draft).items():
            for key, name, wanted in _own(types[event]) if types[event].properties else ():
                mark = draft.places.mark(form, key, name)
                yield from self._unknown(event, types[event], [wanted], mark)

    def _unknown(
        self, event: str, told: EventType, names: Iterable[str], mark: Mark
    ) -> Iterator[Finding]:
        for name in names:
            if name not in told.properties:
                otherwise = "add it to its `properties` in program/events.yaml"
                hint = did_you_mean(name, told.properties, otherwise)
                yield self.at(mark, hint, event=event, name=name)


def _own(told: EventType) -> Iterator[tuple[str, str, str]]:
    """The properties that its own keys ask about, each with where; `setting-form` tells of what
    can be none."""
    for key, values in (("sets", told.sets), ("counts", told.counts)):
        for name, it in values.items():
            if _NAME.fullmatch(it.property):
                yield key, name, it.property


class LongLateness(Rule):
    """triggers judge {lateness} late, and all that they hear waits in memory until then

    Every trigger that looks at more than its own event waits for those that may still come, for as
    long as `lateness`; that is a matter of seconds where a network reports at once. A matcher keeps
    all of them until then, and its memory is for minutes of a network's events, not for days.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        form = draft.feed
        if form is not None and form.lateness > LATEST and draft.places.knows(form):
            mark = draft.places.mark(form, "lateness")
            yield self.at(mark, "write at most 1h, or 30s", lateness=span(form.lateness))


class SettingForm(Rule):
    """{name!r} cannot be set to this

    What is known of subscribers is a property of an event (`cell: event.cell`) or a constant: a
    text, a number, true or false. A text that is a property's name is not meant as a constant. Its
    name is one that conditions can write: `state.cell`.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in declared(draft).values():
            for name, value in form.sets.items():
                event, _, rest = value.partition(".") if isinstance(value, str) else ("", "", "")
                sound = (
                    isinstance(value, str | int | float)
                    and (event != "event" or _NAME.fullmatch(rest))
                    and value not in form.properties
                )
                if not sound or not _NAME.fullmatch(name):
                    hint = "write a property or a constant: `cell: event.cell`, `power: 'on'`"
                    yield self.at(draft.places.mark(form, "sets", name), hint, name=name)
