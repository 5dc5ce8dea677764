"""The sweep: finds what nobody rang for. Losing Redis makes things late by one sweep."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from orchestrator.core.acts import Deed
from orchestrator.core.project import Project
from orchestrator.runtime import moving
from orchestrator.runtime.context import Context
from orchestrator.store import (
    acts,
    claims,
    comparing,
    due,
    halts,
    lists,
    outcomes,
    pace,
    receipts,
    retention,
)

RETENTION_S = 1.0
"""Real seconds of a sweep in which what has been kept long enough goes."""

MOVING_S = 2.0
"""Real seconds of a sweep in which people go on to another version of their journey."""

log = logging.getLogger(__name__)


async def sweep(context: Context) -> None:
    """Due work of every kind has been rung for, silent gateways' messages are settled, and the
    newest project is followed, as are lists of numbers. Safe to run anywhere, any time, any number
    of times."""
    real_now = await context.real_now()
    now = context.clock.domain_at(real_now.timestamp())
    async with context.pool.acquire() as connection:
        project = await context.projects.follow(connection)
        for name in await lists.expire(connection, now):
            log.warning("list_expired list=%s", name)
        await context.lists.follow(connection, now)
        async with connection.transaction():
            await receipts.match_parked(connection, now, context.ids)
            lapsed = await outcomes.end_lapsed(
                connection,
                real_now,
                project.contact.classes,
                now,
                context.ids,
            )
        context.meters.lapsed(lapsed)
        await halts.release(connection)
        await moving.go_on(connection, moving.Ways(context.projects), context.clock, MOVING_S)
        await pace.free(connection, project.paces)
        async with connection.transaction():
            await due.enter_segments(connection, project, now, context.ids)
        for measure in await comparing.compare(connection, project, now):
            log.info("usage_compared measure=%s", measure)
        shards = await due.due_shards(connection, now)
        channels = await claims.waiting_channels(connection, now)
    await context.bell.ring_turns(shards)
    await context.bell.ring_delivery(channels)
    await retain(context, project, now)


async def retain(context: Context, project: Project, now: datetime) -> None:
    """What has been kept long enough has begun to go, for about `RETENTION_S`; the next sweep goes
    on. Safe to run by several at once."""
    began_at = time.monotonic()
    async with context.pool.acquire() as connection:
        await retention.ensure(connection, now)
        while time.monotonic() - began_at < RETENTION_S:
            async with connection.transaction():
                taken = await retention.take(connection, project.retention, project.contact, now)
                if taken is None:
                    return
                if taken.total:
                    span = retention.span_of(project.retention, project.contact, taken.kind)
                    assert span is not None
                    after = {"rows": taken.total, "kept_days": round(span.total_seconds() / 86400)}
                    about = f"retention:{taken.kind}"
                    deed = Deed(f"process:{context.name}", "retention.ended", about, after=after)
                    await acts.record(connection, deed, now, context.secret)
            context.meters.retained(taken.kind, taken.rows)
            if taken.total:
                log.info("retention_ended kind=%s rows=%d", taken.kind, taken.total)
