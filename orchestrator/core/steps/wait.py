"""`wait`: nothing happens for a while."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.core import calendar
from orchestrator.core.errors import GrammarError
from orchestrator.core.grammar import WEEKDAYS, parse_duration, parse_time
from orchestrator.core.model import Waiting
from orchestrator.core.steps.base import Outcome, Stay, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Pause(Struct, frozen=True):
    """`3d`, `until 10:00` or `until monday 10:00`, local to the subscriber."""

    span: timedelta = timedelta()
    weekday: int | None = None
    time: time | None = None

    @classmethod
    def parse(cls, text: str) -> Pause:
        if not text.startswith("until"):
            return cls(parse_duration(text))
        match = re.fullmatch(r"until(?:\s+([a-z]+))?\s+(\d{1,2}:\d{2})", text)
        if not match or (match[1] and match[1] not in WEEKDAYS):
            raise GrammarError(
                f"{text!r} does not say until when",
                "write `until 10:00` or `until monday 10:00`",
            )
        weekday = WEEKDAYS.index(match[1]) if match[1] else None
        return cls(weekday=weekday, time=parse_time(match[2]))

    def end(self, now: datetime, timezone: str | None) -> datetime:
        """When a pause that begins now is over."""
        if self.time is None:
            return now + self.span
        tz = calendar.zone(timezone) or calendar.UTC_ZONE
        return calendar.next_at(now, self.time, tz, self.weekday)


class Wait(Step, frozen=True, kw_only=True):
    """Wait for a span of time, or until a local time of day."""

    wait: Pause

    def start(self, here: Here) -> Outcome:
        return Stay(self.wait.end(here.now, here.timezone), Waiting("time", here.now))
