"""What conditions and templates see of a subscriber: one view for both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from orchestrator.core.model import Subscriber
from orchestrator.core.telephone import number_of

BUILT_IN = ("key", "locale", "timezone", "tags", "created_at")
"""Names under `subscriber` that no attribute can take; every other name is an attribute."""


def subscriber_scope(
    subscriber: Subscriber,
    *,
    balance_points: int = 0,
    earned_points: int = 0,
    usage: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """The names `subscriber`, `usage` and `points`, as plain JSON values, and the telephone number
    that `in_list` asks about. `usage` is what was counted of them: it takes the place of what an
    import said under the same names. Tags are a sorted list, `created_at` is text like
    2026-01-31T09:30:00Z. Add `event` where something has happened, `state` in a trigger, and
    `lists` (numbers by list) and `areas` wherever they are known."""
    view, said = person(subscriber), used(subscriber, usage)
    return {
        "subscriber": {**view, "usage": said} if usage else view,
        "usage": said,
        "number": _number(subscriber.addresses.get("sms")),
        "points": {"balance": balance_points, "earned": earned_points},
    }


_at_hand: tuple[Subscriber | None, dict[str, Any]] = (None, {})


def person(subscriber: Subscriber) -> dict[str, Any]:
    """The name `subscriber`, without what was counted. Much is asked of one person before the next
    one comes."""
    global _at_hand
    known, view = _at_hand
    if known is not subscriber:
        view = {
            **subscriber.attributes,
            "key": subscriber.key,
            "locale": subscriber.locale,
            "timezone": subscriber.timezone,
            "tags": sorted(subscriber.tags),
            "created_at": _written(subscriber.created_at),
        }
        _at_hand = subscriber, view
    return view


def used(subscriber: Subscriber, usage: Mapping[str, Any]) -> Any:
    """The name `usage` alone."""
    said = subscriber.attributes.get("usage")
    if not usage:
        return said
    return {**said, **usage} if isinstance(said, dict) else {**usage}


def used_by_name(subscriber: Subscriber, usage: Mapping[str, Any]) -> Any:
    """The same for who asks for nothing but `usage.x`: what is not asked for is not added up."""
    said = subscriber.attributes.get("usage")
    if said is None:
        return usage
    return _Either(usage, said) if isinstance(said, dict) else usage or said


def asks_of_use(names: Iterable[str]) -> bool:
    """Whether one of these dotted names may lead to what was counted."""
    return any(it == "subscriber" or it.startswith(("usage", "subscriber.usage")) for it in names)


class _Either:
    """What the first says, or else the second, for who asks by name."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
        self._first, self._second = first, second

    def __getitem__(self, name: str) -> Any:
        try:
            return self._first[name]
        except KeyError:
            return self._second[name]


@lru_cache(maxsize=1024)
def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


@lru_cache(maxsize=1024)
def _number(address: str | None) -> int | None:
    return number_of(address)
