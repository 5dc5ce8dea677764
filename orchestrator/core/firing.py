"""What a turn makes of a trigger that fired: the rest of what its entry asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.core import calendar
from orchestrator.core.events import Triggered
from orchestrator.core.journey import Entry
from orchestrator.core.project import Project
from orchestrator.core.triggers import left_to_turn


def entry_of(project: Project, event: Triggered) -> Entry | None:
    """The entry whose trigger fired; None if it is gone, or on another event now."""
    journey = project.journeys.get(event.journey)
    if journey is None or not 0 <= event.number < len(journey.enter):
        return None
    entry = journey.enter[event.number]
    return entry if entry.on == event.name else None


def refusal(
    project: Project, event: Triggered, scope: Mapping[str, Any], timezone: str | None
) -> str:
    """Why nobody enters by this, as a key of the entry and what it says, or in words; or ''. Hours
    are those of the event, by the subscriber's clock: with an unknown zone they are never open."""
    entry = entry_of(project, event)
    if entry is None:
        return "the entry is gone"
    if entry.hours is not None:
        tz = calendar.zone(timezone)
        if tz is None:
            return "their time zone is unknown, and the entry has hours"
        if not entry.hours.holds(calendar.local_time(event.began, tz)):
            return f"hours: {entry.hours}"
    for key, condition in (("if", entry.condition), ("still", entry.still)):
        if condition is not None and left_to_turn(condition)(scope) is not True:
            return f"{key}: {condition.source}"
    return ""
