"""The names of one project, for an editor to offer where they are referred to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from orchestrator.core.contact import ListName
from orchestrator.core.expression import Condition
from orchestrator.core.grammar import TagChange
from orchestrator.core.journey import SegmentName, lay_out
from orchestrator.core.steps.base import EventName, JourneyName, StepName, TemplateName
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
    written = list(draft.written())
    contact = draft.contact or ContactForm({})
    settings = draft.settings
    lists = [*contact.not_on, *(name for it in contact.classes.values() for name in it.not_on)]
    steps = [
        (form.journey, step) for form in draft.journeys.values() for step in lay_out(form.steps)[1]
    ]
    found: dict[Any, Iterable[str]] = {
        TemplateName: draft.template_files,
        JourneyName: (form.journey for form in draft.journeys.values()),
        ClassName: contact.classes,
        SegmentName: draft.segments.segments if draft.segments else (),
        ListName: lists,
        StepName: ("leave", *(step for _, step in steps)),
        StepPath: (f"{journey}/{step}" for journey, step in steps),
        EventName: (*_values(written, EventName), *(settings.events if settings else ()), *OURS),
        TagChange: (sign + it.tag for it in _values(written, TagChange) for sign in "+-"),
    }
    conditions = [
        *_values(written, Condition),
        *(draft.segments.segments.values() if draft.segments else ()),
    ]
    known = {*settings.attributes} if settings else set()
    return Vocabulary(
        {kind: tuple(sorted(set(names))) for kind, names in found.items()},
        tuple(sorted({name for it in conditions for name in it.names()} | known)),
    )


def _values(written: Iterable[Struct], kind: Any) -> Iterator[Any]:
    """Every value of this type in the Structs' own fields."""
    for struct in written:
        for entry in keys(type(struct)).values():
            value = getattr(struct, entry.name)
            if value is not None and entry.type in (kind, kind | None):
                yield value
            elif entry.type == tuple[kind, ...]:
                yield from value
