"""How two projects differ, besides their journeys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import fields

from orchestrator.core.journey import Journey
from orchestrator.core.project import Project
from orchestrator.core.steps.base import Step

_TEMPLATE = re.compile(r"templates/(?P<name>[^.]+)\..*")


class Change(Struct, frozen=True):
    """One thing of a project that is new, says something else than before, or is gone."""

    kind: str
    name: str
    change: Literal["new", "changed", "removed"]


class StepChange(Struct, frozen=True):
    """One step of a journey that is new, gone, or says something else than before; then `what`
    names the keys."""

    step: str
    change: Literal["new", "changed", "removed"]
    what: tuple[str, ...] = ()


def between(
    before: Project | None,
    old_files: Mapping[str, str],
    after: Project,
    new_files: Mapping[str, str],
) -> tuple[Change, ...]:
    """What is new, changed and removed, by kind and name."""
    found = [*_differing("message", _messages(old_files), _messages(new_files))]
    for kind, part in _PARTS.items():
        found += _differing(kind, part(before) if before else {}, part(after))
    return tuple(found)


def of_steps(was: Journey | None, will: Journey | None) -> tuple[StepChange, ...]:
    """How the steps of two versions differ, those of the later one first. What stands within a step
    that is new or gone is not told of."""
    if was is None or will is None or was.version == will.version:
        return ()
    found: list[StepChange] = []
    for step, placed in will.steps.items():
        before = was.steps.get(step)
        if before is None:
            found.append(StepChange(step, "new"))
        elif what := _other_keys(before.step, placed.step):
            found.append(StepChange(step, "changed", what))
    found += [StepChange(step, "removed") for step in was.steps if step not in will.steps]
    whole = {it.step for it in found if it.change != "changed"}
    return tuple(it for it in found if it.step.rpartition(".")[0].rpartition(".")[0] not in whole)


def of_journey(was: Journey | None, will: Journey | None) -> tuple[str, ...]:
    """The journey's own keys by which two versions differ; `steps` if what they have in common
    stands in another order."""
    if was is None or will is None or was.version == will.version:
        return ()
    keys = [
        _WRITTEN.get(name, name)
        for name in (field.name for field in fields(Journey))
        if name not in _NOT_KEYS and getattr(was, name) != getattr(will, name)
    ]
    return (*keys, *(["steps"] if _order(was, will) != _order(will, was) else []))


def _order(journey: Journey, other: Journey) -> list[tuple[str, Any]]:
    """The steps that both have, in this one's order; and what each leads to, if both have all."""
    whole = journey.steps.keys() == other.steps.keys()
    return [
        (name, (placed.next, placed.blocks) if whole else None)
        for name, placed in journey.steps.items()
        if name in other.steps
    ]


_NOT_KEYS = frozenset({"name", "version", "first", "steps"})
_WRITTEN = {"contact_class": "class"}
"""Keys that a journey's file calls otherwise."""


def _other_keys(before: Step, after: Step) -> tuple[str, ...]:
    """The keys by which they differ, but for the steps within."""
    if type(before) is not type(after):
        return (before.word(), after.word())
    return tuple(
        field.encode_name
        for field in fields(type(after))
        if _bare(getattr(before, field.name)) != _bare(getattr(after, field.name))
    )


def _bare(value: Any) -> Any:
    """The value without the steps in it, which are told of themselves."""
    if isinstance(value, tuple):
        return tuple(_bare(it) for it in value if not isinstance(it, Step))
    if isinstance(value, Struct):
        names = [it.name for it in fields(type(value))]
        inner = {name: _bare(getattr(value, name)) for name in names}
        return (type(value), tuple(inner.items()))
    return value


def _differing(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield Change(kind, name, "new")
        elif name not in after:
            yield Change(kind, name, "removed")
        elif before[name] != after[name]:
            yield Change(kind, name, "changed")


def _messages(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Each message's texts, and each picture, by name."""
    found: dict[str, dict[str, str]] = {}
    for path, text in files.items():
        if match := _TEMPLATE.fullmatch(path):
            found.setdefault(match["name"], {})[path] = text
    return found


_PARTS: Mapping[str, Callable[[Project], Mapping[str, Any]]] = {
    "contact class": lambda project: project.contact.classes,
    "holidays": lambda project: project.contact.holidays,
    "segment": lambda project: project.segments,
    "points": lambda project: {
        "earning": project.points.earn,
        "tiers": project.points.tiers,
        "expiry": (project.points.expires, project.points.hold),
    },
    "reward": lambda project: project.rewards,
    "event": lambda project: project.feed.events,
    "area": lambda project: project.areas,
    "setting": lambda project: {
        "locale": project.locale,
        "timezone": project.timezone,
        "prices": project.prices,
        "retention": project.retention,
        "lateness": project.feed.lateness,
        "usage": project.feed.usage,
    },
}
"""What else a project has, by kind and name."""
