"""The names of one project, for an editor to offer where they are referred to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct

from orchestrator.core.contact import ListName
from orchestrator.core.expression import Condition
from orchestrator.core.grammar import TagChange
from orchestrator.core.journey import SegmentName
from orchestrator.core.steps.base import EventName, JourneyName, Step, StepName, TemplateName
from orchestrator.project.draft import Draft
from orchestrator.project.forms import ClassName, ContactForm
from orchestrator.project.reader import keys
from orchestrator.project.trials.forms import StepPath

OURS = ("link.clicked",)
"""Events that the installation itself reports."""


class Vocabulary(Struct, frozen=True):
    """`offered`: the names, in order, by the type of value that refers to them. `conditions`: the
    dotted names that the project's conditions use."""

    offered: Mapping[Any, tuple[str, ...]] = {}
    conditions: tuple[str, ...] = ()


def vocabulary(draft: Draft) -> Vocabulary:
    """Every name that could be read, whatever is wrong besides."""
    said = _said(draft.written())
    contact = draft.contact or ContactForm({})
    settings = draft.settings
    segments = draft.segments.segments if draft.segments else {}
    steps = {
        (form.journey, step.id)
        for form in draft.journeys.values()
        for step in draft.within(form)
        if isinstance(step, Step) and step.id
    }
    conditions = {*said[Condition], *segments.values()}
    lists = {*contact.not_on, *said[ListName]}.union(*(it.lists() for it in conditions))
    feed = draft.feed.events if draft.feed else {}
    areas = draft.map.areas if draft.map else {}
    found: dict[Any, Iterable[str]] = {
        TemplateName: draft.template_files,
        JourneyName: (form.journey for form in draft.journeys.values()),
        ClassName: contact.classes,
        SegmentName: segments,
        ListName: lists,
        StepName: ("leave", *(step for _, step in steps)),
        StepPath: (f"{journey}/{step}" for journey, step in steps),
        EventName: (*said[EventName], *(settings.events if settings else ()), *feed, *OURS),
        Condition: (
            *(f"in_area('{name}', event.cell)" for name in areas),
            *(f"in_list('{name}')" for name in lists),
        ),
        TagChange: (sign + tag for tag in {it.tag for it in said[TagChange]} for sign in "+-"),
    }
    known = {*settings.attributes} if settings else set()
    return Vocabulary(
        {kind: tuple(sorted(set(names))) for kind, names in found.items()},
        tuple(sorted(known.union(*(it.names() for it in conditions)))),
    )


_TELLING: tuple[Any, ...] = (ListName, EventName, TagChange, Condition)
"""The types whose values tell of a name."""


def _said(written: Iterable[Struct]) -> dict[Any, list[Any]]:
    """Every value of these types in the Structs' own fields."""
    said: dict[Any, list[Any]] = {kind: [] for kind in _TELLING}
    for struct in written:
        for name, kind, several in _telling(type(struct)):
            value = getattr(struct, name)
            if several:
                said[kind].extend(value)
            elif value is not None:
                said[kind].append(value)
    return said


@cache
def _telling(struct: type[Struct]) -> tuple[tuple[str, Any, bool], ...]:
    """The fields of these types, or of several of one: name, type, and which it is."""
    return tuple(
        (entry.name, kind, entry.type == _several(kind))
        for entry in keys(struct).values()
        for kind in _TELLING
        if entry.type in (kind, kind | None, _several(kind))
    )


def _several(kind: Any) -> Any:
    return tuple[kind, ...]
