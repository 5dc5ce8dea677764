"""`enroll`: the subscriber enters another journey as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.steps.base import JourneyName, Outcome, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Enroll(Step, frozen=True, kw_only=True):
    """Enter another journey, if its `again` allows; this one goes on."""

    enroll: JourneyName

    def start(self, here: Here) -> Outcome:
        here.enroll(self.enroll)
        return here.next()
