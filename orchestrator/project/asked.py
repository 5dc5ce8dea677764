"""The lists of numbers that a project asks about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from orchestrator.core.expression import Condition
from orchestrator.core.project import Project


def lists_of(project: Project) -> frozenset[str]:
    """Every list that a contact class or a condition names."""
    asking = (project.journeys, project.segments, project.points)
    return frozenset(project.contact.lists).union(*(it.lists() for it in _conditions(asking)))


def _conditions(value: Any) -> Iterator[Condition]:
    if isinstance(value, Condition):
        yield value
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _conditions(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _conditions(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _conditions(inner)
