"""Delivery: messages claimed, handed to their channel, and what it said recorded."""

from __future__ import annotations

import asyncio
import logging
import math
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
from orchestrator.store import claims, failures, outcomes
from orchestrator.store.claims import ATTEMPT_SIZE, Claim

LEASE = timedelta(seconds=120)
"""Real time a gateway has for what it claimed; afterwards its messages count as unknown. Where a
channel is one gateway's at a time, its next holder does not wait for that."""

RETRY_S = 2.0
"""Real seconds before what was not sent is tried again."""

MOST_ATTEMPTS = 50
"""In one claim, however few messages they have."""

QUICK_S = 0.15
SLOW_S = 0.4
"""A claim that its channel takes in less is followed by one of twice the size, one that it takes
longer for by one of half: what is claimed stays near what the channel takes in such a time, and
that is what the death of a gateway leaves uncertain."""

NAP = timedelta(seconds=0.5)
"""Whoever waits for a journey's pace looks up so often, to see whether to stop."""

_NOTHING = Claim((), ())

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
        self._pacing: set[bool] = set()
        # Two claims being sent fill the window while the third is recorded.
        self._fewest = max(1, channel.capabilities.window // 2)
        self._most = max(self._fewest, context.batch)
        self._wanted = self._fewest
        self._per_attempt = float(ATTEMPT_SIZE)

    async def run(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Everything that waited has been submitted, as soon as paces of journeys let it, unless
        `go_on` ended that between two claims; returns how many messages that were. Returns at once
        while the channel is down: a sweep will ring again."""
        return await self._run(self._free, go_on, urgent=False)

    async def run_answers(self) -> int:
        """Every answer that somebody waits for has been submitted; returns how many."""
        return await self._run(self._free_for_answers, lambda: True, urgent=True)

    async def _run(self, free: asyncio.Semaphore, go_on: Callable[[], bool], urgent: bool) -> int:
        count, claim = 0, _NOTHING
        async with free:
            while go_on() and self._channel.health() == "up":
                claim = await self._claim(urgent)
                waits = claim.wait is not None and urgent not in self._pacing
                if waits or not claim.attempts:
                    break
                count += await self._deliver(claim, urgent)
                claim = _NOTHING
        if claim.wait is not None and urgent not in self._pacing:
            count += await self._keep_pace(claim, free, go_on, urgent)
        return count

    async def _keep_pace(
        self, first: Claim, free: asyncio.Semaphore, go_on: Callable[[], bool], urgent: bool
    ) -> int:
        """The claim, and what waits for its journey's pace, has been submitted, each lot when its
        time came, whether or not the one before is answered; no lane is held in between. One at a
        time does this; whoever else runs meanwhile does not wait."""
        left = first.wait
        lots: list[asyncio.Task[int]] = []

        async def deliver(claim: Claim) -> int:
            try:
                return await self._deliver(claim, urgent)
            finally:
                free.release()

        self._pacing.add(urgent)
        try:
            async with asyncio.TaskGroup() as group:
                if first.attempts:
                    await free.acquire()
                    lots.append(group.create_task(deliver(first)))
                while left is not None and go_on() and self._channel.health() == "up":
                    if left > timedelta():
                        nap = min(left, NAP)
                        await asyncio.sleep(nap.total_seconds())
                        left -= nap
                        continue
                    await free.acquire()
                    claim = _NOTHING
                    try:
                        claim = await self._claim(urgent)
                    finally:
                        if not claim.attempts:
                            free.release()
                    if claim.attempts:
                        lots.append(group.create_task(deliver(claim)))
                    left = claim.wait
        finally:
            self._pacing.discard(urgent)
        return sum(lot.result() for lot in lots)

    async def _claim(self, urgent: bool) -> Claim:
        context = self._context
        real_now = await context.real_now()
        async with context.pool.acquire() as connection, connection.transaction():
            return await claims.claim(
                connection,
                self._channel.name,
                context.name,
                context.clock.domain_at(real_now.timestamp()),
                real_now + LEASE,
                self._attempts(),
                context.ids,
                context.projects.project,
                urgent,
                self._wanted,
            )

    async def _deliver(self, claim: Claim, urgent: bool) -> int:
        context = self._context
        began_at = time.monotonic()
        said = await self._channel.send([m.outgoing for m in claim.messages])
        took_s = time.monotonic() - began_at
        context.meters.submitted(self._channel.name, said, took_s)
        if not urgent:
            self._follow(claim, took_s)
        waiting = await self._record(claim, said)
        if waiting:
            await context.bell.ring_turns(range(64))
        return len(claim.messages)

    def _attempts(self) -> int:
        """How many attempts make the wanted claim, if they are like those of the last one. A
        claim locks so many, and takes only as many messages as are wanted."""
        return min(MOST_ATTEMPTS, math.ceil(self._wanted / self._per_attempt))

    def _follow(self, claim: Claim, took_s: float) -> None:
        """The next claims are as large as the time that this one took asks for."""
        self._per_attempt = max(1.0, len(claim.messages) / len(claim.attempts))
        if took_s > SLOW_S:
            self._wanted = max(self._fewest, self._wanted // 2)
        elif took_s < QUICK_S and 2 * len(claim.messages) >= self._wanted:
            self._wanted = min(self._most, self._wanted * 2)

    # What was sent must not be forgotten because PostgreSQL is away for a moment; once the lease
    # is over, it counts as unknown. Safe to repeat, see `outcomes.record`.
    @retry(
        retry=retry_if_exception_type(failures.TRANSIENT),
        stop=stop_after_delay(LEASE),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        before_sleep=lambda state: log.warning("record_waits try=%d", state.attempt_number),
        reraise=True,
    )
    async def _record(self, claim: Claim, said: list[Outcome]) -> list[int]:
        context = self._context
        clock, real = context.clock, (await context.real_now()).timestamp()
        async with context.pool.acquire() as connection, connection.transaction():
            return await outcomes.record(
                connection,
                self._channel.name,
                claim,
                said,
                context.projects.project.contact.classes,
                clock.domain_at(real),
                clock.domain_at(real + RETRY_S),
                context.ids,
            )
