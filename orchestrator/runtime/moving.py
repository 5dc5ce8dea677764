"""People in flight on their way to another version: batch by batch, while turns go on.

Whoever applied the project moves them; sweeps go on with what a command left that died, and fetch
those whom a process that had not heard of the new project let in by the old one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import asyncpg
from msgspec import Struct

from orchestrator.core.journey import Journey
from orchestrator.core.moving import NO_HISTORY, STAYS_HELD_OUT, Place, Route, moved, routes
from orchestrator.runtime.applying import histories_of
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.projects import Projects
from orchestrator.store import moves
from orchestrator.store.moves import Move

AGAIN_S = 0.05
"""Before those are tried again whom a turn had in hand."""

Told = Callable[[Move, int], None]
"""A move, and how many people have just moved."""


class Passed(Struct, frozen=True):
    """What going over everybody once came to: how many moved, how many a turn had in hand, and
    whether it came to the end."""

    moved: int = 0
    busy: int = 0
    whole: bool = True

    def __add__(self, other: Passed) -> Passed:
        return Passed(self.moved + other.moved, self.busy + other.busy, self.whole and other.whole)


async def finish(
    connection: asyncpg.Connection,
    clock: Clock,
    told: Told = lambda move, people: None,
) -> int:
    """Nobody is left who is to move and can; returns how many have moved. Ends also if another
    project is applied meanwhile."""
    total = 0
    while True:
        passed = await go_on(connection, Projects(), clock, told=told)
        total += passed.moved
        if passed.whole and not passed.busy:
            return total
        await asyncio.sleep(AGAIN_S)


async def go_on(
    connection: asyncpg.Connection,
    projects: Projects,
    clock: Clock,
    budget_s: float = float("inf"),
    told: Told = lambda move, people: None,
) -> Passed:
    """Everybody whom the newest project moves, and whom no turn had in hand, has moved, or the
    time is over. Not in a transaction; safe to run by several at once."""
    end_at = time.monotonic() + budget_s
    passed = Passed()
    for move in await moves.current(connection):
        here = Passed()
        standing = await moves.versions_in_flight(connection, move.journey)
        sources = sorted(standing.intersection(move.sources) - {move.version})
        if sources:
            await projects.follow(connection)
            project = await projects.with_versions(connection, {move.version, *sources})
            known = await histories_of(connection, [move.journey])
            new = project.versions.get(move.version)
            for version in sources if new else ():
                old = project.versions.get(version)
                if old is not None and new is not None:
                    table = routes(old, new, move.rule, known.get(version, NO_HISTORY))
                    here += await _pass(connection, move, old, new, table, clock, end_at, told)
        if here.whole and not here.busy and move.done_at is None:
            await moves.end(connection, move, clock.now())
        passed += here
    return passed


async def _pass(
    connection: asyncpg.Connection,
    move: Move,
    old: Journey,
    new: Journey,
    table: Mapping[Place, object],
    clock: Clock,
    end_at: float,
    told: Told,
) -> Passed:
    """Everybody of one version once."""
    steps = sorted({step for (step, _), route in table.items() if isinstance(route, Route)})
    total, busy, after = 0, 0, 0
    while time.monotonic() < end_at:
        async with connection.transaction():
            if not await moves.take(connection, move):
                return Passed(total, 1, False)
            locked = await moves.lock(connection, move.journey, old.version, steps, after)
            if locked is None:
                return Passed(total, busy)
            now = clock.now()
            gone = []
            for who, (zone, enrollment) in locked.people.items():
                place = (enrollment.step or "", enrollment.waiting is not None)
                held_out = enrollment.status == "control"
                route = STAYS_HELD_OUT if held_out else table.get(place)
                if isinstance(route, Route):
                    there = moved(enrollment, old, new, move.rule, route, zone, now)
                    gone.append((who, there))
            if gone:
                await moves.save(connection, move, gone)
        after, busy, total = locked.last, busy + locked.busy, total + len(gone)
        told(move, len(gone))
    return Passed(total, busy, False)
