"""Errands: what operators ask of carriers, seen to by whoever holds their connections."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from channels.base import Channel, Querying, Recalling
from orchestrator.core.delivery import Fate
from orchestrator.runtime.context import Context
from orchestrator.store import errands
from orchestrator.store.errands import Errand, Kind

LOOK_S = 1.0
"""Real seconds between two looks, at most: somebody at a terminal waits."""

LOT = 50
"""Errands that are taken at once."""

LEASE = timedelta(minutes=5)
"""Real time that a process has for a lot; then another takes it."""

log = logging.getLogger(__name__)


async def run_errands(context: Context, channels: Sequence[Channel], *, alone: bool) -> None:
    """Carriers of these channels have been asked all that waited, as far as they are up, and what
    they said is recorded. Safe to repeat, and to run by several; see `store.errands`."""
    while up := {it.name: it for it in channels if it.health() == "up"}:
        real_now = await context.real_now()
        async with context.pool.acquire() as connection, connection.transaction():
            taken = await errands.take(
                connection,
                list(up),
                context.name,
                real_now,
                real_now + LEASE,
                LOT,
                alone=alone,
            )
        if not taken:
            return
        said = await _asked(up, taken)
        now = await context.now()
        async with context.pool.acquire() as connection, connection.transaction():
            failed = await errands.settle(connection, said, now, context.ids)
        log.info("errands_done asked=%d answered=%d", len(taken), len(said))
        if failed:
            await context.bell.ring_turns(range(64))


async def _asked(
    channels: Mapping[str, Channel], taken: Sequence[Errand]
) -> list[tuple[Errand, Fate]]:
    said: list[tuple[Errand, Fate]] = []
    groups: dict[tuple[str, Kind], list[Errand]] = {}
    for it in taken:
        if it.held is None:
            reason = "the message is over, or its words are gone"
            said.append((it, Fate(it.message_id, "cannot", reason=reason)))
        else:
            groups.setdefault((it.channel, it.kind), []).append(it)
    for (name, kind), theirs in groups.items():
        channel = channels[name]
        held = [*{it.message_id: it.held for it in theirs if it.held is not None}.values()]
        if kind == "query" and isinstance(channel, Querying):
            fates = await channel.query(held)
        elif kind == "recall" and isinstance(channel, Recalling):
            fates = await channel.recall(held)
        else:
            reason = f"{name} has no way to {_WHAT[kind]}"
            fates = [Fate(it.message_id, "cannot", reason=reason) for it in theirs]
        by_id = {fate.message_id: fate for fate in fates}
        said += [(it, by_id[it.message_id]) for it in theirs if it.message_id in by_id]
    return said


_WHAT: Mapping[Kind, str] = {
    "query": "ask what became of a message",
    "recall": "take a message back",
}
