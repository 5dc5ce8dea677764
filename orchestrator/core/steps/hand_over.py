"""`hand_over`: a person of ours speaks with the subscriber, and says what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from orchestrator.core.events import SubscriberEvent
from orchestrator.core.model import Waiting
from orchestrator.core.steps.base import Block, Outcome, Stay, Step, TemplateName

if TYPE_CHECKING:
    from orchestrator.core.here import Here

DESK_OUTCOME = "desk.outcome"
"""The event by which a desk says what came of an item. Its properties: `outcome`, `channel`, `by`,
and the `journey`, `run` and `step` that handed it over."""

Said = Literal["accepted", "refused", "unreached", "wrong_number"]
"""What may come of it. Whoever asks to be called later stays on the list."""


class Result(Struct, frozen=True, kw_only=True):
    """One branch of `outcome`: `do` this if what came of it `is` one of these. `else` is for what
    nothing else names."""

    is_: tuple[Said, ...] = field(default=(), name="is")
    do: Block = ()
    else_: Block | None = field(default=None, name="else")


class HandOver(Step, frozen=True, kw_only=True):
    """Hand the subscriber to a person: the message's `script` block is what that person sees, `to`
    says where (`calls`: a list of calls to make; `counter`: when they come to the shop). The first
    branch of `outcome` that fits is taken; when `within` has passed, `silence` is done."""

    hand_over: TemplateName
    to: Literal["calls", "counter"]
    within: timedelta
    outcome: tuple[Result, ...] = ()
    silence: Block = ()

    def blocks(self) -> Iterable[tuple[str, Block]]:
        for number, result in enumerate(self.outcome, 1):
            yield f"outcome-{number}", result.do if result.else_ is None else result.else_
        yield "silence", self.silence

    def start(self, here: Here) -> Outcome:
        later = here.send(self.hand_over, (self.to,))
        if later:
            return Stay(later)
        if not here.sent:
            return here.into("silence")
        return Stay(here.now + self.within, Waiting("event", here.now))

    def on_event(self, here: Here, event: SubscriberEvent) -> Outcome | None:
        told = event.properties
        ours = (told.get("journey"), told.get("run"), told.get("step"))
        if event.name != DESK_OUTCOME or ours != (here.journey, here.run, here.step_id):
            return None
        for number, result in enumerate(self.outcome, 1):
            if result.else_ is not None or told.get("outcome") in result.is_:
                return here.into(f"outcome-{number}")
        return here.next()

    def on_time(self, here: Here) -> Outcome:
        return here.into("silence")
