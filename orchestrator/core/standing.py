"""Where the matcher of one partition stands, what changes of it, and what it says. Instants are in
seconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from msgspec import Struct

from orchestrator.core.sieve import Who

Key = tuple[str, int, Who]
"""A trigger, as a journey and the number of its entry, and a subscriber."""

State = Mapping[str, tuple[float, Any]]
"""What is known of a subscriber: the value by name, and since when."""


class Begun(Struct, frozen=True, gc=False):
    """The entry `number` of `journey`, for `who`, since the event `name`, `source_id`, with these
    `properties`, which was at `began`."""

    journey: str
    number: int
    who: Who
    name: str
    began: float
    source_id: str
    properties: dict[str, Any]


class Fired(Begun, frozen=True, gc=False):
    """A trigger fired at `at`, the end of the wait."""

    at: float


class Wait(Begun, frozen=True, gc=False):
    """A trigger waits until `due`. There is one per trigger and `who`."""

    due: float


class FiredAt(Struct, frozen=True, gc=False):
    """When a trigger with `once_per` fired last for somebody, within its `hours`."""

    journey: str
    number: int
    who: Who
    at: float


class Standing(Struct, frozen=True):
    """Where a matcher stands: everything that later judgements depend on, but for the events after
    the watermark."""

    waits: tuple[Wait, ...] = ()
    states: Mapping[Who, State] = {}
    fired: tuple[FiredAt, ...] = ()
    watermark: float = -inf


class Changes(Struct, frozen=True):
    """How a standing differs from the one before. `waits` and `fired` are as they are now, instead
    of any there were of the same key; `ended` and `forgotten` are the keys of waits and firings
    that are no more. `states` are whole, one for each subscriber of whom something changed."""

    waits: tuple[Wait, ...]
    ended: tuple[Key, ...]
    states: Mapping[Who, State]
    fired: tuple[FiredAt, ...]
    forgotten: tuple[Key, ...]
    watermark: float
