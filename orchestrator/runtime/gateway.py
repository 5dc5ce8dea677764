"""The gateway: holds the carrier connections, delivers, and takes in what comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial

import asyncpg

from channels.base import Channel, Rider
from orchestrator.runtime import bell
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.errands import LOOK_S, run_errands
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.worker import (
    delivery_jobs,
    following,
    repeating,
    running_worker,
)
from orchestrator.store import outcomes

log = logging.getLogger(__name__)


@asynccontextmanager
async def holding(
    context: Context, channels: Sequence[Channel], *, alone: bool = False
) -> AsyncIterator[Ingest]:
    """This process holds these channels: their messages go out and their replies come in. Answers
    to replies go out without the detour over the bell. What operators ask of the carriers is seen
    to. `alone`: nobody else holds them, by lease, and what former holders claimed and never
    answered for is settled."""
    deliveries = {channel.name: Delivery(context, channel) for channel in channels}
    sending: set[asyncio.Task[int]] = set()

    async def deliver(names: frozenset[str]) -> None:
        for name in names & deliveries.keys():
            task = asyncio.create_task(deliveries[name].run_answers())
            sending.add(task)
            task.add_done_callback(sending.discard)
        await context.bell.ring_delivery(names - deliveries.keys())

    riders: dict[str, list[str]] = {}
    for channel in channels:
        if isinstance(channel, Rider):
            riders.setdefault(channel.over, []).append(channel.name)
    ingest = Ingest(context, deliver, riders)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(following(context))
        if alone:
            names = [channel.name for channel in channels]
            # Again and again: the last claim of one who was killed may be committed after that.
            settle = partial(_take_over, context, names)
            await stack.enter_async_context(repeating(settle, context.sweep_s, "take_over"))
        for channel in channels:
            await channel.start(ingest.inbox)
            context.meters.watch(channel)
            stack.push_async_callback(channel.stop)
            await stack.enter_async_context(
                running_worker(
                    context,
                    bell.delivery_queue(channel.name),
                    delivery_jobs(context, deliveries[channel.name]),
                    max_jobs=3,
                )
            )
        errands = partial(run_errands, context, channels, alone=alone)
        every_s = min(LOOK_S, context.sweep_s)
        await stack.enter_async_context(repeating(errands, every_s, "errands"))
        try:
            yield ingest
        finally:
            await ingest.answered()
            if sending:
                await asyncio.wait(sending, timeout=30)


async def _take_over(context: Context, channels: Sequence[str]) -> None:
    """What former holders of these channels claimed is settled, and goes out if it may."""
    now = await context.now()
    for channel in channels:
        ended = 0
        async with context.pool.acquire() as connection:
            while (some := await _end_some(context, connection, channel, now)) is not None:
                ended += some
        if ended:
            log.info("claims_taken_over channel=%s messages=%d", channel, ended)
            context.meters.lapsed(ended)
            await context.bell.ring_delivery([channel])


async def _end_some(
    context: Context, connection: asyncpg.Connection, channel: str, now: datetime
) -> int | None:
    async with connection.transaction():
        return await outcomes.end_forsaken(
            connection,
            channel,
            context.name,
            context.projects.project.contact.classes,
            now,
            context.ids,
        )
