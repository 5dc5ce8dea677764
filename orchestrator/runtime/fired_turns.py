"""The turns of those for whom triggers fired: at once in the matcher while they are few, else by
workers, who are rung for now and then. What fired is stored before: nothing is lost here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from orchestrator.runtime.context import Context
from orchestrator.runtime.turn import take_named

FEW_PER_S = 40
"""While so few triggers fire, those they fire for have their turn here, at once: it spares them the
way to a worker. With more of them, our time is for matching."""

RING_EVERY_S = 0.2
"""Workers are rung for no oftener: they look after all that waits."""

log = logging.getLogger(__name__)


class FiredTurns:
    """Those of one matcher. Whoever fired is a subscriber id and their shard."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._left, self._fired_at = float(FEW_PER_S), time.monotonic()
        self._waiting: list[tuple[int, int]] = []
        self._turning: asyncio.Task[None] | None = None
        self._unrung: set[int] = set()
        self._rung_at = float("-inf")

    async def let(self, fired: Sequence[tuple[int, int]]) -> None:
        """They have their turn, here or by a worker."""
        now = time.monotonic()
        left = self._left + FEW_PER_S * (now - self._fired_at)
        self._left = max(-FEW_PER_S, min(FEW_PER_S, left) - len(fired))
        self._fired_at = now
        if self._left >= 0 and len(self._waiting) + len(fired) <= FEW_PER_S:
            self._waiting += fired
            if self._waiting and (self._turning is None or self._turning.done()):
                self._turning = asyncio.create_task(self._turn())
        else:
            self._unrung |= {shard for _, shard in fired}
            await self.ring(RING_EVERY_S)

    async def ring(self, every_s: float = 0.0) -> None:
        """Workers know of all whose turn it is, unless they were rung for so lately."""
        if self._unrung and time.monotonic() - self._rung_at >= every_s:
            self._rung_at = time.monotonic()
            shards, self._unrung = self._unrung, set()
            await self._context.bell.ring_turns(shards)

    async def ended(self, patience_s: float) -> None:
        """Nobody has their turn here any more, unless it takes longer than that."""
        if self._turning is not None:
            await asyncio.wait({self._turning}, timeout=patience_s)

    async def _turn(self) -> None:
        """They have their turn: those who came meanwhile together, after those before them."""
        context = self._context
        while self._waiting:
            fired, self._waiting = self._waiting, []
            try:
                taken = await take_named(context, [*dict.fromkeys(who for who, _ in fired)])
            except Exception as error:  # it is stored: a worker tries as well
                log.warning("turn_left_to_worker error=%s", type(error).__name__)
                await context.bell.ring_turns({shard for _, shard in fired})
            else:
                await context.bell.ring_delivery(taken.channels)
