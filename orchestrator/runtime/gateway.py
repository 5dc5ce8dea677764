"""The gateway: holds the carrier connections, delivers, and takes in what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from channels.base import Channel
from orchestrator.runtime import bell
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.worker import delivery_jobs, following, running_worker


@asynccontextmanager
async def holding(context: Context, channels: Sequence[Channel]) -> AsyncIterator[Ingest]:
    """This process holds these channels: their messages go out and their replies come in. Answers
    to replies go out without the detour over the bell."""
    deliveries = {channel.name: Delivery(context, channel) for channel in channels}
    sending: set[asyncio.Task[int]] = set()

    async def deliver(names: frozenset[str]) -> None:
        for name in names & deliveries.keys():
            task = asyncio.create_task(deliveries[name].run_answers())
            sending.add(task)
            task.add_done_callback(sending.discard)
        await context.bell.ring_delivery(names - deliveries.keys())

    ingest = Ingest(context, deliver)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(following(context))
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
        try:
            yield ingest
        finally:
            await ingest.answered()
            if sending:
                await asyncio.wait(sending, timeout=30)
