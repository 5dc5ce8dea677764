"""`leave`: the journey ends here for this subscriber."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.steps.base import End, Outcome, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Leave(Step, frozen=True, kw_only=True):
    """Leave the journey; the value is the reason that reports show."""

    leave: str

    def start(self, here: Here) -> Outcome:
        return End(self.leave)
