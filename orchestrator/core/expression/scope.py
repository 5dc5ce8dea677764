"""What conditions and templates see of a subscriber: one view for both."""

from __future__ import annotations

from collections.abc import Mapping
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
    view = {
        **subscriber.attributes,
        "key": subscriber.key,
        "locale": subscriber.locale,
        "timezone": subscriber.timezone,
        "tags": sorted(subscriber.tags),
        "created_at": _written(subscriber.created_at),
    }
    if usage:
        view["usage"] = used(subscriber, usage)
    return {
        "subscriber": view,
        "usage": view.get("usage"),
        "number": _number(subscriber.addresses.get("sms")),
        "points": {"balance": balance_points, "earned": earned_points},
    }


def used(subscriber: Subscriber, usage: Mapping[str, Any]) -> Any:
    """The name `usage` alone."""
    said = subscriber.attributes.get("usage")
    if not usage:
        return said
    return {**said, **usage} if isinstance(said, dict) else {**usage}


@lru_cache(maxsize=1024)
def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


@lru_cache(maxsize=1024)
def _number(address: str | None) -> int | None:
    return number_of(address)
