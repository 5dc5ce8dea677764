"""When a step may run."""

from __future__ import annotations

from datetime import datetime

from orchestrator.core import calendar
from orchestrator.core.journey import Journey, Placed
from orchestrator.core.model import Enrollment


def due_at(
    journey: Journey, enrollment: Enrollment, placed: Placed, timezone: str | None, now: datetime
) -> datetime:
    """When the step may run; `now` if nothing holds it back. If the step before it ran so late that
    this one's time has passed as well, it comes at its time of day on the next day, so that two
    never go out at once unless they are written for the same moment."""
    at = placed.step.at
    if at is None:
        return now
    tz = calendar.zone(timezone) or calendar.UTC_ZONE
    due = calendar.on_day(enrollment.entered_at, at.day, at.time, tz)
    if enrollment.ran_at is not None and enrollment.ran_step is not None:
        before = journey.steps.get(enrollment.ran_step)
        if due <= enrollment.ran_at and (before is None or before.step.at != at):
            return calendar.next_at(enrollment.ran_at, at.time, tz)
    return due
