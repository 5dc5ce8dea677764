"""A simulated gateway of one of China's carriers, with a telephone for every number.

`Exchange` is the carrier, `Caller` one customer's connection as it sees it; each protocol derives
from both and adds its bodies.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from msgspec import Struct, field

from channels.carriers.faults import Faults
from channels.carriers.handset import Handset, Said, Script
from channels.carriers.network import Network
from channels.carriers.taken import Taken
from channels.china import text
from channels.china.fields import FieldError
from channels.china.times import read_absolute
from channels.china.wire import RESPONSE, Frames
from channels.sms import pdu as air
from channels.sms import status as smpp
from channels.sms.wire import stop_listening

_KEPT = 50_000
_MAX_OCTETS = 140
_MAX_ASCII_OCTETS = 160


class ExchangeSettings(Struct, frozen=True, kw_only=True):
    """One simulated gateway. `accounts` maps logins to secrets; what handsets say goes to the first
    of them. `chinese` says how what is not ASCII goes to customers. Unacknowledged deliveries come
    again after `redeliver_after_s`, `deliver_window` of them at a time."""

    accounts: Mapping[str, str] = field(default_factory=lambda: {"900001": "888888"})
    host: str = "127.0.0.1"
    port: int = 0
    receipt_delay_s: float = 0.05
    redeliver_after_s: float = 5.0
    deliver_window: int = 16
    chinese: text.Chinese = "ucs2"
    remembered: int = 200


class Parcel(Struct, eq=False):
    """A request on its way to an account. `body` writes it for the connection that takes it;
    `acknowledged` is called once it is there. With a `sequence` it has the same one every time."""

    account: str
    command_id: int
    body: Callable[[Caller], bytes]
    acknowledged: Callable[[], None] = lambda: None
    sequence: int = 0


class Caller(Frames):
    """Answers one customer, and brings it what is for it within a window."""

    SUBMIT: ClassVar[int]
    END: ClassVar[int]

    def __init__(self, loop: asyncio.AbstractEventLoop, exchange: Exchange) -> None:
        super().__init__(loop)
        self.exchange = exchange
        self.account = ""
        self.receives = False
        self._sequence = 0
        self._pending: dict[int, tuple[Parcel, float]] = {}

    # What a protocol says

    def asked(self, command_id: int, sequence: int, body: bytes) -> None:
        """Any request but a submit is answered. May raise FieldError."""
        raise NotImplementedError

    def read_submit(self, body: bytes) -> air.SubmitSm:
        """The message as its phone gets it. May raise FieldError."""
        raise NotImplementedError

    def submit_answer(self, message_id: int, result: int) -> bytes:
        """The body of the answer to a submit. `result` as in SMPP's throttling, or our own."""
        raise NotImplementedError

    def parcel_result(self, body: bytes) -> int:
        """The result in the answer to something we brought. May raise FieldError."""
        raise NotImplementedError

    def next_sequence(self) -> int:
        """A number for a request of ours."""
        self._sequence += 1
        return self._sequence

    # What the exchange asks for

    @property
    def room(self) -> int:
        """How many more parcels may go out now."""
        if not self.receives or self.congested:
            return 0
        return self.exchange.settings.deliver_window - len(self._pending)

    def bring(self, parcel: Parcel) -> None:
        """The parcel goes out; it comes back to the exchange unless acknowledged."""
        sequence = parcel.sequence or self.next_sequence()
        self._pending[sequence] = (parcel, self.loop.time())
        self.say(parcel.command_id, sequence, parcel.body(self))

    def take_back(self, older_than_s: float) -> None:
        """What was not acknowledged for so long goes back to the exchange."""
        since = self.loop.time() - older_than_s
        while self._pending:
            sequence, (parcel, at) = next(iter(self._pending.items()))
            if at > since:
                break
            del self._pending[sequence]
            self.exchange.brought_back(parcel, delay=False)

    def entered(self, account: str) -> None:
        """The customer has logged in, and what waited for it goes out."""
        self.account, self.receives = account, True
        self.exchange.joined(self)

    # What comes in

    def pdu_received(
        self, command_id: int, command_status: int, sequence: int, body: bytes
    ) -> None:
        try:
            if command_id & RESPONSE:
                self._answered(sequence, body)
            elif command_id == self.SUBMIT and self.account:
                self.exchange.submitted(self, sequence, self.read_submit(body))
            elif command_id == self.END:
                self.receives = False
                self.say(command_id | RESPONSE, sequence)
                self.close()
            else:
                self.asked(command_id, sequence, body)
        except FieldError:
            self.close()

    def chunk_received(self) -> None:
        if self.receives:
            self.exchange.ready(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.exchange.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.exchange.connections.discard(self)
        self.receives = False
        pending, self._pending = self._pending, {}
        for parcel, _ in reversed(pending.values()):
            self.exchange.brought_back(parcel, delay=False)
        self.exchange.left(self)

    def _answered(self, sequence: int, body: bytes) -> None:
        entry = self._pending.pop(sequence, None)
        if entry is None:
            return
        if self.parcel_result(body) == 0:
            entry[0].acknowledged()
        else:
            self.exchange.brought_back(entry[0], delay=True)


class Exchange(Network):
    """The gateway. `start` it, give its `port` to a channel, and look at its handsets. `reject` of
    its faults gives the protocol's own results."""

    protocol: ClassVar[str]
    THROTTLED: ClassVar[int]
    WRONG_PHONE: ClassVar[int]
    WRONG_LENGTH: ClassVar[int]

    def __init__(
        self,
        settings: ExchangeSettings | None = None,
        *,
        faults: Faults | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        script: Script | None = None,
    ) -> None:
        self.settings = settings or ExchangeSettings()
        super().__init__(faults, now, script, self.settings.remembered)
        self.customers: set[Caller] = set()
        self.submits = 0
        self.port = 0
        self.taken: dict[int, Taken] = {}
        self._server: asyncio.Server | None = None
        self._outbox: dict[str, deque[Parcel]] = {it: deque() for it in self.settings.accounts}
        self._utterances = 0
        self._last_id = 0

    # What a protocol says

    def new_customer(self) -> Caller:
        """The far end of a connection that was just made."""
        raise NotImplementedError

    def message(self, handset: Handset, to: str, msg_fmt: int, udhi: int, part: bytes) -> Parcel:
        """What a phone says, for the first account."""
        raise NotImplementedError

    def report(self, taken: Taken) -> Parcel:
        """What became of a message, for whoever sent it."""
        raise NotImplementedError

    # What a test asks for

    async def start(self) -> None:
        """Listening; `port` says where."""
        self.open_network()
        self._server = await self._loop.create_server(
            self.new_customer, self.settings.host, self.port or self.settings.port
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._agenda.put(min(1.0, self.settings.redeliver_after_s / 2), self._sweep)

    async def stop(self) -> None:
        """Closed, and every connection cut. Handsets and what waits for customers stay."""
        if self._server is None:
            return
        await stop_listening(self._server)
        self.close_network()
        self.cut()
        await self._server.wait_closed()
        self._server = None

    # For handsets and for messages

    def carry(self, handset: Handset, said: Said) -> None:
        self._utterances += 1
        words = text.split(said.text, self._utterances & 0xFF, self.settings.chinese, 140)
        left = len(words.parts)
        udhi = int(left > 1)

        def acknowledged() -> None:
            nonlocal left
            left -= 1
            if not left:
                said.acknowledged_at = self.now()
                self.tell("acknowledged", handset.number)

        for part in words.parts:
            parcel = self.message(handset, said.to, words.data_coding, udhi, part)
            parcel.acknowledged = acknowledged
            self.queue(parcel)
        self.tell("said", handset.number)

    def finish(self, taken: Taken, state: int) -> None:
        taken.state = state
        if taken.message.registered_delivery and not self.faults.loses_receipt():
            self.queue(self.report(taken))

    # For connections

    def joined(self, customer: Caller) -> None:
        """A customer has logged in: what waited for it goes out."""
        self.customers.add(customer)
        self.tell("bound")
        self.ready(customer)

    def left(self, customer: Caller) -> None:
        """A connection has ended."""
        self.customers.discard(customer)
        if customer.account:
            self.tell("lost")

    def ready(self, customer: Caller) -> None:
        """As much of what waits for this customer goes out as its window allows."""
        outbox = self._outbox[customer.account]
        for _ in range(min(customer.room, len(outbox))):
            customer.bring(outbox.popleft())

    def brought_back(self, parcel: Parcel, delay: bool) -> None:
        """A parcel was not acknowledged: it goes out again, first of all or after a while."""
        if delay:
            self._agenda.put(self.settings.redeliver_after_s, self.queue, parcel)
        else:
            self._outbox[parcel.account].appendleft(parcel)

    def submitted(self, customer: Caller, sequence: int, message: air.SubmitSm) -> None:
        """A submit is answered; if it was taken, it arrives after the receipt delay."""
        self.submits += 1
        faults = self.faults
        refusal = self._refusal(message)
        if not refusal:
            refusal = faults.refusal(message.destination_addr, self._loop.time())
            refusal = self.THROTTLED if refusal == smpp.THROTTLED else refusal
        if refusal:
            self._answer(customer, sequence, customer.submit_answer(0, refusal))
            return
        message_id = self.message_id(customer, sequence)
        taken = Taken(message_id, customer.account, message, self.now())
        self.taken[message_id] = taken
        if len(self.taken) > _KEPT:
            del self.taken[next(iter(self.taken))]
        if not faults.loses_response():
            self._answer(customer, sequence, customer.submit_answer(message_id, 0))
        self._agenda.put(faults.delay_s + self.settings.receipt_delay_s, self.arrive, taken)

    def message_id(self, customer: Caller, sequence: int) -> int:
        """The id of the message that this submit brought."""
        self._last_id += 1
        return self._last_id

    def queue(self, parcel: Parcel) -> None:
        """The parcel goes out as soon as a connection of its account has room."""
        self._outbox[parcel.account].append(parcel)
        for customer in self.customers:
            if customer.account == parcel.account and customer.room > 0:
                self.ready(customer)
                return

    # Inside

    def _refusal(self, message: air.SubmitSm) -> int:
        number = message.destination_addr
        if not (number.isascii() and number.isdigit()):
            return self.WRONG_PHONE
        ascii_too = message.data_coding == text.on_the_air(text.ASCII)
        most = _MAX_ASCII_OCTETS if ascii_too else _MAX_OCTETS
        return self.WRONG_LENGTH if len(message.short_message) > most else 0

    def _answer(self, customer: Caller, sequence: int, body: bytes) -> None:
        answer = customer.head(customer.SUBMIT | RESPONSE, len(body), sequence) + body
        if self.faults.delay_s:
            self._agenda.put(self.faults.delay_s, customer.write, answer)
        else:
            customer.write(answer)

    def _sweep(self) -> None:
        for customer in list(self.customers):
            customer.take_back(self.settings.redeliver_after_s)
            if customer.receives:
                self.ready(customer)
        self._agenda.put(min(1.0, self.settings.redeliver_after_s / 2), self._sweep)


def in_utc(valid_time: str) -> str:
    """A validity period in Beijing's time as SMPP has it, for the phone's side of the carrier."""
    moment = read_absolute(valid_time)
    return moment.astimezone(UTC).strftime("%y%m%d%H%M%S000+") if moment else ""
