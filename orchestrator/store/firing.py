"""What fired, as events that wait for their subscribers' turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from orchestrator.core.sieve import Who
from orchestrator.core.standing import Fired
from orchestrator.store import events, json, subscribers
from orchestrator.store.events import NewEvent
from orchestrator.store.ids import Ids

SOURCE = "trigger"
"""Where events of triggers come from."""


async def add(
    connection: asyncpg.Connection, fired: Sequence[Fired], now: datetime, ids: Ids
) -> tuple[list[tuple[int, int]], int]:
    """In the caller's transaction, what fired waits for its subscribers' turns, in the order of
    firing. Returns (subscriber id, shard) of each event that is new, and how many fired for nobody
    we know."""
    keys = {it.who for it in fired if isinstance(it.who, str)}
    numbers = {("sms", f"+{it.who}") for it in fired if isinstance(it.who, int)}
    owners = await subscribers.held_owners(connection, numbers) if numbers else {}
    named = await subscribers.find_keys(connection, keys) if keys else {}
    known: dict[Who, tuple[int, int]] = dict(named.items())
    for (_, address), owner in owners.items():
        known[int(address[1:])] = owner.subscriber_id, owner.shard
    news = [
        NewEvent(
            *known[it.who],
            "trigger",
            it.name,
            _properties(it),
            _instant(it.at),
            SOURCE,
            _source_id(it),
        )
        for it in _in_order(fired)
        if it.who in known
    ]
    stored = await events.add(connection, news, now, ids)
    return stored, len(fired) - len(news)


def columns(
    fired: Sequence[Fired], now: datetime, ids: Ids
) -> tuple[list[int], list[str], list[str], list[str], list[float], list[str]]:
    """What fired for telephones, in the order of firing: ids of its events, numbers, names,
    properties, instants and source ids."""
    some = _in_order(fired)
    first, number = ids.begin(now)
    ids.made(len(some))
    return (
        [first + (it >> 12 << 22) + (it & 0xFFF) for it in range(number, number + len(some))],
        [f"+{it.who}" for it in some],
        [it.name for it in some],
        [json.encode(_properties(it)) for it in some],
        [it.at for it in some],
        [_source_id(it) for it in some],
    )


def _in_order(fired: Sequence[Fired]) -> list[Fired]:
    return sorted(fired, key=lambda it: (it.at, it.source_id))


def _properties(it: Fired) -> Mapping[str, Any]:
    return {
        "journey": it.journey,
        "number": it.number,
        "began": _instant(it.began),
        "event": it.properties,
    }


def _source_id(it: Fired) -> str:
    return f"{it.journey}:{it.number}:{it.source_id}"


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
