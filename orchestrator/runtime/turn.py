"""Turns: lock some subscribers, decide for each, commit. The only way state changes."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from bot import router
from orchestrator.core import engine
from orchestrator.core.effects import Effect
from orchestrator.core.events import ReplyReceived, TimerDue
from orchestrator.runtime.context import Context
from orchestrator.store import decisions, events, failures, points, scenes, stock
from orchestrator.store.decisions import Decided
from orchestrator.store.scenes import Case

FRESH_S = 2.0
"""Real seconds in which a reply belongs to the process that received it: in a turn with hundreds of
others it would wait for all of them."""

log = logging.getLogger(__name__)

Claim = Callable[[asyncpg.Connection], Awaitable[list[asyncpg.Record]]]


class Taken(Struct, frozen=True):
    """What a batch of turns came to: how many subscribers had one, how many of them failed, and
    which channels now have something to deliver."""

    subscribers: int
    failed: int = 0
    channels: frozenset[str] = frozenset()


async def take_due(context: Context, shards: Sequence[int]) -> Taken:
    """Up to a batch of subscribers of these shards, with something due, have had their turn."""
    clock, limit = context.clock, context.batch
    real = (await context.real_now()).timestamp()
    now, fresh = clock.domain_at(real), clock.domain_at(real - FRESH_S)
    return await _take(
        context, lambda connection: scenes.claim_due(connection, shards, now, limit, fresh), now
    )


async def take_named(context: Context, subscriber_ids: Iterable[int]) -> Taken:
    """These subscribers have had their turn, now. Waits for other turns of theirs to end."""
    wanted = sorted(set(subscriber_ids))
    now = await context.now()
    return await _take(context, lambda connection: scenes.claim_named(connection, wanted), now)


async def _take(context: Context, claim: Claim, now: datetime) -> Taken:
    """One transaction for all whom `claim` locks. If it fails, it is taken in halves, until the
    one subscriber it fails for stands alone and is put aside."""
    claimed: list[int] = []
    try:
        async with context.pool.acquire() as connection:
            began_at = time.monotonic()
            async with connection.transaction():
                rows = await claim(connection)
                claimed = [row["id"] for row in rows]
                if not rows:
                    return Taken(0)
                whole, decided = await turn(context, connection, rows, now)
        context.meters.turn_taken(len(rows), time.monotonic() - began_at, decided)
        context.meters.turns_failed(whole.failed)
        return whole
    except Exception as error:  # a row that cannot be read, a figure that cannot be written …
        if not claimed or isinstance(error, failures.TRANSIENT):
            raise
        log.warning("turn_failed subscribers=%d error=%s", len(claimed), type(error).__name__)
        if len(claimed) == 1:
            await _put_aside(context, claimed[0], error, now)
            context.meters.turns_failed(1)
            return Taken(1, 1)
    half = len(claimed) // 2
    halves = [claimed[:half], claimed[half:]]
    taken = [
        await _take(context, lambda c, part=part: scenes.claim_named(c, part), now)  # type: ignore[misc]
        for part in halves
    ]
    return Taken(
        sum(t.subscribers for t in taken),
        sum(t.failed for t in taken),
        frozenset().union(*(t.channels for t in taken)),
    )


async def turn(
    context: Context,
    connection: asyncpg.Connection,
    rows: Sequence[asyncpg.Record],
    now: datetime,
) -> tuple[Taken, list[Decided]]:
    """These claimed subscribers have had their turn, once the caller's transaction commits; and
    what was decided for each of whom it did not fail."""
    project = context.projects.project
    cases = await scenes.load(connection, rows, project, now, context.lists)
    wanted = {e.version for case in cases for e in case.scene.enrollments.values()}
    if not wanted <= project.versions.keys():
        project = await context.projects.with_versions(connection, wanted)
        cases = [replace(case, scene=replace(case.scene, project=project)) for case in cases]
    cases = await _equip(context, connection, cases)
    free = next((case.scene.stock for case in cases if case.scene.stock), {})
    decided: list[Decided] = []
    failed: list[tuple[Case, Exception]] = []
    for case in cases:
        try:
            decision = decide_case(case, free, now)
        except Exception as error:  # whatever it is, it must stay with this one subscriber
            log.exception("decision_failed subscriber=%d", case.scene.subscriber.id)
            failed.append((case, error))
            continue
        free = decision.after.stock
        decided.append(decision)
    number = context.projects.number
    channels = await decisions.save(connection, decided, now, context.ids, context.linked, number)
    aside = {case.scene.subscriber.id for case, _ in failed}
    pairs = [(case.scene.subscriber.id, p.id) for case in cases for p in case.pending]
    await events.take(connection, [pair for pair in pairs if pair[0] not in aside], now)
    if failed:
        retry_at = now + timedelta(minutes=10)
        await failures.record(
            connection,
            [(case.scene.subscriber.id, "decide", _text(error)) for case, error in failed],
            now,
            retry_at,
        )
        await events.put_back(connection, aside, retry_at, now, failures.MOST_TRIES)
    return Taken(len(rows), len(failed), frozenset(channels)), decided


def decide_case(case: Case, free: Mapping[str, int], now: datetime) -> Decided:
    """What is to be done for one subscriber: first about what happened, in order, then about the
    timers that are due. `free` is what the decisions before this one left."""
    scene = replace(case.scene, stock=free) if free else case.scene
    effects: list[Effect] = []
    urgent = False
    for pending in case.pending:
        if isinstance(pending.event, ReplyReceived):
            decision = router.answer(scene, pending.event, now)
            urgent = True
        else:
            decision = engine.decide(scene, pending.event, now)
        effects += decision.effects
        scene = decision.scene
    decision = engine.decide(scene, TimerDue(), now)
    effects += decision.effects
    return Decided(case.scene, tuple(effects), decision.scene, urgent)


async def _equip(context: Context, connection: asyncpg.Connection, cases: list[Case]) -> list[Case]:
    """Scenes of those who replied have what a purchase needs: what is free, locked until the end
    of the turn if one of them may claim something; what they bought, their last points, chance."""
    replied = {
        case.scene.subscriber.id
        for case in cases
        if any(isinstance(pending.event, ReplyReceived) for pending in case.pending)
    }
    if not replied:
        return cases
    shopping = any(
        isinstance(pending.event, ReplyReceived) and router.shops(case.scene, pending.event)
        for case in cases
        for pending in case.pending
    )
    rewards = cases[0].scene.project.rewards
    free = await stock.lock_stock(connection, rewards) if shopping else {}
    claims = await points.load_claims(connection, replied)
    history = await points.load_history(connection, replied)
    return [
        replace(
            case,
            scene=replace(
                case.scene,
                stock=free,
                claimed=claims.get(case.scene.subscriber.id, {}),
                history=history.get(case.scene.subscriber.id, ()),
                chance=secrets.token_bytes(16),
                secret=context.secret,
            ),
        )
        if case.scene.subscriber.id in replied
        else case
        for case in cases
    ]


async def _put_aside(context: Context, subscriber_id: int, error: Exception, now: datetime) -> None:
    """One subscriber cannot be loaded or saved: what was due for them is put off, with the
    reason."""
    retry_at = now + timedelta(minutes=10)
    async with context.pool.acquire() as connection, connection.transaction():
        await scenes.claim_named(connection, [subscriber_id])
        await failures.record(connection, [(subscriber_id, "turn", _text(error))], now, retry_at)
        await events.put_back(connection, [subscriber_id], retry_at, now, failures.MOST_TRIES)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\0", "")[:500]
