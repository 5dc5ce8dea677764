"""`split`: chance picks one of several ways, for each subscriber always the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.core.chance import draw
from orchestrator.core.steps.base import Block, Outcome, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Way(Struct, frozen=True, kw_only=True):
    """One way: its `name` for reports, its `weight` against the others, and what to `do`."""

    name: str
    do: Block
    weight: int = 1


class Ways(Struct, frozen=True, kw_only=True):
    """The `ways`, of which each subscriber goes one."""

    ways: tuple[Way, ...]


class Split(Step, frozen=True, kw_only=True):
    """Send each subscriber one of several ways, in proportion to their weights."""

    split: Ways

    def blocks(self) -> Iterable[tuple[str, Block]]:
        for way in self.split.ways:
            yield way.name, way.do

    def start(self, here: Here) -> Outcome:
        return here.into(self.way(here.journey, here.step_id, here.subscriber_id))

    def way(self, journey: str, step_id: str, subscriber_id: int) -> str:
        """The way on which chance sends this subscriber."""
        ways = self.split.ways
        mark = draw("split", journey, step_id, subscriber_id) * sum(way.weight for way in ways)
        for way in ways:
            mark -= way.weight
            if mark < 0:
                return way.name
        return ways[-1].name
