"""Delivery: messages claimed, handed to their channel, and what it said recorded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta

from tenacity import (
    retry,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from channels.base import Channel
from orchestrator.core.delivery import Outcome
from orchestrator.runtime.context import Context
from orchestrator.store import failures, messages
from orchestrator.store.messages import ATTEMPT_SIZE, Claim

LEASE = timedelta(seconds=120)
"""Real time a gateway has for what it claimed; afterwards its messages count as unknown. Where a
channel is one gateway's at a time, its next holder does not wait for that."""

RETRY_S = 2.0
"""Real seconds before what was not sent is tried again."""

QUICK_S = 0.15
SLOW_S = 0.4
"""A claim that its channel takes in less is followed by one of twice the size, one that it takes
longer for by one of half: what is claimed stays near what the channel takes in such a time, and
that is what the death of a gateway leaves uncertain."""

log = logging.getLogger(__name__)


class Delivery:
    """Delivers one channel's messages for as long as there are any.

    Up to `lanes` claims are under way at once, so that the carrier is not idle while PostgreSQL
    records; a call while all are busy makes them look once more. Answers to somebody who waits
    have lanes of their own, so that they pass a blast.
    """

    def __init__(self, context: Context, channel: Channel, lanes: int = 3) -> None:
        self._context = context
        self._channel = channel
        self._free = asyncio.Semaphore(lanes)
        self._free_for_answers = asyncio.Semaphore(lanes)
        # Two claims being sent fill the window while the third is recorded.
        self._fewest = max(1, -(-channel.capabilities.window // (2 * ATTEMPT_SIZE)))
        self._most = max(self._fewest, context.batch // ATTEMPT_SIZE)
        self._attempts = self._fewest

    async def run(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Everything that waited has been submitted, unless `go_on` ended that between two claims;
        returns how many messages that were. Returns at once while the channel is down: a sweep
        will ring again."""
        count = 0
        async with self._free:
            while go_on() and self._channel.health() == "up":
                sent = await self._deliver_some()
                if sent is None:
                    break
                count += sent
        return count

    async def run_answers(self) -> int:
        """Every answer that somebody waits for has been submitted; returns how many."""
        count = 0
        async with self._free_for_answers:
            while self._channel.health() == "up":
                sent = await self._deliver_some(urgent=True)
                if sent is None:
                    break
                count += sent
        return count

    async def _deliver_some(self, urgent: bool = False) -> int | None:
        context = self._context
        real_now = await context.real_now()
        async with context.pool.acquire() as connection, connection.transaction():
            claim = await messages.claim(
                connection,
                self._channel.name,
                context.name,
                context.clock.domain_at(real_now.timestamp()),
                real_now + LEASE,
                self._attempts,
                context.ids,
                urgent,
            )
        if not claim.attempts:
            return None
        began_at = time.monotonic()
        outcomes = await self._channel.send([m.outgoing for m in claim.messages])
        took_s = time.monotonic() - began_at
        context.meters.submitted(self._channel.name, outcomes, took_s)
        if not urgent:
            self._follow(took_s, len(claim.attempts))
        waiting = await self._record(claim, outcomes)
        if waiting:
            await context.bell.ring_turns(range(64))
        return len(claim.messages)

    def _follow(self, took_s: float, attempts: int) -> None:
        """The next claims are as large as the time that this one took asks for."""
        if took_s > SLOW_S:
            self._attempts = max(self._fewest, self._attempts // 2)
        elif took_s < QUICK_S and attempts >= self._attempts:
            self._attempts = min(self._most, self._attempts * 2)

    # What was sent must not be forgotten because PostgreSQL is away for a moment; once the lease
    # is over, it counts as unknown. Safe to repeat, see `messages.record`.
    @retry(
        retry=retry_if_exception_type(failures.TRANSIENT),
        stop=stop_after_delay(LEASE),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        before_sleep=lambda state: log.warning("record_waits try=%d", state.attempt_number),
        reraise=True,
    )
    async def _record(self, claim: Claim, outcomes: list[Outcome]) -> list[int]:
        context = self._context
        clock, real = context.clock, (await context.real_now()).timestamp()
        async with context.pool.acquire() as connection, connection.transaction():
            return await messages.record(
                connection,
                self._channel.name,
                claim,
                outcomes,
                context.projects.project.contact.classes,
                clock.domain_at(real),
                clock.domain_at(real + RETRY_S),
                context.ids,
            )
