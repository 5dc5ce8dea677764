"""What a project asks about: its conditions, the lists of numbers that they name, and events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from orchestrator.core.expression import Condition
from orchestrator.core.project import Project
from orchestrator.core.steps.emit import Emit
from orchestrator.core.steps.wait_for import WaitFor


def lists_of(project: Project) -> frozenset[str]:
    """Every list that a contact class or a condition names."""
    asking = (project.journeys, project.segments, project.points)
    return frozenset(project.contact.lists).union(*(it.lists() for it in conditions(asking)))


def events_of(project: Project) -> frozenset[str]:
    """Every event that it declares, hears or emits."""
    journeys = project.journeys.values()
    placed = [it.step for journey in journeys for it in journey.steps.values()]
    return frozenset(
        (
            *project.feed.events,
            *project.entering,
            *project.earning,
            *(it.on for journey in journeys for it in journey.leave if it.on),
            *(journey.goal.on for journey in journeys if journey.goal),
            *(it.on for journey in journeys for entry in journey.enter for it in entry.unless),
            *(it.wait_for for it in placed if isinstance(it, WaitFor)),
            *(it.emit for it in placed if isinstance(it, Emit)),
        )
    )


def conditions(value: Any) -> Iterator[Condition]:
    """Every condition within."""
    if isinstance(value, Condition):
        yield value
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from conditions(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from conditions(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from conditions(inner)
