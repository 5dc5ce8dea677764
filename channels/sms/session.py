"""Our side of one SMPP connection, bound to a carrier: a window of submits, each with a deadline.

Whole batches go in and whole lists of answers come out: one future per batch, none per message.
Requests are kept in the order in which they were written, so one look at the oldest finds every
deadline that has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence

from channels.sms import codec, pdu, status
from channels.sms.batch import NO_ANSWER, NOT_WRITTEN, UNKNOWN, UNSENT, Answer, Batch
from channels.sms.pace import Pace
from channels.sms.receipt import MAX_ID_CHARACTERS
from channels.sms.wire import Wire
from orchestrator.core.errors import OutreachError

log = logging.getLogger("outreach.sms")

_SHARE = 8
"""While several batches wait, each gets so many turns at a time: a lone answer passes a blast."""
_SUBMIT_RESP = pdu.SubmitSmResp.command_id
_BIND_RESPONSES = frozenset(
    kind.command_id
    for kind in (pdu.BindReceiverResp, pdu.BindTransmitterResp, pdu.BindTransceiverResp)
)

Deliver = Callable[["Session", int, pdu.DeliverSm], None]


class BindRefusedError(OutreachError):
    """The carrier answered our bind with an error: trying again soon will not help."""

    def __init__(self, command_status: int) -> None:
        super().__init__(
            f"the carrier refused the bind: {status.name(command_status)}",
            "Check system_id, password, system_type and the bind kind with the carrier.",
        )
        self.status = command_status


class RequestError(OutreachError):
    """A query, cancel or replace was refused, or got no answer (`status` UNKNOWN or UNSENT)."""

    def __init__(self, command_status: int) -> None:
        what = {UNKNOWN: "no answer", UNSENT: "not connected"}
        super().__init__(f"the carrier: {what.get(command_status) or status.name(command_status)}")
        self.status = command_status


class Session(Wire):
    """A connection on which `bind` makes us a carrier's customer.

    `window` requests at most are unanswered at a time. `deliver` gets each deliver_sm with its
    sequence number; whoever gets it calls `answer_deliver` once it is stored. `lost` is done when
    the connection has ended, for whatever reason.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        window: int,
        pace: Pace,
        deadline_s: float,
        enquire_link_s: float,
        deliver: Deliver,
    ) -> None:
        super().__init__(loop)
        self.bound = False
        self.lost: asyncio.Future[None] = loop.create_future()
        self._window = window
        self._pace = pace
        self._deadline_s = deadline_s
        self._enquire_link_s = enquire_link_s
        self._deliver = deliver
        self._sequence = 0
        self._pending: dict[int, tuple[Batch, int, float]] = {}
        self._asked: dict[int, asyncio.Future[tuple[int, int, bytes]]] = {}
        self._queue: deque[Batch] = deque()
        self._pump_due = False
        self._pump_timer: asyncio.TimerHandle | None = None
        self._tick_timer: asyncio.TimerHandle | None = None
        self._tick_s = min(0.25, deadline_s / 4)
        self._heard_at = loop.time()
        self._enquiring = False
        self._outbound: asyncio.Future[pdu.Outbind] = loop.create_future()
        self._admitted = False
        """The other end has accepted our bind: from that PDU on it may bring messages."""

    @property
    def in_flight(self) -> int:
        """Submits that wait for their answer."""
        return len(self._pending)

    # What we ask for

    async def bind(self, request: pdu.Bind) -> str:
        """The session is bound; the answer is the carrier's system_id. Raises BindRefusedError, or
        RequestError when no answer comes."""
        answer = await self.request(request)
        self.bound = True
        self._tick_timer = self.loop.call_later(self._tick_s, self._tick)
        return answer.system_id if isinstance(answer, pdu.BindResp) else ""

    async def drain(self) -> None:
        """Every batch handed in so far has its answers."""
        open_batches = {batch.done for batch in self._queue}
        open_batches.update(batch.done for batch, _, _ in self._pending.values())
        if open_batches:
            await asyncio.wait(open_batches)

    async def unbind(self) -> None:
        """The connection has ended in the way both sides agree on. What waits is given back."""
        self.bound = False
        self._give_up_queue()
        with contextlib.suppress(RequestError):
            await self.request(pdu.Unbind())
        self.close()

    async def submit(self, bodies: Sequence[bytes]) -> list[Answer]:
        """One answer for each submit_sm body, in the same order, within twice the deadline.

        A body that the carrier throws back for our speed is written again, more slowly, for as
        long as the deadline allows; then its status is the carrier's.
        """
        if not bodies:
            return []
        if not self.bound:
            return [NOT_WRITTEN] * len(bodies)
        batch = Batch(bodies, self.loop.create_future(), self.loop.time())
        self._queue.append(batch)
        if not self._pump_due:
            self._pump_due = True
            self.loop.call_soon(self._pump)
        return await batch.done

    async def request(self, asked: pdu.Pdu) -> pdu.Pdu:
        """The response to any other request. Raises RequestError or BindRefusedError."""
        if self.lost.done() or self.transport is None or self.transport.is_closing():
            raise RequestError(UNSENT)
        sequence = self._next_sequence()
        future: asyncio.Future[tuple[int, int, bytes]] = self.loop.create_future()
        self._asked[sequence] = future
        self.write(codec.encode(asked, sequence))
        try:
            async with asyncio.timeout(self._deadline_s):
                command_id, command_status, body = await future
        except TimeoutError:
            raise RequestError(UNKNOWN) from None
        finally:
            self._asked.pop(sequence, None)
        if command_status != status.OK:
            refused = BindRefusedError if isinstance(asked, pdu.Bind) else RequestError
            raise refused(command_status)
        try:
            return codec.decode(command_id, body)
        except pdu.PduError:
            return pdu.PDUS[asked.command_id | pdu.RESPONSE]()

    async def outbound(self) -> pdu.Outbind:
        """The outbind with which a carrier that called us introduces itself."""
        return await self._outbound

    def answer_deliver(self, sequence: int, command_status: int = status.OK) -> None:
        """The deliver_sm is answered; a closed connection makes the carrier send it again."""
        if self.lost.done():
            return
        if command_status == status.OK:
            self.write(_DELIVERED + sequence.to_bytes(4, "big") + b"\0")
        else:
            self.write(codec.response(pdu.DeliverSm.command_id, sequence, command_status))

    # What comes in

    def pdu_received(
        self, command_id: int, command_status: int, sequence: int, body: bytes
    ) -> None:
        if command_id == _SUBMIT_RESP:
            entry = self._pending.pop(sequence, None)
            if entry is None:
                return  # after its deadline: it has been told as unknown
            batch, index, _ = entry
            if command_status == 0:
                message_id = body[:-1] if body[-1:] == b"\0" else body
                if b"\0" in message_id:
                    message_id = message_id[: message_id.index(0)]
                message_id = message_id[:MAX_ID_CHARACTERS]
                batch.settle(index, (0, message_id.decode("latin-1")))
            else:
                self._refused(batch, index, command_status)
        elif command_id == pdu.DeliverSm.command_id:
            self._deliver_received(sequence, body)
        else:
            self._other_received(command_id, command_status, sequence, body)

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
        self._give_up_queue()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(RequestError(UNKNOWN))
        if not self._outbound.done():
            self._outbound.set_exception(RequestError(UNKNOWN))
            self._outbound.exception()  # most sessions have nobody who waits for it
        if not self.lost.done():
            self.lost.set_result(None)

    def _refused(self, batch: Batch, index: int, command_status: int) -> None:
        if command_status not in status.SLOW_DOWN:
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

    def _deliver_received(self, sequence: int, body: bytes) -> None:
        if not self._admitted:  # on a port that carriers call, anybody may be calling
            self.answer_deliver(sequence, status.INCORRECT_BIND_STATUS)
            return
        try:
            message = codec.decode_message(pdu.DeliverSm, body)
        except pdu.PduError as error:
            log.warning(
                "deliver_sm_unreadable octets=%d", len(body), extra={"reason": error.message}
            )
            self.answer_deliver(sequence, error.status)
            return
        self._deliver(self, sequence, message)

    def _other_received(
        self, command_id: int, command_status: int, sequence: int, body: bytes
    ) -> None:
        if (asked := self._asked.get(sequence)) is not None and command_id & pdu.RESPONSE:
            if not asked.done():
                nacked = command_id == pdu.GenericNack.command_id
                failed = command_status or (status.SYSTEM_ERROR if nacked else status.OK)
                if failed == status.OK and command_id in _BIND_RESPONSES:
                    self._admitted = True
                asked.set_result((command_id, failed, body))
        elif command_id == pdu.EnquireLink.command_id:
            self.write(codec.response(command_id, sequence))
        elif command_id == pdu.GenericNack.command_id:
            log.warning("generic_nack status=%s", status.name(command_status))
            if (entry := self._pending.pop(sequence, None)) is not None:
                self._refused(entry[0], entry[1], command_status or status.SYSTEM_ERROR)
        elif command_id == pdu.Unbind.command_id:
            log.info("carrier_unbinds")
            self.bound = False
            self.write(codec.response(command_id, sequence))
            self.close()
        elif command_id == pdu.Outbind.command_id:
            self._outbind_received(body)
        elif command_id == pdu.AlertNotification.command_id or command_id & pdu.RESPONSE:
            pass  # nothing to answer; a late response has been told as unknown
        else:
            log.warning("unexpected_pdu command_id=%#010x", command_id)
            nack = codec.encode(pdu.GenericNack(), sequence, status.INVALID_COMMAND_ID)
            self.write(nack)

    def _outbind_received(self, body: bytes) -> None:
        try:
            asked = codec.decode(pdu.Outbind.command_id, body)
        except pdu.PduError:
            self.close()
            return
        if isinstance(asked, pdu.Outbind) and not self._outbound.done():
            self._outbound.set_result(asked)

    # The window and the clock

    def _next_sequence(self) -> int:
        self._sequence = self._sequence + 1 if self._sequence < pdu.MAX_SEQUENCE else 1
        return self._sequence

    def _pump(self) -> None:
        """As many waiting submits are written as window, pace and the socket allow."""
        self._pump_due = False
        queue, pending, out = self._queue, self._pending, self._out
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
        pack, submit = codec.HEADER.pack, pdu.SubmitSm.command_id
        sequence, before = self._sequence, len(pending)
        while free > 0 and queue:
            batch = queue.popleft()
            if batch.done.done():
                continue  # whoever waited for it is gone
            bodies = batch.bodies
            taken = batch.take(min(free, _SHARE) if queue else free)
            for index in taken:
                sequence = sequence + 1 if sequence < pdu.MAX_SEQUENCE else 1
                body = bodies[index]
                out.append(pack(16 + len(body), submit, 0, sequence))
                out.append(body)
                pending[sequence] = (batch, index, now)
            free -= len(taken)
            if batch.waiting():
                queue.append(batch)
        self._sequence = sequence
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
        if any(batch.since <= overdue for batch in self._queue):
            late = [batch for batch in self._queue if batch.since <= overdue]
            self._queue = deque(batch for batch in self._queue if batch.since > overdue)
            for batch in late:
                batch.give_up()
        if self._queue:
            self._pump()
        if not self._enquiring and now - self._heard_at >= self._enquire_link_s:
            self._enquiring = True
            self._enquirer = self.loop.create_task(self._enquire())

    async def _enquire(self) -> None:
        """The line is known to be alive, or has been cut."""
        try:
            await self.request(pdu.EnquireLink())
        except RequestError as error:
            if error.status == UNKNOWN and not self.lost.done():
                log.warning("line_dead after=enquire_link")
                self.abort()
        finally:
            self._enquiring = False

    def _give_up_queue(self) -> None:
        queue, self._queue = self._queue, deque()
        for batch in queue:
            batch.give_up()


_DELIVERED = codec.HEADER.pack(17, pdu.DeliverSmResp.command_id, 0, 0)[:12]
