"""`wait_for`: an event is waited for, for so long."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import field

from orchestrator.core.events import SubscriberEvent
from orchestrator.core.expression import Condition
from orchestrator.core.model import Waiting
from orchestrator.core.steps.base import Block, EventName, Outcome, Stay, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class WaitFor(Step, frozen=True, kw_only=True):
    """Wait for an event: `then` if it happens `within` the time, `else` if not. Only what happens
    after the wait began counts, and only if `if` holds for it."""

    wait_for: EventName
    if_: Condition | None = field(default=None, name="if")
    within: timedelta
    then: Block = ()
    else_: Block = field(default=(), name="else")

    def blocks(self) -> Iterable[tuple[str, Block]]:
        yield "then", self.then
        yield "else", self.else_

    def start(self, here: Here) -> Outcome:
        return Stay(here.now + self.within, Waiting("event", here.now))

    def on_event(self, here: Here, event: SubscriberEvent) -> Outcome | None:
        fits = (
            event.name == self.wait_for
            and here.waiting.since < event.at <= here.until
            and (self.if_ is None or here.holds(self.if_, event.properties))
        )
        return here.into("then") if fits else None

    def on_time(self, here: Here) -> Outcome:
        return here.into("else")
