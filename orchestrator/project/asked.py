"""What a project asks about: its conditions, and the lists of numbers that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from orchestrator.core.expression import Condition
from orchestrator.core.project import Project


def lists_of(project: Project) -> frozenset[str]:
    """Every list that a contact class or a condition names."""
    asking = (project.journeys, project.segments, project.points)
    return frozenset(project.contact.lists).union(*(it.lists() for it in conditions(asking)))


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
