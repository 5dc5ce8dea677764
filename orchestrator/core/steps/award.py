"""`award`: points are earned."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import field

from orchestrator.core.steps.base import Outcome, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Award(Step, frozen=True, kw_only=True):
    """Give points, once per run of the journey; `for` is the reason the member reads; they are gone
    after `expires`, or when program/points.yaml says."""

    award: int
    for_: str = field(name="for")
    expires: timedelta | None = None

    def start(self, here: Here) -> Outcome:
        here.award(self.award, self.for_, self.expires)
        return here.next()
