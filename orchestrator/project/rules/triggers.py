"""Triggers say what can be judged where events arrive by the hundred thousand."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.journey import Entry, Unless
from orchestrator.core.steps.emit import Emit
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, did_you_mean
from orchestrator.project.forms import EventsForm
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.conditions import conditions
from orchestrator.project.rules.events import OURS, heard
from orchestrator.project.rules.feed import declared

_LATER = ("subscriber", "usage", "points")


class TriggerForm(Rule):
    """`{key}` says nothing here

    `unless` and `still` are about the time `after` an event. They, `hours`, `once_per` and `sample`
    are for who enters on an event.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for _, entry in draft.each(Entry):
            for key in entry.trigger_keys():
                mark = draft.places.mark(entry, key)
                if entry.on is None:
                    hint = "leave it out, or let an event bring people in: `on: call.ended`"
                    yield self.at(mark, hint, key=key)
                elif key in ("unless", "still") and not entry.after:
                    yield self.at(mark, "say how long is waited: `after: 5m`", key=key)


class UnlessAsksLater(Rule):
    """`{name}` is not known where a wait is ended

    What ends a wait is judged where events arrive: by the event, `state`, lists and areas. In the
    `if` and `still` of a trigger, what is asked about the subscriber is judged at the end.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for _, unless in draft.each(Unless):
            names = sorted(unless.condition.names()) if unless.condition else []
            for name in names:
                if name.partition(".")[0] in _LATER:
                    hint = "ask for it in the entry's `if`"
                    yield self.at(draft.places.mark(unless, "if"), hint, name=name)
                    break


class StateElsewhere(Rule):
    """there is no `state` here

    It is known where triggers are judged: in their `if`, `still` and `unless`. `in_area('name')`
    asks about `state.cell`.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for condition, mark, owner in conditions(draft):
            asks = any(name.startswith("state.") for name in condition.names())
            if asks and not _knows_state(draft, owner):
                hint = "ask about the event, if there is one, or the subscriber:"
                hint += " in_area('campus', subscriber.home)"
                if isinstance(owner, Entry) and owner.on:
                    hint = "make it a trigger: `after: 5m`, or `once_per: 1d`"
                yield self.at(mark, hint)


class UnknownState(Rule):
    """nothing sets state.{name}

    What is known of subscribers where triggers are judged is what events of program/events.yaml
    set. `in_area('name')` asks about `state.cell`.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        known = {name for it in declared(draft).values() for name in it.sets}
        for condition, mark, owner in conditions(draft) if draft.feed else ():
            asked = (name.split(".") for name in sorted(condition.names()))
            names = [rest[0] for root, *rest in asked if root == "state" and rest]
            for name in names if names and _knows_state(draft, owner) else ():
                if name not in known:
                    otherwise = f"let an event of program/events.yaml set it: {{{name}: event.x}}"
                    yield self.at(mark, did_you_mean(name, known, otherwise), name=name)


def _knows_state(draft: Draft, owner: object) -> bool:
    feed = draft.feed or EventsForm()
    is_trigger = isinstance(owner, Entry) and owner.is_trigger(feed.compiled())
    return is_trigger or isinstance(owner, Unless)


class TriggerUnheard(Rule):
    """no trigger hears {name!r}

    Triggers are judged where events arrive from outside. What a journey emits, or what we report
    ourselves (`link.clicked`, `desk.outcome`), does not come that way.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        outside = {*(draft.settings.events if draft.settings else ())}
        outside |= {*declared(draft)}
        inside = {*OURS, *(str(emit.emit) for _, emit in draft.each(Emit))} - outside
        feed = (draft.feed or EventsForm()).compiled()
        for form in draft.journeys.values():
            for entry in form.enter:
                if entry.is_trigger(feed):
                    for name, mark in heard(draft, entry):
                        if name in inside:
                            hint = f"leave out {_keys(entry)}: who is meant can be asked in a step"
                            yield self.at(mark, hint, name=name)


def _keys(entry: Entry) -> str:
    return " and ".join(f"`{key}`" for key in entry.trigger_keys())
