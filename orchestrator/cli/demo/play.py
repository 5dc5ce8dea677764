"""The demo's course: people come, days pass, data is used, and at the end everything is quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from orchestrator.cli.demo.cast import Person, using
from orchestrator.cli.demo.show import Moment, Screen
from orchestrator.cli.demo.stage import STARTS_AT, Stage
from orchestrator.cli.demo.town import Town, report
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.store import counts, subscribers

ARRIVING = timedelta(hours=4)
"""So long into the first morning people are activated."""

AFTER = timedelta(hours=22)
"""Added to the last day, so that it is over in every zone."""

QUIET_S = 20.0
"""Real seconds that what is under way at the end has to arrive."""


def ends_at(stage: Stage, days: int) -> datetime:
    """When a demo of so many days is over."""
    return stage.begins_at + timedelta(days=days) + AFTER


async def play(
    stage: Stage, people: Sequence[Person], town: Town, days: int, screen: Screen
) -> tuple[dict[str, datetime], set[int | str]]:
    """All days have passed and everything has arrived; returns when each person was activated.
    Meanwhile the town's network reports what happens there; also returns of whom it did so too
    late."""
    clock, ingest = stage.clock, Ingest(stage.context)
    end = ends_at(stage, days)
    showing = asyncio.create_task(_show(stage, screen, end))
    reporting: asyncio.Task[set[int | str]] | None = None
    try:
        async with stage.context.pool.acquire() as connection:
            locale = stage.context.projects.project.locale
            news = [person.subscriber for person in (*people, *town.people)]
            await subscribers.upsert(connection, news, clock.now(), locale)
        reporting = asyncio.create_task(report(stage.context, town.events))
        activated = await _arrive(stage, ingest, people)
        for day in range(2, days + 2):
            # Five in the afternoon in Shanghai; data is used in the evening.
            await _until(stage, stage.begins_at + timedelta(days=day - 1, hours=9))
            await _use_data(stage, ingest, people, day)
        await _until(stage, end)
        late = await reporting
        await _quiet(stage)
    finally:
        tasks: set[asyncio.Task[Any]] = {showing} if reporting is None else {showing, reporting}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return activated, late


async def _arrive(stage: Stage, ingest: Ingest, people: Sequence[Person]) -> dict[str, datetime]:
    """Everybody is activated, spread over the first morning."""
    activated: dict[str, datetime] = {}
    parts = 12
    for part in range(parts):
        await _until(stage, stage.begins_at + part * ARRIVING / parts)
        now = stage.clock.now()
        coming = people[part::parts]
        activated |= {person.subscriber.key: now for person in coming}
        events = [
            EventIn(p.subscriber.key, "subscriber.activated", f"activated:{p.number}", now)
            for p in coming
        ]
        if events:
            await ingest.events(events, "demo")
    return activated


async def _use_data(stage: Stage, ingest: Ingest, people: Sequence[Person], day: int) -> None:
    """A day's use is known: as an event, and as the figure that conditions look at."""
    news = using(people, day)
    if not news:
        return
    async with stage.context.pool.acquire() as connection:
        locale = stage.context.projects.project.locale
        await subscribers.upsert(connection, news, stage.clock.now(), locale)
    await ingest.events(
        [
            EventIn(
                person.subscriber.key,
                "data.used",
                f"used:{person.number}:{day}",
                properties={"mb": person.uses_daily_mb},
            )
            for person in people
            if person.uses_daily_mb
        ],
        "demo",
    )


async def _until(stage: Stage, moment: datetime) -> None:
    await asyncio.sleep(stage.clock.real_seconds_until(moment))


async def _quiet(stage: Stage) -> None:
    """Nothing waits any more, no receipt is missing; or the patience is over, and the judgement
    will say what is."""

    async def settled() -> None:
        while True:
            async with stage.context.pool.acquire() as connection:
                if await _rests(connection, stage.clock.now):
                    return
            await asyncio.sleep(0.2)

    try:
        await asyncio.wait_for(settled(), QUIET_S)
    except TimeoutError:
        return


async def _rests(connection: asyncpg.Connection, now: Callable[[], datetime]) -> bool:
    waiting = await counts.waiting(connection, now())
    states = await counts.messages(connection, STARTS_AT - timedelta(days=1))
    return not (waiting.events or waiting.queued or waiting.submitting or states.get("accepted", 0))


async def _show(stage: Stage, screen: Screen, end: datetime) -> None:
    while True:
        facts = await stage.figures.ask()
        screen.show(Moment(stage.clock.now(), stage.begins_at, end, facts), stage.players)
        await asyncio.sleep(0.25)
