"""A simulated SMPP carrier with a telephone for every number: for tests, demos and the laptop.

A real asyncio SMPP 3.4 server on the same codec as the channel. It takes submits, delivers them to
handsets, sends receipts, carries what handsets say, and misbehaves when told to (`faults`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct, field

from channels.carriers.customer import Customer, Delivery
from channels.carriers.faults import Faults
from channels.carriers.handset import Handset, Said, Script
from channels.carriers.network import Change, Network
from channels.carriers.taken import Taken, receipt_body, refusal_of, replaced, state_of
from channels.sms import codec, pdu, status
from channels.sms.wire import stop_listening
from orchestrator.core import short_message

__all__ = ["Change", "Smsc", "SmscSettings"]


class SmscSettings(Struct, frozen=True, kw_only=True):
    """One simulated carrier.

    `accounts` maps system_id to password; what handsets say goes to the first account, unless
    `numbers` maps the number they say it to. `message_ids`: `hex` answers submits in hexadecimal
    and writes receipts' text in decimal, as some carriers do. `receipt_tlvs`: receipts also carry
    receipted_message_id and message_state; `replies_named`: what handsets say carries the
    former. Unacknowledged deliveries come again after `redeliver_after_s`.
    """

    accounts: Mapping[str, str] = field(default_factory=lambda: {"outreach": "secret"})
    numbers: Mapping[str, str] = {}
    host: str = "127.0.0.1"
    port: int = 0
    system_id: str = "simulated"
    message_ids: Literal["decimal", "hex"] = "decimal"
    receipt_delay_s: float = 0.05
    receipt_tlvs: bool = True
    replies_named: bool = True
    redeliver_after_s: float = 5.0
    deliver_window: int = 500
    remembered: int = 200


_KEPT = 50_000


class Smsc(Network):
    """The carrier. `start` it, give its `port` to a channel, and look at its handsets."""

    def __init__(
        self,
        settings: SmscSettings | None = None,
        *,
        faults: Faults | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        script: Script | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.settings = settings or SmscSettings()
        super().__init__(faults, now, script, self.settings.remembered)
        self.customers: set[Customer] = set()
        self.submits = 0
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._taken: dict[int, Taken] = {}
        self._outbox: dict[str, deque[Delivery]] = {
            name: deque() for name in self.settings.accounts
        }
        self._last_id = 1000
        self._utterances = 0

    async def start(self) -> None:
        """Listening; `port` says where."""
        self.open_network()
        self._server = await self._loop.create_server(
            lambda: Customer(self._loop, self),
            self.settings.host,
            self.port or self.settings.port,
            ssl=self._tls,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._agenda.put(1.0, self._sweep)

    async def stop(self) -> None:
        """Closed, and every connection cut. Handsets and what waits for customers stay, so that
        `start` goes on where this ended, on the same port."""
        if self._server is None:
            return
        await stop_listening(self._server)
        self.close_network()
        self.cut()
        await self._server.wait_closed()
        self._server = None

    async def outbind(
        self, host: str, port: int, password: str, tls: ssl.SSLContext | None = None
    ) -> None:
        """A customer is called, and asked to bind as a receiver (SMPP 3.4 §2.2.1)."""
        _, customer = await self._loop.create_connection(
            lambda: Customer(self._loop, self), host, port, ssl=tls
        )
        customer.write(codec.encode(pdu.Outbind(self.settings.system_id, password), 1))

    # For handsets

    def carry(self, handset: Handset, said: Said) -> None:
        """What was said goes to the account behind `said.to`."""
        self._utterances += 1
        to = said.to.removeprefix("+")
        account = self.settings.numbers.get(to) or next(iter(self.settings.accounts))
        coded = short_message.split(said.text, self._utterances & 0xFF)
        source = codec.address(1, 1, handset.number)
        destination = codec.address(0, 1, to)
        left = len(coded.parts)
        esm_class = pdu.HAS_HEADER if left > 1 else 0

        def acknowledged() -> None:
            nonlocal left
            left -= 1
            if not left:
                said.acknowledged_at = self.now()
                self.tell("acknowledged", handset.number)

        for number, part in enumerate(coded.parts, 1):
            name = b"mo%d-%d\0" % (self._utterances, number)
            named = self.settings.replies_named
            tlvs = codec.pack_tlvs((pdu.RECEIPTED_MESSAGE_ID, name)) if named else b""
            body = codec.message_body(
                source, destination, esm_class, 0, coded.data_coding, part, b"", tlvs
            )
            self._queue(Delivery(account, body, acknowledged))
        self.tell("said", handset.number)

    # For connections

    @property
    def system_id(self) -> str:
        return self.settings.system_id

    @property
    def deliver_window(self) -> int:
        return self.settings.deliver_window

    def password(self, system_id: str) -> str | None:
        """The account's password; None if there is no such account."""
        return self.settings.accounts.get(system_id)

    def joined(self, customer: Customer) -> None:
        """A customer is bound: what waited for it goes out."""
        self.customers.add(customer)
        self.tell("bound")
        self.ready(customer)

    def left(self, customer: Customer) -> None:
        """A connection has ended."""
        self.customers.discard(customer)
        if customer.account:
            self.tell("lost")

    def ready(self, customer: Customer) -> None:
        """As much of what waits for this customer goes out as its window allows."""
        outbox = self._outbox[customer.account]
        for _ in range(min(customer.room, len(outbox))):
            customer.deliver(outbox.popleft())

    def submitted(self, customer: Customer, sequence: int, message: pdu.SubmitSm) -> None:
        """A submit_sm is answered; if it was taken, it arrives after the receipt delay."""
        self.submits += 1
        faults = self.faults
        number = message.destination_addr
        refusal = refusal_of(message) or faults.refusal(number, self._loop.time())
        if refusal:
            self._answer(customer, codec.response(pdu.SubmitSm.command_id, sequence, refusal))
            return
        taken = self._take(customer.account, message)
        if not faults.loses_response():
            message_id = self._form(taken.message_id)
            header = codec.HEADER.pack(17 + len(message_id), _SUBMIT_RESP, 0, sequence)
            self._answer(customer, header + message_id + b"\0")
        self._agenda.put(faults.delay_s + self.settings.receipt_delay_s, self.arrive, taken)

    def asked(self, customer: Customer, sequence: int, request: pdu.Pdu) -> None:
        """A query, cancel, replace or data_sm is answered."""
        if isinstance(request, pdu.DataSm):
            self._data(customer, sequence, request)
            return
        assert isinstance(request, pdu.QuerySm | pdu.CancelSm | pdu.ReplaceSm)
        if isinstance(request, pdu.CancelSm) and not request.message_id:
            self._cancel_all(customer, sequence, request)
            return
        taken = self._taken.get(self._number(request.message_id))
        to = request.destination_addr if isinstance(request, pdu.CancelSm) else ""
        if taken is not None and not taken.of(customer.account, request.source_addr, to):
            taken = None
        if isinstance(request, pdu.QuerySm):
            if taken is None:
                customer.answer(sequence, request.command_id, status.QUERY_FAILED)
            else:
                customer.write(codec.encode(state_of(taken, request.message_id), sequence))
            return
        cancels = isinstance(request, pdu.CancelSm)
        if taken is None or taken.state != 1:
            failed = status.CANCEL_FAILED if cancels else status.REPLACE_FAILED
            customer.answer(sequence, request.command_id, failed)
            return
        if isinstance(request, pdu.CancelSm):
            self.finish(taken, 4)
        elif isinstance(request, pdu.ReplaceSm):
            taken.message = replaced(taken.message, request.short_message)
        customer.answer(sequence, request.command_id, status.OK)

    def _cancel_all(self, customer: Customer, sequence: int, request: pdu.CancelSm) -> None:
        """Without an id, all that is on its way between the two is cancelled (§4.9.1)."""
        source, to = request.source_addr, request.destination_addr
        found = [
            taken
            for taken in self._taken.values()
            if taken.state == 1 and to and taken.of(customer.account, source, to)
        ]
        for taken in found:
            self.finish(taken, 4)
        customer.answer(sequence, request.command_id, status.OK if found else status.CANCEL_FAILED)

    def brought_back(self, delivery: Delivery, delay: bool) -> None:
        """A delivery was not acknowledged: it goes out again, first of all or after a while."""
        if delay:
            self._agenda.put(self.settings.redeliver_after_s, self._queue, delivery)
        else:
            self._outbox[delivery.account].appendleft(delivery)

    # Inside

    def _take(self, account: str, message: pdu.SubmitSm) -> Taken:
        self._last_id += 1
        taken = Taken(self._last_id, account, message, self.now())
        self._taken[self._last_id] = taken
        if len(self._taken) > _KEPT:
            del self._taken[next(iter(self._taken))]
        return taken

    def _answer(self, customer: Customer, octets: bytes) -> None:
        if self.faults.delay_s:
            self._agenda.put(self.faults.delay_s, customer.write, octets)
        else:
            customer.write(octets)

    def _data(self, customer: Customer, sequence: int, request: pdu.DataSm) -> None:
        message = pdu.SubmitSm(
            source_addr_ton=request.source_addr_ton,
            source_addr_npi=request.source_addr_npi,
            source_addr=request.source_addr,
            dest_addr_ton=request.dest_addr_ton,
            dest_addr_npi=request.dest_addr_npi,
            destination_addr=request.destination_addr,
            esm_class=request.esm_class,
            registered_delivery=request.registered_delivery,
            data_coding=request.data_coding,
            tlvs=request.tlvs,
        )
        if refusal := refusal_of(message):
            customer.answer(sequence, request.command_id, refusal)
            return
        taken = self._take(customer.account, message)
        message_id = self._form(taken.message_id).decode()
        customer.write(codec.encode(pdu.DataSmResp(message_id), sequence))
        self._agenda.put(self.settings.receipt_delay_s, self.arrive, taken)

    def finish(self, taken: Taken, state: int) -> None:
        """The message is in its final state, and whoever asked for a receipt gets one."""
        taken.state, taken.ended_at = state, self.now()
        wants = taken.message.registered_delivery & 3
        if wants == 0 or (wants == 2 and state == 2) or self.faults.loses_receipt():
            return
        exact_id = self._form(taken.message_id) if self.settings.receipt_tlvs else None
        self._queue(Delivery(taken.account, receipt_body(taken, self.now(), exact_id)))

    def _form(self, message_id: int) -> bytes:
        if self.settings.message_ids == "hex":
            return b"%x" % message_id
        return b"%010d" % message_id

    def _number(self, written: str) -> int:
        try:
            return int(written, 16 if self.settings.message_ids == "hex" else 10)
        except ValueError:
            return 0

    def _queue(self, delivery: Delivery) -> None:
        self._outbox[delivery.account].append(delivery)
        for customer in self.customers:
            if customer.account == delivery.account and customer.room > 0:
                self.ready(customer)
                return

    def _sweep(self) -> None:
        for customer in list(self.customers):
            customer.take_back(self.settings.redeliver_after_s)
            if customer.receives:
                self.ready(customer)
        self._agenda.put(min(1.0, self.settings.redeliver_after_s / 2), self._sweep)


_SUBMIT_RESP = pdu.SubmitSmResp.command_id
