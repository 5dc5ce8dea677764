"""Whom triggers fired for have their turn: by the matcher, or by workers that are rung for."""

from __future__ import annotations

import asyncpg
from msgspec.structs import replace

from orchestrator.core.model import SHARDS
from orchestrator.runtime.bell import LANES, TURNS
from orchestrator.runtime.context import Context
from orchestrator.runtime.fired_turns import FEW_PER_S, FiredTurns
from tests.runtime.installation import happened, people, value

CROWD = [(n, n % SHARDS) for n in range(max(FEW_PER_S + 1, SHARDS))]


async def rung(context: Context) -> set[str]:
    """The turn jobs that wait, which then do no more."""
    redis = context.streams.redis
    jobs = await redis.zrange(TURNS, 0, -1)
    await redis.flushdb()
    return {it.decode().split(":")[1] for it in jobs}


async def test_a_few_have_their_turn_here_one_batch_after_the_other(office: Context) -> None:
    known = await people(office, range(5))
    await happened(office, known)
    await rung(office)
    turns = FiredTurns(office)
    for who in known.values():
        await turns.let([(who, 0)])
    await turns.ended(30)
    assert await value(office, "SELECT count(*) FROM events WHERE taken_at IS NULL") == 0
    assert "0" not in await rung(office)


async def test_for_those_whose_turn_fails_here_a_worker_is_rung(office: Context) -> None:
    never_opened = asyncpg.create_pool("postgresql://nobody@localhost/nowhere")
    turns = FiredTurns(replace(office, pool=never_opened))
    await turns.let([(1, 5)])
    await turns.ended(30)
    assert await rung(office) == {"5"}


async def test_for_a_crowd_workers_are_rung_and_for_nobody_never(office: Context) -> None:
    turns = FiredTurns(office)
    everywhere = {str(lane) for lane in range(LANES)}
    await turns.let(CROWD)
    assert await rung(office) == everywhere
    await turns.let(CROWD)
    await turns.ring()
    assert await rung(office) == everywhere, "those of the second time too"
    await turns.ring()
    assert await rung(office) == set()
