"""One customer's connection, as a simulated SMPP carrier sees it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from channels.sms import codec, pdu, status
from channels.sms.wire import Wire


class Delivery(Struct, eq=False):
    """A deliver_sm body on its way to an account; `acknowledged` is called once it is there."""

    account: str
    body: bytes
    acknowledged: Callable[[], None] = lambda: None


class Exchange(Protocol):
    """The carrier behind the connection."""

    @property
    def system_id(self) -> str: ...

    @property
    def deliver_window(self) -> int: ...

    @property
    def connections(self) -> set[Wire]: ...

    def password(self, system_id: str) -> str | None: ...

    def joined(self, customer: Customer) -> None: ...

    def left(self, customer: Customer) -> None: ...

    def ready(self, customer: Customer) -> None: ...

    def submitted(self, customer: Customer, sequence: int, message: pdu.SubmitSm) -> None: ...

    def asked(self, customer: Customer, sequence: int, request: pdu.Pdu) -> None: ...

    def brought_back(self, delivery: Delivery, delay: bool) -> None: ...


_BINDS = (pdu.BindTransmitter, pdu.BindReceiver, pdu.BindTransceiver)
_BIND_IDS = {bind.command_id for bind in _BINDS}
_REQUESTS = {pdu.QuerySm, pdu.CancelSm, pdu.ReplaceSm, pdu.DataSm}
_SUBMIT = pdu.SubmitSm.command_id
_DELIVER_RESP = pdu.DeliverSmResp.command_id


class Customer(Wire):
    """Answers one ESME, and brings it what is for it within a window."""

    def __init__(self, loop: asyncio.AbstractEventLoop, exchange: Exchange) -> None:
        super().__init__(loop)
        self.account = ""
        self.transmits = False
        self.receives = False
        self._exchange = exchange
        self._sequence = 0
        self._pending: dict[int, tuple[Delivery, float]] = {}

    @property
    def room(self) -> int:
        """How many more deliver_sm may go out now."""
        if not self.receives or self.congested:
            return 0
        return self._exchange.deliver_window - len(self._pending)

    def deliver(self, delivery: Delivery) -> None:
        """The deliver_sm goes out; it comes back to the exchange unless acknowledged."""
        self._sequence = self._sequence + 1 if self._sequence < pdu.MAX_SEQUENCE else 1
        body = delivery.body
        self._pending[self._sequence] = (delivery, self.loop.time())
        self.write(codec.HEADER.pack(16 + len(body), pdu.DeliverSm.command_id, 0, self._sequence))
        self.write(body)

    def answer(self, sequence: int, command_id: int, command_status: int) -> None:
        """A request is answered with a bare header."""
        self.write(codec.response(command_id, sequence, command_status))

    def take_back(self, older_than_s: float) -> None:
        """What was not acknowledged for so long goes back to the exchange."""
        since = self.loop.time() - older_than_s
        while self._pending:
            sequence, (delivery, at) = next(iter(self._pending.items()))
            if at > since:
                break
            del self._pending[sequence]
            self._exchange.brought_back(delivery, delay=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._exchange.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._exchange.connections.discard(self)
        self.receives = self.transmits = False
        pending, self._pending = self._pending, {}
        for delivery, _ in reversed(pending.values()):
            self._exchange.brought_back(delivery, delay=False)
        self._exchange.left(self)

    def chunk_received(self) -> None:
        if self.receives:
            self._exchange.ready(self)

    def pdu_received(
        self, command_id: int, command_status: int, sequence: int, body: bytes
    ) -> None:
        try:
            if command_id == _SUBMIT and self.transmits:
                message = codec.decode_message(pdu.SubmitSm, body)
                self._exchange.submitted(self, sequence, message)
            elif command_id == _DELIVER_RESP:
                self._delivered(sequence, command_status)
            elif command_id in _BIND_IDS:
                self._bind(codec.decode(command_id, body), sequence)
            else:
                self._other(command_id, sequence, body)
        except pdu.PduError as error:
            self.answer(sequence, command_id, error.status)

    def _delivered(self, sequence: int, command_status: int) -> None:
        entry = self._pending.pop(sequence, None)
        if entry is None:
            return
        if command_status == status.OK:
            entry[0].acknowledged()
        else:
            self._exchange.brought_back(entry[0], delay=True)

    def _bind(self, asked: pdu.Pdu, sequence: int) -> None:
        assert isinstance(asked, pdu.Bind)
        password = self._exchange.password(asked.system_id)
        refusal = status.OK
        if self.account:
            refusal = status.ALREADY_BOUND
        elif password is None:
            refusal = status.INVALID_SYSTEM_ID
        elif not hmac.compare_digest(password.encode(), asked.password.encode()):
            refusal = status.INVALID_PASSWORD
        if refusal:
            self.answer(sequence, asked.command_id, refusal)
            return
        self.account = asked.system_id
        self.transmits = not isinstance(asked, pdu.BindReceiver)
        self.receives = not isinstance(asked, pdu.BindTransmitter)
        answer = pdu.PDUS[asked.command_id | pdu.RESPONSE]
        tlvs = ((pdu.SC_INTERFACE_VERSION, b"\x34"),)
        self.write(codec.encode(answer(self._exchange.system_id, tlvs), sequence))
        self._exchange.joined(self)

    def _other(self, command_id: int, sequence: int, body: bytes) -> None:
        kind = pdu.PDUS.get(command_id)
        if command_id == pdu.EnquireLink.command_id:
            self.answer(sequence, command_id, status.OK)
        elif command_id == pdu.Unbind.command_id:
            self.receives = self.transmits = False
            self.answer(sequence, command_id, status.OK)
            self.close()
        elif command_id & pdu.RESPONSE:
            pass
        elif kind is pdu.SubmitSm or (kind in _REQUESTS and not self.transmits):
            self.answer(sequence, command_id, status.INCORRECT_BIND_STATUS)
        elif kind in _REQUESTS:
            self._exchange.asked(self, sequence, codec.decode(command_id, body))
        else:
            self.write(codec.encode(pdu.GenericNack(), sequence, status.INVALID_COMMAND_ID))
