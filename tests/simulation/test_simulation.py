"""A thousand worlds, each interleaved by its seed, each judged; and the same again when asked."""

from __future__ import annotations

import pytest

from tests.simulation.run import Report, theatre

CHUNKS, CHUNK = 20, 50


@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_whatever_is_interleaved_nothing_is_lost_or_done_twice(
    database_url: str, chunk: int
) -> None:
    report = Report()
    async with theatre(database_url) as stage:
        await stage.play(range(chunk * CHUNK, (chunk + 1) * CHUNK), report)
    assert report.seeds == CHUNK
    assert not report.failures, report.line()
    assert report.kills > 0
    assert report.blocks > 0


async def test_the_same_seed_does_the_same_again(database_url: str) -> None:
    seeds = range(4711, 4719)
    async with theatre(database_url) as stage:
        await stage.play(seeds, Report())
        once = stage.digests
        await stage.clear()
        stage.digests = {}
        await stage.play(reversed(seeds), Report())
    assert len(set(once.values())) == len(seeds)
    assert stage.digests == once
