"""Many seeds on one database, one after the other, and what they came to."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from msgspec import Struct, field

from orchestrator.runtime import deliver
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.projects import Projects, apply
from orchestrator.store import retention
from orchestrator.store.checks import examine
from tests.simulation.campaign import FILES
from tests.simulation.connections import SETTINGS, Stock
from tests.simulation.judge import WITNESS, verdict
from tests.simulation.retelling import differing
from tests.simulation.schedule import WorldTime, yielding
from tests.simulation.world import NOON, Means, World

TOGETHER = 25
"""Worlds that the doctor looks at together: it reads whole tables."""

RETOLD = 10
"""Of so many worlds one is told anew."""

PATIENCE_S = 60.0
"""Real seconds after which a world is stuck."""

END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

TOLD_SOLD_OUT = """
SELECT subscriber_id FROM messages
WHERE subscriber_id = ANY($1::bigint[]) AND template = 'bot/sold-out'
"""

CLEAR = """
TRUNCATE subscribers, addresses, consent_records, enrollments, past_enrollments, events, sources,
    messages, attempts, parked_receipts, suppressions, failures, accounts, entries, lots, lives,
    holds, codes, witness, witness_claims CASCADE;
UPDATE stock SET reserved = 0, sold = 0, free = stock
"""


class Failure(Struct):
    """A seed whose world was not as it should be."""

    seed: int
    problems: list[str]
    replay: str


class Report(Struct):
    """What some seeds came to."""

    seeds: int = 0
    failures: list[Failure] = field(default_factory=list)
    steps: int = 0
    statements: int = 0
    kills: int = 0
    blocks: int = 0
    deadlocks: int = 0
    handed: int = 0
    seconds: float = 0.0

    def add(self, seed: int, problems: list[str]) -> None:
        """That seed failed."""
        replay = f"python -m tests.simulation --seed {seed} --trace"
        self.failures.append(Failure(seed, problems, replay))

    def line(self) -> str:
        """For people."""
        lines = [
            f"seed {it.seed}: {problem}" for it in self.failures for problem in it.problems[:5]
        ]
        return "\n".join([*lines, *(it.replay for it in self.failures)])


class Theatre:
    """A database on which worlds are run."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._unseen: list[int] = []
        self.traces: dict[int, list[str]] = {}
        self.digests: dict[int, str] = {}
        """What tells the trace of each seed from any other."""

    async def play(self, seeds: Iterable[int], report: Report, keep: bool = False) -> None:
        """These seeds have been run and judged, into `report`."""
        began = time.monotonic()
        for seed in seeds:
            await self._means.stock.grow(6)
            random.seed(seed)  # how long the code itself waits between two tries
            world = World(seed, self._means)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await world.run()
                problems = await verdict(world, self._means.monitor)
                if seed % RETOLD == 0:
                    problems += await self._retold(world)
            except TimeoutError:
                problems = [f"stuck after {world.schedule.trace[-1:]}"]
                for member in world.staff:
                    member.life.dead = True
            report.seeds += 1
            report.steps += world.schedule.steps
            report.statements += world.schedule.statements
            report.kills += world.kills
            report.blocks += world.schedule.blocks
            report.deadlocks += world.schedule.deadlocks
            report.handed += len(world.carrier.handed)
            self.digests[seed] = world.schedule.digest()
            if keep:
                self.traces[seed] = [*world.schedule.trace]
            self._unseen.append(seed)
            # The next world would forget them, if it lasts for days.
            await self._means.monitor.execute("DELETE FROM parked_receipts")
            if problems:
                report.add(seed, problems)
                await self.clear()
            elif len(self._unseen) >= TOGETHER:
                await self._examine(report, world)
        if self._unseen:
            await self._examine(report, world)
        report.seconds += round(time.monotonic() - began, 2)

    async def _retold(self, world: World) -> list[str]:
        """But for those who were told that something is sold out: how much there was is not on
        record."""
        monitor, project = self._means.monitor, self._means.projects.project
        late = {row[0] for row in await monitor.fetch(TOLD_SOLD_OUT, world.ids)}
        return await differing(monitor, [it for it in world.ids if it not in late], project)

    async def _examine(self, report: Report, world: World) -> None:
        """The doctor finds nothing; what is found is the seed's whose people it names."""
        now = world.domain(world.schedule.now)
        findings = await examine(self._means.monitor, now)
        lines = [f"{it.check}: {line}" for it in findings for line in it.found]
        by_seed: dict[int, list[str]] = {}
        for line in lines:
            named = re.search(r"subscriber (\d+)-\d|member (\d+)", line)
            seed = self._unseen[-1]
            if named:
                seed = int(named[1]) if named[1] else int(named[2]) // 16
            by_seed.setdefault(seed, []).append(line)
        for seed, theirs in by_seed.items():
            report.add(seed, theirs)
        if lines:
            await self.clear()
        self._unseen = []

    async def clear(self) -> None:
        """Nothing of the worlds that were is left for the next."""
        await self._means.stock.close()
        await self._means.monitor.fetch(END_OTHERS)
        await self._means.monitor.execute(CLEAR)
        self._unseen = []


@asynccontextmanager
async def theatre(database_url: str) -> AsyncIterator[Theatre]:
    """Worlds can be run on this database, which is migrated and empty."""
    monitor = await asyncpg.connect(database_url, server_settings=SETTINGS)
    stock = Stock(database_url)
    try:
        await monitor.execute(WITNESS)
        projects = Projects()
        await apply(monitor, FILES, NOON)
        await projects.follow(monitor)
        # What is kept for how long is not played here: how far it has come depends on pages.
        await retention.ensure(monitor, NOON.replace(year=2999))
        await stock.grow(6)
        with pytest.MonkeyPatch.context() as patch:
            # A record that PostgreSQL was away for waits in the world's time.
            patch.setattr(Delivery._record.retry, "sleep", yielding)
            # How much a gateway claims follows how long the carrier takes.
            patch.setattr(deliver, "time", WorldTime)
            yield Theatre(Means(stock, monitor, projects))
    finally:
        await stock.close()
        await monitor.close()
