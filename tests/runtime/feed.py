"""A small campaign with triggers, and a feed for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.matcher import serve
from orchestrator.runtime.reports import EventShape
from tests.runtime.installation import FILES, number, rows, until_found

EVENTS = """
events:
  call.ended:
    summary: A call was hung up.
    keep: matching
    properties: {cell: text, seconds: number, note?: text}
    sets: {cell: event.cell}
  phone.off: {keep: matching, sets: {power: 'off'}}
  phone.on: {keep: matching, sets: {power: 'on'}}
  shop.bought: {properties: {amount: number}}
lateness: 5s
"""

AT_ONCE = """
journey: at-once
class: urgent
enter:
  - on: call.ended
    if: event.cell == 'campus'
again: always
steps:
  - id: hello
    send: hello
    via: [sms]
"""

WAITING = """
journey: waiting
class: urgent
enter:
  - on: call.ended
    if: event.cell == 'airport'
    after: 1s
    unless: [phone.off]
    still: state.cell == 'airport'
    once_per: 5s
again: always
steps:
  - id: hello
    send: hello
    via: [sms]
"""

TRIGGERS = {
    **FILES,
    "journeys/program/events.yaml": EVENTS,
    "journeys/at-once.yaml": AT_ONCE,
    "journeys/waiting.yaml": WAITING,
}


def clock() -> Clock:
    """One that runs as the real one does, from a fixed day on."""
    return Clock.starting(datetime(2026, 3, 2, 4, tzinfo=UTC), 1)


def event(
    n: int, name: str = "call.ended", source_id: str = "", at: datetime | None = None, **said: Any
) -> EventShape:
    """An event of the person of key `n`, named by their number."""
    if name == "call.ended":
        said = {"cell": "campus", "seconds": 60, **said}
    return EventShape(name, source_id or f"{name}:{n}", number=number(n), at=at, properties=said)


@asynccontextmanager
async def matching(context: Context) -> AsyncIterator[None]:
    """A matcher runs in this process until the block ends; then it has handed over."""
    stopping = asyncio.Event()
    task = asyncio.create_task(serve(context, stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def fired(context: Context) -> list[tuple[Any, ...]]:
    """Each trigger that fired: whose, of which journey, and the report that it was."""
    return await rows(
        context,
        "SELECT s.key, e.properties ->> 'journey', split_part(e.source_id, ':', 3) "
        "FROM events e JOIN subscribers s ON s.id = e.subscriber_id WHERE e.kind = 'trigger' "
        "ORDER BY e.id",
    )


def same(context: Context) -> Context:
    """The means of another process."""
    return replace(context, name=f"{context.name}-other")


async def report(context: Context, events: Iterable[EventShape]) -> Mapping[str, int]:
    """The events are reported: how many came to what."""
    return (await Intake(context).take([*events])).outcomes


async def judged(context: Context) -> None:
    """All that was reported is judged and committed, and nothing waits."""
    async with asyncio.timeout(60):
        while (await context.streams.backlog({})).events:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    left = (
        "SELECT (SELECT count(*) FROM trigger_waits) "
        "+ (SELECT count(*) FROM matching WHERE resume_id <> seen_id)"
    )
    await until_found(context, 0, left, patience_s=60)
