"""`set`: the subscriber's attributes and tags change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec import field as struct_field

from orchestrator.core.grammar import TagChange
from orchestrator.core.steps.base import Outcome, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Changes(Struct, frozen=True, kw_only=True):
    """`attributes` are added or overwritten (null removes one); `tags` put on or taken off."""

    attributes: Mapping[str, Any] = {}
    tags: tuple[TagChange, ...] = ()


class Set(Step, frozen=True, kw_only=True):
    """Change what we know of the subscriber."""

    set_: Changes = struct_field(name="set")

    def start(self, here: Here) -> Outcome:
        here.set(self.set_.attributes, self.set_.tags)
        return here.next()
