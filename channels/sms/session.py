"""Our side of one SMPP connection, bound to a carrier."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from channels.sms import codec, pdu, status
from channels.sms.batch import UNKNOWN, UNSENT, Batch
from channels.sms.line import RefusedError
from channels.sms.pace import Pace
from channels.sms.receipt import MAX_ID_CHARACTERS
from channels.sms.window import Window
from orchestrator.core.errors import OutreachError

log = logging.getLogger("outreach.sms")

_SUBMIT_RESP = pdu.SubmitSmResp.command_id
_BIND_RESPONSES = frozenset(
    kind.command_id
    for kind in (pdu.BindReceiverResp, pdu.BindTransmitterResp, pdu.BindTransceiverResp)
)

_MOST_OVERDUE = 10_000
"""Submits whose answers are still waited for after their deadline."""

Deliver = Callable[["Session", int, pdu.DeliverSm], None]


class BindRefusedError(RefusedError):
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


class Session(Window):
    """A connection on which `bind` makes us a carrier's customer. `deliver` gets each deliver_sm
    with its sequence number; whoever gets it calls `answer_deliver` once it is stored. `keep` gets
    the id of each message that is accepted, at once, since its receipt may be in the same read;
    what it returns stands in the answer."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        window: int,
        pace: Pace,
        deadline_s: float,
        enquire_link_s: float,
        deliver: Deliver,
        keep: Callable[[str], str] = str,
    ) -> None:
        super().__init__(
            loop, window=window, pace=pace, deadline_s=deadline_s, idle_s=enquire_link_s
        )
        self._deliver = deliver
        self._keep = keep
        self._sequence = 0
        self._overdue: dict[int, tuple[Batch, int]] = {}
        self._asked: dict[int, asyncio.Future[tuple[int, int, bytes]]] = {}
        self._outbound: asyncio.Future[pdu.Outbind] = loop.create_future()
        self._admitted = False
        """The other end has accepted our bind: from that PDU on it may bring messages."""

    # What we ask for

    async def bind(self, request: pdu.Bind) -> str:
        """The session is bound; the answer is the carrier's system_id. Raises BindRefusedError, or
        RequestError when no answer comes."""
        answer = await self.request(request)
        self.open_window()
        return answer.system_id if isinstance(answer, pdu.BindResp) else ""

    async def unbind(self) -> None:
        """The connection has ended in the way both sides agree on. What waits is given back."""
        self.bound = False
        self.give_up_queue()
        with contextlib.suppress(RequestError):
            await self.request(pdu.Unbind())
        self.close()

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
                self._late_received(sequence, command_status, body)
                return
            batch, index, _ = entry
            if command_status == 0:
                message_id = body[:-1] if body[-1:] == b"\0" else body
                if b"\0" in message_id:
                    message_id = message_id[: message_id.index(0)]
                message_id = message_id[:MAX_ID_CHARACTERS]
                batch.settle(index, (0, self._keep(message_id.decode("latin-1"))))
            else:
                self.refused(batch, index, command_status, command_status in status.SLOW_DOWN)
        elif command_id == pdu.DeliverSm.command_id:
            self._deliver_received(sequence, body)
        else:
            self._other_received(command_id, command_status, sequence, body)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for future in self._asked.values():
            if not future.done():
                future.set_exception(RequestError(UNKNOWN))
        if not self._outbound.done():
            self._outbound.set_exception(RequestError(UNKNOWN))
            self._outbound.exception()  # most sessions have nobody who waits for it

    def _late_received(self, sequence: int, command_status: int, body: bytes) -> None:
        found = self._overdue.pop(sequence, None)
        if found is None:
            return
        batch, index = found
        message_id = body.partition(b"\0")[0][:MAX_ID_CHARACTERS].decode("latin-1")
        kept = self._keep(message_id) if command_status == status.OK else ""
        batch.correct(index, (command_status, kept))

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
                failed = command_status or status.SYSTEM_ERROR
                self.refused(entry[0], entry[1], failed, failed in status.SLOW_DOWN)
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

    # What the window asks for

    def put(self, batch: Batch, taken: Sequence[int], now: float) -> None:
        pack, submit = codec.HEADER.pack, pdu.SubmitSm.command_id
        sequence, bodies, out, pending = self._sequence, batch.bodies, self._out, self._pending
        for index in taken:
            sequence = sequence + 1 if sequence < pdu.MAX_SEQUENCE else 1
            body = bodies[index]
            out.append(pack(16 + len(body), submit, 0, sequence))
            out.append(body)
            pending[sequence] = (batch, index, now)
        self._sequence = sequence

    def overdue(self, sequence: int, batch: Batch, index: int) -> None:
        self._overdue[sequence] = (batch, index)
        if len(self._overdue) > _MOST_OVERDUE:
            del self._overdue[next(iter(self._overdue))]

    async def try_line(self) -> None:
        try:
            await self.request(pdu.EnquireLink())
        except RequestError as error:
            if error.status == UNKNOWN and not self.lost.done():
                log.warning("line_dead after=enquire_link")
                self.abort()

    def _next_sequence(self) -> int:
        self._sequence = self._sequence + 1 if self._sequence < pdu.MAX_SEQUENCE else 1
        return self._sequence


_DELIVERED = codec.HEADER.pack(17, pdu.DeliverSmResp.command_id, 0, 0)[:12]
