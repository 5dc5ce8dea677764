"""A channel over one account at a gateway: messages out, replies and reports in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct

from channels.base import Capabilities, Health, Inbox, Prepared
from channels.china import numbers, text, times
from channels.china.fields import FieldError
from channels.china.session import GatewaySession
from channels.china.settings import GatewaySettings
from channels.sms.inbound import Inbound
from channels.sms.line import Line
from channels.sms.outcomes import Verdicts
from channels.sms.pace import Pace
from channels.sms.siblings import Siblings
from orchestrator.core.delivery import Outcome, Outgoing
from orchestrator.core.short_message import MAX_PARTS, TextError

Session = TypeVar("Session", bound=GatewaySession)
_Sendable = TypeVar("_Sendable", Outgoing, Prepared)


class Part(Struct, frozen=True, gc=False):
    """One submit, in no protocol's words: part `number` of `total`. `valid_until` is an absolute
    time, or empty. `udhi` is 1 if the content begins with a user data header."""

    phone: str
    sender: str
    valid_until: str
    msg_fmt: int
    udhi: int
    content: bytes
    number: int = 1
    total: int = 1

    @property
    def last(self) -> int:
        """1 for the part that stands for the whole message, and asks for the report."""
        return int(self.number == self.total)


class GatewayChannel(Generic[Session]):
    """Sends and receives SMS over one connection, kept.

    A long message goes out as its parts; as over SMPP, it is accepted when all parts are, and has
    the id of the last one, which alone asks for a report.
    """

    protocol: ClassVar[str]
    verdicts: ClassVar[Verdicts]
    most_ascii: ClassVar[int]
    """Octets of a message that goes in ASCII."""

    def __init__(
        self, name: str, settings: GatewaySettings, now: Callable[[], float] = time.time
    ) -> None:
        self.name = name
        self.capabilities = Capabilities(
            max_text=MAX_PARTS * 67, two_way=True, receipts=True, window=settings.window
        )
        self.now = now
        self.inbound = Inbound(name, "86", now)
        self.pace = Pace(settings.rate_per_s, 0.0)
        self._gateway = settings
        self.siblings = Siblings()
        self._reference = int(now()) & 0xFF
        self._line: Line[Session] | None = None
        self._stopping = False

    # What a protocol says

    def new_session(self) -> Session:
        """A session of this account, not yet connected."""
        raise NotImplementedError

    async def enter(self, session: Session) -> str:
        """The gateway has accepted us; what it calls itself. Raises RefusedError."""
        raise NotImplementedError

    def write(self, session: Session, part: Part) -> bytes:
        """The body of a submit as this session writes it. Raises FieldError."""
        raise NotImplementedError

    # The contract

    @property
    def trouble(self) -> str:
        """Why the channel is not up, for people; empty while it is."""
        return self._line.trouble if self._line is not None and self._line.session is None else ""

    @property
    def session(self) -> Session | None:
        """The connection over which the gateway can be asked; None while there is none."""
        return self._line.session if self._line is not None and not self._stopping else None

    async def start(self, inbox: Inbox) -> None:
        """Connecting has begun; `health` tells when it is done."""
        self._stopping = False
        self.inbound.start(inbox)
        self.pace = Pace(self._gateway.rate_per_s, asyncio.get_running_loop().time())
        self._line = Line(
            self._gateway, self.new_session, self.enter, protocol=self.protocol, role="customer"
        )
        self._line.start()

    async def stop(self) -> None:
        """What was handed in has its outcome, what came in is stored, the gateway is told."""
        self._stopping = True
        if self._line is None:
            return
        line, self._line = self._line, None
        await self.inbound.stop()
        await line.stop()
        await self.inbound.stored()

    def health(self) -> Health:
        """Down when the gateway refuses us, or after `stop`."""
        return self._line.health() if self._line is not None else "down"

    def in_flight(self) -> int:
        """Submits that wait for the gateway's answer."""
        session = self._line.session if self._line is not None else None
        return session.in_flight if session is not None else 0

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome per message, within twice the deadline."""
        return await self._submit(batch, self._compose)

    async def submit(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """The same for what other channels prepared."""
        return await self._submit(batch, self._wrap)

    async def _submit(
        self,
        batch: Sequence[_Sendable],
        compose: Callable[[Session, _Sendable, list[bytes]], int],
    ) -> list[Outcome]:
        """`compose` appends a message's submits, and says how many there are."""
        session = self.session
        if session is None:
            reason = self.trouble.partition("\n")[0] or "not connected to the carrier"
            return [Outcome(it.message_id, "unsent", reason=reason, retry="later") for it in batch]
        outcomes: list[Outcome] = []
        bodies: list[bytes] = []
        spans: list[tuple[int, int]] = []
        for message in batch:
            try:
                spans.append((message.message_id, compose(session, message, bodies)))
            except (TextError, FieldError) as error:
                outcomes.append(Outcome(message.message_id, "rejected", reason=error.message))
        answers = await session.submit(bodies)
        at = 0
        for message_id, parts in spans:
            theirs = answers[at : at + parts]
            outcome = self.verdicts.joined(message_id, theirs, str)
            if outcome.result == "accepted":
                self.siblings.keep([carrier_id for _, carrier_id in theirs])
            outcomes.append(outcome)
            at += parts
        return outcomes

    def _compose(self, session: Session, message: Outgoing, bodies: list[bytes]) -> int:
        """The message's submits are appended; how many there are. Raises TextError or FieldError
        for a message that cannot be sent."""
        settings = self._gateway
        coded = text.split(message.content.text, self._reference, settings.chinese, self.most_ascii)
        if not coded.parts[0]:
            raise TextError("the message has no text")
        udhi = 0
        if len(coded.parts) > 1:
            self._reference = (self._reference + 1) & 0xFF
            udhi = 1
        return self._write(session, message, coded.data_coding, udhi, coded.parts, bodies)

    def _wrap(self, session: Session, message: Prepared, bodies: list[bytes]) -> int:
        if not message.parts or max(map(len, message.parts)) > 140:
            raise FieldError("a short message holds 1 to 140 octets")
        return self._write(session, message, text.BINARY, 1, message.parts, bodies)

    def _write(
        self,
        session: Session,
        message: Outgoing | Prepared,
        msg_fmt: int,
        udhi: int,
        parts: Sequence[bytes],
        bodies: list[bytes],
    ) -> int:
        settings, total = self._gateway, len(parts)
        phone = numbers.outgoing(message.address, settings.numbers)
        sender = message.sender.removeprefix("+") or settings.source
        if not (sender.isascii() and sender.isdigit()):
            raise FieldError("the sender must be digits: the service number, or longer")
        valid = times.absolute(message.valid_until) if message.valid_until else ""
        bodies += [
            self.write(session, Part(phone, sender, valid, msg_fmt, udhi, it, number, total))
            for number, it in enumerate(parts, 1)
        ]
        return total
