"""A journey is edited again and again while turns carry people through it: what everybody got is
what the applied versions allow. `python -m tests.bench.versions` does the same with real workers,
telephones, and more people."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from orchestrator.cli.apply import apply_files
from orchestrator.core.errors import OutreachError
from orchestrator.project.plan import Plan
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.settings import Settings
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_due
from orchestrator.store.ids import instant_of
from tests.runtime.edits import TEMPLATES, Applied, Author, Received, Version, entry, first, judge
from tests.runtime.installation import EVERY_SHARD, FILES, NOON, happened, installed, people, rows

PEOPLE = 240
EDITS = 14
HOURS_PER_SECOND = 24


def files(version: Version) -> dict[str, str]:
    return {**FILES, **TEMPLATES, "journeys/tour.yaml": version.written()}


def foreseen(plan: Plan) -> bool:
    """The author looks: nobody is to meet anything twice."""
    assert not any(stand.again for it in plan.journeys for stand in it.moving)
    return True


@pytest.mark.parametrize("seed", [1])
async def test_everybody_gets_what_the_applied_versions_allow(
    seed: int, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    author = Author(first(6), chance)
    clock = Clock.starting(NOON, HOURS_PER_SECOND * 3600)
    env = {"DATABASE_URL": database_url, "OUTREACH_SECRET": "the secret of this test only"}
    settings = msgspec.structs.replace(Settings.from_env(env, tmp_path), clock=clock)
    begun = files(author.version)
    applied = [Applied(author.version, NOON, NOON)]
    ended = asyncio.Event()
    refused: list[str] = []
    async with installed(
        database_url, redis_url, begun, clock=clock, batch=20, connections=8
    ) as office:
        await people(office, range(PEOPLE))

        async def work() -> None:
            while not ended.is_set():
                if not (await take_due(office, EVERY_SHARD)).subscribers:
                    await asyncio.sleep(0.02)

        async def sweeping() -> None:
            while not ended.is_set():
                await sweep(office)
                await asyncio.sleep(0.2)

        async def enter() -> None:
            for n in range(0, PEOPLE, 20):
                await happened(office, [str(i) for i in range(n, n + 20)], "tour.asked")
                await asyncio.sleep(0.3)

        workers = [asyncio.create_task(it()) for it in (work, work, sweeping)]
        entering = asyncio.create_task(enter())
        for _ in range(EDITS):
            await asyncio.sleep(0.2)
            version, at = author.edit(), clock.now()
            try:
                await apply_files(settings, database_url, files(version), agree=foreseen)
                applied.append(Applied(version, at, clock.now()))
            except OutreachError as error:
                refused.append(error.message)
                author.take_back()
        await entering
        under_way = "SELECT count(*) FROM enrollments WHERE ended_at IS NULL"
        async with asyncio.timeout(150):
            while any(found := await rows(office, under_way)) and found[0][0]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        ended.set()
        await asyncio.gather(*workers)
        got = await rows(
            office,
            "SELECT e.entered_at, array_agg(m.id ORDER BY m.id),"
            " array_agg(m.template ORDER BY m.id)"
            " FROM enrollments e LEFT JOIN messages m USING (subscriber_id)"
            " WHERE e.journey = 'tour' GROUP BY e.subscriber_id, e.entered_at",
        )
        assert len(got) == PEOPLE
        assert await rows(office, "SELECT count(*) FROM failures") == [(0,)]
        moved = (await rows(office, "SELECT coalesce(sum(moved), 0)::int FROM moves"))[0][0]
    patience = timedelta(hours=HOURS_PER_SECOND)
    for entered_at, ids, templates in got:
        messages = [(name, instant_of(i)) for i, name in zip(ids, templates, strict=True) if name]
        received = Received(entered_at, messages, finished=True)
        assert not (why := judge(applied, received, entry(applied, entered_at, patience))), why
    assert len(applied) > EDITS // 3
    assert all("stranded" in why or "did not foresee" in why for why in refused), refused
    assert moved > PEOPLE // 4
