"""Why nobody comes into a journey that is simulated: what its entries need and the audience lacks.

A figure of zero says nothing of this, and looks like a journey that does not work.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from orchestrator.core.expression import Condition, tree
from orchestrator.core.journey import Entry, Journey
from orchestrator.core.project import Project
from orchestrator.core.scene import Halt
from orchestrator.core.steps.emit import Emit
from orchestrator.core.steps.enroll import Enroll
from orchestrator.core.steps.hand_over import DESK_OUTCOME, HandOver
from orchestrator.project.audience import AudienceForm
from orchestrator.project.life import runs


def reasons(
    project: Project,
    form: AudienceForm,
    begin: datetime,
    end: datetime,
    listed: Container[str] | None = None,
    halted: Mapping[str, Halt] | None = None,
) -> dict[str, str]:
    """By journey: if nobody came into it, this is why, as far as the audience says. Real people,
    who do what `form` says, are on some of the lists `listed`; without it, people are made up."""
    lack = _Lack(project, form, begin, end, listed)
    stopped = halted or {}
    return {
        name: f"it is {stopped[name]}" if name in stopped else "; ".join(dict.fromkeys(lack.of(it)))
        for name, it in project.journeys.items()
    }


_NOT_ASKED = ("after", "once_per")
"""Keys of a trigger that keep nobody out of its first time."""


class _Lack:
    """What this audience lacks of what journeys need."""

    def __init__(
        self,
        project: Project,
        form: AudienceForm,
        begin: datetime,
        end: datetime,
        listed: Container[str] | None,
    ) -> None:
        self._project = project
        self._real = listed is not None
        self._listed = {name for name, it in form.lists.items() if it.share}
        self._mine: Container[str] = self._listed if listed is None else listed
        self._does = {*_events(form, new=listed is None)}
        self._looked = {
            (journey, segment)
            for _, journey, segment in runs(project, begin - timedelta(microseconds=1), end)
        }
        self._emitters: dict[str, list[str]] = {}
        self._enrollers: dict[str, list[str]] = {}
        for journey in project.journeys.values():
            for placed in journey.steps.values():
                if isinstance(placed.step, Emit):
                    self._emitters.setdefault(placed.step.emit, []).append(journey.name)
                elif isinstance(placed.step, Enroll):
                    self._enrollers.setdefault(placed.step.enroll, []).append(journey.name)
                elif isinstance(placed.step, HandOver):
                    self._emitters.setdefault(DESK_OUTCOME, []).append(journey.name)

    def of(self, journey: Journey) -> Iterator[str]:
        """Why nobody comes in, entry by entry."""
        for entry in journey.enter:
            yield self._on(entry, entry.on) if entry.on else self._in(entry, journey.name)
        if enrollers := self._enrollers.get(journey.name):
            yield f"nobody got to where {_names(enrollers)} would enroll them"
        elif not journey.enter:
            yield "it has no entry, and no journey enrolls anybody in it"

    def _on(self, entry: Entry, event: str) -> str:
        emitters = self._emitters.get(event)
        if event not in self._does:
            if emitters:
                return f"nobody got to where {_names(emitters)} would bring about {event}"
            return f"the audience has no event {event}"
        if missing := self._unlisted((entry.condition, entry.still)):
            return missing
        if keys := _keys(entry):
            return f"nobody to whom {event} happened met its {keys}"
        return f"{event} happened to nobody who could enter"

    def _in(self, entry: Entry, journey: str) -> str:
        segment = entry.segment or ""
        if (journey, segment) not in self._looked:
            return f"no run of its segment {segment} is in these days"
        if missing := self._unlisted((self._project.segments[segment], entry.condition)):
            return missing
        if keys := _keys(entry):
            return f"nobody in the segment {segment} met its {keys}"
        if self._real:
            return f"nobody is in the segment {segment} who could enter"
        return f"nobody is in the segment {segment}"

    def _unlisted(self, needed: Iterable[Condition | None]) -> str:
        """The first list that one must be on, and nobody is."""
        for condition in needed:
            for part in condition.parts() if condition else ():
                node = part.node
                if isinstance(node, tree.OnList):
                    on = self._mine if node.item is None else self._listed
                    if node.name not in on:
                        return f"nobody is on the list {node.name}"
        return ""


def _events(form: AudienceForm, new: bool) -> Iterator[str]:
    """What may happen to somebody of this audience; some of it only to those who are `new`."""
    if new and form.arrive and form.arrive.share.share:
        yield form.arrive.on
    for kind in form.people:
        if kind.weight > 0:
            yield from (it.on for it in kind.events)
    yield from (it.on for it in form.prompted if it.share.share)


def _keys(entry: Entry) -> str:
    """What the entry asks for besides, by its keys."""
    asked = [*(["if"] if entry.condition else ()), *entry.trigger_keys()]
    return _names(f"`{key}`" for key in asked if key not in _NOT_ASKED)


def _names(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))
