"""Reports that were set aside, taken again by the project that runs now."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.runtime.context import Context
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.reports import Broken, EventShape, read_one
from orchestrator.runtime.worker import following
from orchestrator.store import set_aside

BATCH = 500


class Again(Struct, frozen=True):
    """How many reports were taken after all, and how many remain set aside."""

    taken: int
    remain: int


async def take_again(context: Context) -> Again:
    """Every report that is set aside is taken, as of when it came, or remains. Safe to repeat, and
    to stop anywhere: what was taken twice is known by its source id. Raises FullError."""
    taken = remain = after = 0
    async with following(context):
        intake = Intake(context)
        while True:
            async with context.pool.acquire() as connection:
                rows = await set_aside.read(connection, after, BATCH)
            if not rows:
                return Again(taken, remain)
            after = rows[-1].id
            good: list[tuple[int, EventShape]] = []
            broken: list[Broken] = []
            for position, row in enumerate(rows):
                found = read_one(row.body.encode(), position)
                if isinstance(found, Broken):
                    broken.append(found)
                else:
                    declared = intake.triggers.project.feed.events.get(found.name)
                    if found.at is None and not (declared and declared.fault(found.properties)):
                        found = replace(found, at=row.at)
                    good.append((position, found))
            for source in {row.source for row in rows}:
                some = [it for it in good if rows[it[0]].source == source]
                places = [position for position, _ in some]
                done = await intake.take([it for _, it in some], source, positions=places)
                gone = [rows[place].id for place in places if place not in {*done.set_aside}]
                async with context.pool.acquire() as connection:
                    await set_aside.delete(connection, gone)
                taken += len(gone)
                remain += len(done.set_aside)
            remain += len(broken)
