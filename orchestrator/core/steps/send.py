"""`send`: a message goes out, on the first channel of `via` that reaches the subscriber."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.steps.base import Outcome, Stay, Step, TemplateName, ViaWord

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Send(Step, frozen=True, kw_only=True):
    """Send a message, `via` the first of these channels that reaches the subscriber. If the
    contact policy puts it off, the step waits and tries again then; if it forbids it, the journey
    goes on without it."""

    send: TemplateName
    via: tuple[ViaWord, ...] = ()

    def start(self, here: Here) -> Outcome:
        later = here.send(self.send, self.via)
        return Stay(later) if later else here.next()
