"""People in flight on their way to another version: batch by batch, while turns go on.

Whoever applied the project moves them; sweeps go on with what a command left that died, and fetch
those whom a process that had not heard of the new project let in by the old one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import asyncpg
from msgspec import Struct

from orchestrator.core.journey import Journey
from orchestrator.core.moving import (
    NO_HISTORY,
    STAYS_HELD_OUT,
    Place,
    Route,
    Stranded,
    moved,
    routes,
)
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


class Way(Struct, frozen=True):
    """How people get from one version to another."""

    old: Journey
    new: Journey
    table: Mapping[Place, Route | Stranded]


class Ways:
    """How people move, found out once for each version that they come from."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects
        self._known: dict[tuple[int, str, str], Way | None] = {}

    async def of(self, connection: asyncpg.Connection, move: Move, version: str) -> Way | None:
        """The way of people in this version; None if one of the two cannot be read: they stay."""
        key = (move.project_id, move.journey, version)
        if key not in self._known:
            await self._projects.follow(connection)
            wanted = {move.version, version}
            versions = (await self._projects.with_versions(connection, wanted)).versions
            self._known[key] = None
            if wanted <= versions.keys():
                histories = await histories_of(connection, [move.journey])
                old, new = versions[version], versions[move.version]
                table = routes(old, new, move.rule, histories.get(version, NO_HISTORY))
                self._known[key] = Way(old, new, table)
        return self._known[key]


async def finish(
    connection: asyncpg.Connection,
    clock: Clock,
    told: Told = lambda move, people: None,
) -> int:
    """Nobody is left who is to move and can; returns how many have moved. Ends also if another
    project is applied meanwhile: who applied that one moves them."""
    total, ways = 0, Ways(Projects())
    ours = await moves.current(connection)
    while True:
        passed = await _all(connection, ours, ways, clock, float("inf"), told)
        total += passed.moved
        if passed.whole and not passed.busy:
            return total
        await asyncio.sleep(AGAIN_S)
        newest = await moves.current(connection)
        if {it.project_id for it in newest} != {it.project_id for it in ours}:
            return total
        ours = newest


async def go_on(
    connection: asyncpg.Connection,
    ways: Ways,
    clock: Clock,
    budget_s: float = float("inf"),
) -> Passed:
    """Everybody whom the newest project moves, and whom no turn had in hand, has moved, or the
    time is over. Not in a transaction; safe to run by several at once."""
    some = await moves.current(connection)
    return await _all(connection, some, ways, clock, budget_s, lambda move, people: None)


async def _all(
    connection: asyncpg.Connection,
    some: Sequence[Move],
    ways: Ways,
    clock: Clock,
    budget_s: float,
    told: Told,
) -> Passed:
    """As `go_on`, for these moves."""
    end_at = time.monotonic() + budget_s
    passed = Passed()
    for move in some:
        here = Passed()
        standing = await moves.versions_in_flight(connection, move.journey)
        sources = sorted(standing.intersection(move.sources) - {move.version})
        if sources and not await _free(connection, move):
            here = Passed(0, 1, False)
        else:
            for version in sources:
                if way := await ways.of(connection, move, version):
                    here += await _pass(connection, move, way, clock, end_at, told)
        if here.whole and not here.busy and move.done_at is None:
            await moves.end(connection, move, clock.now())
        passed += here
    return passed


async def _free(connection: asyncpg.Connection, move: Move) -> bool:
    """Whether nobody else is at this move, before much is read for it."""
    async with connection.transaction():
        return await moves.take(connection, move)


async def _pass(
    connection: asyncpg.Connection,
    move: Move,
    way: Way,
    clock: Clock,
    end_at: float,
    told: Told,
) -> Passed:
    """Everybody of one version once."""
    steps = sorted({step for (step, _), route in way.table.items() if isinstance(route, Route)})
    total, busy, after = 0, 0, 0
    while time.monotonic() < end_at:
        async with connection.transaction():
            if not await moves.take(connection, move):
                return Passed(total, 1, False)
            locked = await moves.lock(connection, move.journey, way.old.version, steps, after)
            if locked is None:
                return Passed(total, busy)
            now = clock.now()
            gone = []
            for who, (zone, enrollment) in locked.people.items():
                place = (enrollment.step or "", enrollment.waiting is not None)
                held_out = enrollment.status == "control"
                route = STAYS_HELD_OUT if held_out else way.table.get(place)
                if isinstance(route, Route):
                    there = moved(enrollment, way.old, way.new, move.rule, route, zone, now)
                    gone.append((who, there))
            if gone:
                await moves.save(connection, move, gone, now)
        after, busy, total = locked.last, busy + locked.busy, total + len(gone)
        told(move, len(gone))
    return Passed(total, busy, False)
