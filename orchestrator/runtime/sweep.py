"""The sweep: finds what nobody rang for. Losing Redis makes things late by one sweep."""

from __future__ import annotations

from orchestrator.runtime.context import Context
from orchestrator.store import due, halts, messages, receipts


async def sweep(context: Context) -> None:
    """Due work of every kind has been rung for, silent gateways' messages are settled, and the
    newest project is followed. Safe to run anywhere, any time, any number of times."""
    real_now = await context.real_now()
    now = context.clock.domain_at(real_now.timestamp())
    async with context.pool.acquire() as connection:
        project = await context.projects.follow(connection)
        async with connection.transaction():
            await receipts.match_parked(connection, now, context.ids)
            lapsed = await messages.end_lapsed(
                connection,
                real_now,
                project.contact.classes,
                now,
                context.ids,
            )
        context.meters.lapsed(lapsed)
        await halts.release(connection)
        async with connection.transaction():
            await due.enter_segments(connection, project, now, context.ids)
        shards = await due.due_shards(connection, now)
        channels = await messages.waiting_channels(connection, now)
    await context.bell.ring_turns(shards)
    await context.bell.ring_delivery(channels)
