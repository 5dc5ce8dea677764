"""Requests under way on one connection: so many unanswered at most, each with a deadline.

What every protocol for short messages shares. Whole batches go in and whole lists of answers come
out: one future per batch, none per message. Requests are kept in the order in which they were
written, so one look at the oldest finds every deadline that has passed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from channels.sms.batch import NO_ANSWER, NOT_WRITTEN, Answer, Batch
from channels.sms.pace import Pace
from channels.sms.wire import Wire

log = logging.getLogger("outreach.sms")

_SHARE = 8
"""While several batches wait, each gets so many turns at a time: a lone answer passes a blast."""


class Window(Wire):
    """A connection on which we submit. `window` requests at most are unanswered at a time. `lost`
    is done when the connection has ended, for whatever reason.

    A protocol derives its session from this, and says how submits are written (`put`), how an idle
    line is tried (`try_line`), how what came in is answered (`answer_deliver`), and how the two
    sides part (`unbind`).
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        window: int,
        pace: Pace,
        deadline_s: float,
        idle_s: float,
    ) -> None:
        super().__init__(loop)
        self.bound = False
        self.lost: asyncio.Future[None] = loop.create_future()
        self._window = window
        self._pace = pace
        self._deadline_s = deadline_s
        self._idle_s = idle_s
        self._pending: dict[int, tuple[Batch, int, float]] = {}
        self._queue: deque[Batch] = deque()
        self._pump_due = False
        self._pump_timer: asyncio.TimerHandle | None = None
        self._tick_timer: asyncio.TimerHandle | None = None
        self._tick_s = min(0.25, deadline_s / 4)
        self._heard_at = loop.time()
        self._trying: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Submits that wait for their answer."""
        return len(self._pending)

    @property
    def queued(self) -> int:
        """Submits that wait to be written."""
        return sum(batch.waiting() for batch in self._queue)

    # What a protocol says

    def put(self, batch: Batch, taken: Sequence[int], now: float) -> None:
        """These bodies of the batch are in `_out`, each with its header, and in `_pending` by its
        sequence number."""
        raise NotImplementedError

    def overdue(self, sequence: int, batch: Batch, index: int) -> None:
        """This submit was given as unanswered; its answer may still come."""

    async def try_line(self) -> None:
        """The line is known to be alive, or has been cut."""
        raise NotImplementedError

    def answer_deliver(self, sequence: int, command_status: int = 0) -> None:
        """What came in under this number is answered. `command_status` as in SMPP, whatever the
        protocol: ESME_ROK, or what kept us from storing it."""
        raise NotImplementedError

    async def unbind(self) -> None:
        """The connection has ended in the way both sides agree on. What waits is given back."""
        raise NotImplementedError

    # What a channel asks for

    def open_window(self) -> None:
        """Submits are written from now on."""
        self.bound = True
        self._tick_timer = self.loop.call_later(self._tick_s, self._tick)

    async def drain(self) -> None:
        """Every batch handed in so far has its answers."""
        open_batches = {batch.done for batch in self._queue}
        open_batches.update(batch.done for batch, _, _ in self._pending.values())
        if open_batches:
            await asyncio.wait(open_batches)

    async def submit(
        self, bodies: Sequence[bytes], late: Callable[[int], None] | None = None
    ) -> list[Answer]:
        """One answer for each submit's body, in the same order, within twice the deadline.

        A body that the carrier throws back for our speed is written again, more slowly, for as
        long as the deadline allows; then its status is the carrier's. `late` is called with the
        index of a body that was given as unanswered, once the carrier has accepted it after all
        and this is in the list.
        """
        if not bodies:
            return []
        if not self.bound:
            return [NOT_WRITTEN] * len(bodies)
        batch = Batch(bodies, self.loop.create_future(), self.loop.time(), late)
        self._queue.append(batch)
        if not self._pump_due:
            self._pump_due = True
            self.loop.call_soon(self._pump)
        return await batch.done

    def refused(self, batch: Batch, index: int, command_status: int, slow_down: bool) -> None:
        """The carrier has not taken a submit; it is tried again if that was only our speed."""
        if not slow_down:
            batch.settle(index, (command_status, ""))
            return
        now = self.loop.time()
        self._pace.throttle(now)
        if now - batch.since >= self._deadline_s or not self.bound:
            batch.settle(index, (command_status, ""))
            return
        batch.answers[index] = (command_status, "")
        if not batch.waiting():
            self._queue.append(batch)
        batch.again.append(index)

    def give_up_queue(self) -> None:
        """What was never written is answered so."""
        queue, self._queue = self._queue, deque()
        for batch in queue:
            batch.give_up()

    def chunk_received(self) -> None:
        self._heard_at = self.loop.time()
        if self._queue:
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self.bound = False
        for timer in (self._tick_timer, self._pump_timer):
            if timer is not None:
                timer.cancel()
        pending, self._pending = self._pending, {}
        for batch, index, _ in pending.values():
            batch.settle(index, NO_ANSWER)
        self.give_up_queue()
        if not self.lost.done():
            self.lost.set_result(None)

    # The window and the clock

    def _pump(self) -> None:
        """As many waiting submits are written as window, pace and the socket allow."""
        self._pump_due = False
        queue, pending = self._queue, self._pending
        if self.congested or not queue or not self.bound:
            return
        free = self._window - len(pending)
        if free <= 0:
            return
        now = self.loop.time()
        free = min(free, self._pace.room(now))
        if free <= 0:
            self._pump_later()
            return
        before = len(pending)
        while free > 0 and queue:
            batch = queue.popleft()
            if batch.done.done():
                continue  # whoever waited for it is gone
            taken = batch.take(min(free, _SHARE) if queue else free)
            self.put(batch, taken, now)
            free -= len(taken)
            if batch.waiting():
                queue.append(batch)
        self._pace.spend(len(pending) - before)
        self.flush()
        if queue and len(pending) < self._window:
            self._pump_later()

    def _pump_later(self) -> None:
        if self._pump_timer is not None:
            self._pump_timer.cancel()
        self._pump_timer = self.loop.call_later(self._pace.delay_s(), self._pump)

    def _tick(self) -> None:
        """Deadlines that have passed are answered, and a silent line is tried."""
        self._tick_timer = self.loop.call_later(self._tick_s, self._tick)
        now = self.loop.time()
        overdue = now - self._deadline_s
        pending = self._pending
        while pending:
            sequence, (batch, index, written_at) = next(iter(pending.items()))
            if written_at > overdue:
                break
            del pending[sequence]
            batch.settle(index, NO_ANSWER)
            self.overdue(sequence, batch, index)
        if any(batch.since <= overdue for batch in self._queue):
            late = [batch for batch in self._queue if batch.since <= overdue]
            self._queue = deque(batch for batch in self._queue if batch.since > overdue)
            for batch in late:
                batch.give_up()
        if self._queue:
            self._pump()
        idle = now - self._heard_at >= self._idle_s
        if idle and (self._trying is None or self._trying.done()):
            self._trying = self.loop.create_task(self.try_line())
