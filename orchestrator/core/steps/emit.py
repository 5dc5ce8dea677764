"""`emit`: an event happens to the subscriber, as if it had come from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import field

from orchestrator.core.steps.base import EventName, Outcome, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Emit(Step, frozen=True, kw_only=True):
    """Let an event happen, `with` these properties: other journeys may enter on it or wait for
    it."""

    emit: EventName
    with_: Mapping[str, Any] = field(default_factory=dict, name="with")

    def start(self, here: Here) -> Outcome:
        here.emit(self.emit, self.with_)
        return here.next()
