"""What arrives from the network: events by the hundred thousand, of types a project declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from types import NoneType
from typing import Any, Literal

from msgspec import Struct

from orchestrator.core.usage import Amount, Measure

Keep = Literal["all", "matching"]
"""Whether every event of a type is stored for its subscriber, or only what a trigger needs."""

PropertyKind = Literal["text", "number", "boolean", "list", "any"]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
}


class Happened(Struct, frozen=True, gc=False, array_like=True):
    """One event of a feed. `who` it happened to is their number, without +, or the key of somebody
    known without one; `at` is in seconds since 1970, UTC. The same `source_id` is the same
    event."""

    name: str
    who: int | str
    at: float
    source_id: str
    properties: dict[str, Any] = {}


class Setting(Struct, frozen=True):
    """What is known of a subscriber once an event has happened: the event's `property`, or, if that
    is empty, the constant `value`."""

    property: str = ""
    value: Any = None

    def of(self, properties: Mapping[str, Any]) -> Any:
        """The value, after an event with these properties; None if it does not say."""
        return properties.get(self.property) if self.property else self.value


class EventType(Struct, frozen=True, dict=True):
    """A declared event. `properties` says of what kind each is, `may_lack` which of them may be
    missing; others than these may come along. `sets` is what is then known of the subscriber, by
    its name under `state`; `counts` is how much of each measure it counts."""

    summary: str = ""
    keep: Keep = "all"
    properties: Mapping[str, PropertyKind] = {}
    may_lack: frozenset[str] = frozenset()
    sets: Mapping[str, Setting] = {}
    counts: Mapping[str, Amount] = {}

    def fault(self, properties: Mapping[str, Any]) -> str:
        """What about an event with these properties is not as declared, or ''."""
        for name, kind in self.properties.items():
            value = properties.get(name)
            if value is None:
                if name not in self.may_lack:
                    return f"{name} is missing"
            elif kind != "any" and type(value) not in _TYPES[kind]:
                return f"{name} is not a {kind}"
        return ""

    def fits(self, many: Sequence[Mapping[str, Any]]) -> bool:
        """Whether all of these are as declared: `fault` for all at once, in a fourth of the time.
        If not, each is to be looked at."""
        for name, right in self._kinds:
            found = {type(it.get(name)) for it in many}
            if not (found <= right if right is not None else NoneType not in found):
                return False
        return True

    @cached_property
    def _kinds(self) -> Sequence[tuple[str, frozenset[type] | None]]:
        """Of each property, which types it may have; None: any but none."""
        kinds: list[tuple[str, frozenset[type] | None]] = []
        for name, kind in self.properties.items():
            lacking = name in self.may_lack
            if kind != "any":
                kinds.append((name, frozenset([*_TYPES[kind], *([NoneType] * lacking)])))
            elif not lacking:
                kinds.append((name, None))
        return kinds


class Feed(Struct, frozen=True, dict=True):
    """The `events` that a project declares, and how late one may reach us and still count in its
    order. `usage` says with what each counted measure is compared."""

    events: Mapping[str, EventType] = {}
    lateness: timedelta = timedelta(seconds=30)
    usage: Mapping[str, Measure] = {}

    @cached_property
    def matching(self) -> frozenset[str]:
        """The events of which only what a trigger needs is kept."""
        return frozenset(name for name, it in self.events.items() if it.keep == "matching")

    @cached_property
    def setting(self) -> Mapping[str, Mapping[str, Setting]]:
        """By event, what is known of the subscriber once it has happened; others set nothing."""
        return {name: it.sets for name, it in self.events.items() if it.sets}

    @cached_property
    def state(self) -> frozenset[str]:
        """The names under `state`."""
        return frozenset(name for sets in self.setting.values() for name in sets)

    @cached_property
    def counting(self) -> Mapping[str, Mapping[str, Amount]]:
        """By event, what it counts; others count nothing."""
        return {name: it.counts for name, it in self.events.items() if it.counts}

    @cached_property
    def measures(self) -> Mapping[str, Measure]:
        """Every measure that some event counts, and with what it is compared."""
        counted = sorted({name for counts in self.counting.values() for name in counts})
        return {name: self.usage.get(name, Measure()) for name in counted}
