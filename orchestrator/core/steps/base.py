"""What a step is, and what may come of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, NewType, TypeAlias

from msgspec import Struct
from msgspec.structs import fields

from orchestrator.core.events import ReplyReceived, SubscriberEvent
from orchestrator.core.grammar import At
from orchestrator.core.model import Waiting

if TYPE_CHECKING:
    from orchestrator.core.here import Here

TemplateName = NewType("TemplateName", str)
"""A message under templates/, without locale and suffix: `seven-days/entrance`."""

ViaWord = NewType("ViaWord", str)
"""A channel, or `chat` for any chat channel."""

EventName = NewType("EventName", str)
JourneyName = NewType("JourneyName", str)

StepName = NewType("StepName", str)
"""The `id` of a step of the same journey."""


class Go(Struct, frozen=True, gc=False):
    """The enrollment goes on at step `to`; None is the journey's end."""

    to: str | None


class Stay(Struct, frozen=True, gc=False):
    """The enrollment stays at this step until `until`. With `waiting` the step has started and
    waits for that; without, it is started (again) then."""

    until: datetime
    waiting: Waiting | None = None


class End(Struct, frozen=True, gc=False):
    """The enrollment leaves the journey here, for this reason."""

    reason: str


Outcome: TypeAlias = Go | Stay | End


class Step(Struct, frozen=True, kw_only=True):
    """One entry under `steps:`. Fields are the YAML's keys; subclasses add their own, first the
    one whose key names the type. `id` is stable over edits; `at` holds the step back until then."""

    id: str = ""
    at: At | None = None

    @classmethod
    @cache
    def word(cls) -> str:
        """The key that names this type in the YAML."""
        own = set(Step.__struct_fields__)
        return next(f.encode_name for f in fields(cls) if f.name not in own)

    def blocks(self) -> Iterable[tuple[str, Block]]:
        """The branches within, each with a label that is unique in this step."""
        return ()

    def start(self, here: Here) -> Outcome:
        """The step's work is done, or begun and to be waited for."""
        raise NotImplementedError

    def on_reply(self, here: Here, reply: ReplyReceived) -> Outcome | None:
        """What a reply does while the step waits; None if it is not for this step."""
        return None

    def on_event(self, here: Here, event: SubscriberEvent) -> Outcome | None:
        """What an event does while the step waits; None if it is not for this step."""
        return None

    def on_time(self, here: Here) -> Outcome:
        """What the end of the wait does."""
        return here.next()


Block: TypeAlias = tuple[Step, ...]
