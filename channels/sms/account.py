"""One bind: its connections, its pace, and what becomes of the messages that go over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from channels.base import Health, Prepared
from channels.sms import asking, pdu, receipt, status
from channels.sms.batch import Answer
from channels.sms.composing import Composer
from channels.sms.connections import new_line
from channels.sms.inbound import Inbound
from channels.sms.line import Line
from channels.sms.outbind import OutbindPort
from channels.sms.outcomes import Verdicts
from channels.sms.pace import Pace
from channels.sms.session import Session
from channels.sms.settings import SmppSettings
from channels.sms.siblings import Siblings
from orchestrator.core import short_message
from orchestrator.core.delivery import Fate, Held, Late, Outcome, Outgoing, Receipt

Sendable = TypeVar("Sendable", bound=Outgoing | Prepared)
Compose = Callable[[Composer, Sendable, list[bytes]], int]
"""Has a composer append a message's bodies; gives how many parts phones get."""

_KINDS: dict[str, tuple[type[pdu.Bind], ...]] = {
    "transceiver": (pdu.BindTransceiver,),
    "transmitter": (pdu.BindTransmitter,),
    "split": (pdu.BindTransmitter, pdu.BindReceiver),
}


class Account:
    """Keeps its lines connected, sends over the first, and hands what comes in to `inbound`, where
    it is `channel`'s. `ids` are shared with the carrier's other binds: receipts come over any; and
    so are `siblings`: any may be asked to take a message back."""

    def __init__(
        self,
        settings: SmppSettings,
        composer: Composer,
        ids: receipt.ReceiptIds,
        inbound: Inbound,
        channel: str,
        siblings: Siblings,
    ) -> None:
        self.settings = settings
        self._composer = composer
        self._ids = ids
        self._inbound = inbound
        self._channel = channel
        self._siblings = siblings
        self._prefix = f"{settings.carrier}:" if settings.carrier else ""
        self._lines: list[Line[Session]] = []
        self._outbind: OutbindPort | None = None

    @property
    def outbind_port(self) -> int:
        """Where the carrier may call us; 0 if nowhere."""
        return self._outbind.port if self._outbind is not None else 0

    @property
    def trouble(self) -> str:
        """Why it is not up, for people; empty while it is."""
        return next((line.trouble for line in self._lines if line.session is None), "")

    @property
    def usable(self) -> bool:
        """Messages may go over it now."""
        session = self._lines[0].session if self._lines else None
        return session is not None and session.bound

    async def start(self) -> None:
        """Connecting has begun."""
        self._pace = Pace(self.settings.rate_per_s, asyncio.get_running_loop().time())
        keep = self._kept if self._prefix else self._ids.accepted
        self._lines = [
            new_line(self.settings, kind, self._pace, self._delivered, keep)
            for kind in _KINDS[self.settings.bind]
        ]
        for line in self._lines:
            line.start()
        if self.settings.outbind_port is not None:
            self._outbind = OutbindPort(self.settings, self._pace, self._delivered)
            await self._outbind.start()

    async def stop(self) -> None:
        """What was handed in has its outcome, and the carrier is unbound."""
        await asyncio.gather(*(line.stop() for line in self._lines))
        if self._outbind is not None:
            await self._outbind.stop()

    def health(self) -> Health:
        """Up when every connection is; down when the carrier refuses us."""
        states = {line.health() for line in self._lines} or {"down"}
        return "up" if states == {"up"} else "down" if "down" in states else "connecting"

    def in_flight(self) -> int:
        """Submits that wait for the carrier's answer, on all connections."""
        return sum(line.session.in_flight for line in self._lines if line.session is not None)

    def room(self) -> int:
        """So many more messages it can have under way without keeping them waiting for long."""
        session = self._lines[0].session if self._lines else None
        if session is None:
            return 0
        free = self.settings.window - session.in_flight - session.queued
        return max(0, int(min(free, max(1.0, self._pace.rate * _AHEAD_S))))

    async def submit(self, batch: Sequence[Sendable], compose: Compose[Sendable]) -> list[Outcome]:
        """One outcome per message, within twice the deadline."""
        session = self._lines[0].session if self._lines else None
        if session is None:
            reason = self.trouble.partition("\n")[0] or "not connected to the carrier"
            return [unsent(message, reason) for message in batch]
        outcomes: list[Outcome] = []
        bodies: list[bytes] = []
        spans: list[tuple[int, int, int]] = []
        composer, at = self._composer, 0
        for message in batch:
            try:
                parts = compose(composer, message, bodies)
            except (short_message.TextError, pdu.PduError) as error:
                outcomes.append(Outcome(message.message_id, "rejected", reason=error.message))
                continue
            spans.append((message.message_id, len(bodies) - at, parts))
            at = len(bodies)

        def late(index: int) -> None:
            at = 0
            for message_id, submits, _ in spans:
                if at <= index < at + submits:
                    self._came_late(batch, message_id, answers[at : at + submits])
                    return
                at += submits

        answers = await session.submit(bodies, late)
        at = 0
        for message_id, submits, parts in spans:
            if submits == 1:
                command_status, carrier_id = answers[at]
                if command_status == 0:
                    outcomes.append(Outcome(message_id, "accepted", carrier_id, parts=parts))
                else:
                    outcomes.append(_VERDICTS.failed(message_id, command_status, parts))
            else:
                several = answers[at : at + submits]
                outcome = _VERDICTS.joined(message_id, several)
                if outcome.result == "accepted":
                    self._siblings.keep([carrier_id for _, carrier_id in several])
                outcomes.append(outcome)
            at += submits
        return outcomes

    def took(self, carrier_id: str) -> bool:
        """A message of this id may have gone over this bind."""
        return carrier_id.startswith(self._prefix)

    async def query(self, held: Held) -> Fate:
        """What the carrier says became of a message that went over this bind."""
        return await self._ask(held, back=False)

    async def recall(self, held: Held) -> Fate:
        """The carrier does not bring the message any more, or what it says instead."""
        return await self._ask(held, back=True)

    async def _ask(self, held: Held, *, back: bool) -> Fate:
        number = held.message.message_id
        session = self._lines[0].session if self._lines else None
        if session is None:
            reason = self.trouble.partition("\n")[0] or "not connected to the carrier"
            return Fate(number, "silent", reason=reason)
        try:
            source, destination = map(_triple, self._composer.ends(held.message))
        except pdu.PduError as error:
            return Fate(number, "cannot", reason=error.message)
        named = self._named(held.carrier_id)
        if not back:
            return await asking.query(session, self._pace, number, named, source)
        fate = await asking.recall(session, self._pace, number, named, source, destination)
        if fate.word == "recalled":
            # Without the last part the others make no message; what is left of them is waste.
            for part in map(self._named, self._siblings.of(held.carrier_id)):
                await asking.drop(session, self._pace, part, source, destination)
        return fate

    def _named(self, carrier_id: str) -> str:
        """As the carrier writes it."""
        return self._ids.asked(carrier_id.removeprefix(self._prefix))

    def _came_late(
        self, batch: Sequence[Sendable], message_id: int, answers: Sequence[Answer]
    ) -> None:
        """If all parts of the message are accepted now, this is told, with the last one's id."""
        if any(command_status != status.OK for command_status, _ in answers):
            return
        self._siblings.keep([carrier_id for _, carrier_id in answers])
        for message in batch:
            if message.message_id == message_id and isinstance(message, Outgoing):
                self._inbound.late(Late(message.subscriber_id, message_id, answers[-1][1]))

    def _kept(self, carrier_id: str) -> str:
        return self._prefix + self._ids.accepted(carrier_id)

    def _delivered(self, session: Session, sequence: int, message: pdu.DeliverSm) -> None:
        ack = (session, sequence)
        if receipt.is_receipt(message):
            read = receipt.read(message)
            if read is None:
                session.answer_deliver(sequence)
                return
            carrier_id = self._prefix + self._ids.receipted(read)
            self._inbound.receipt(Receipt(self._channel, carrier_id, read.state, read.code), ack)
            return
        self._inbound.message(message, message.tlv(pdu.RECEIPTED_MESSAGE_ID) or b"", ack)


def _triple(address: bytes) -> asking.Triple:
    return address[0], address[1], address[2:-1].decode("latin-1")


def unsent(message: Outgoing | Prepared, reason: str) -> Outcome:
    """The message was not sent, and may be later."""
    return Outcome(message.message_id, "unsent", reason=reason, retry="later")


_AHEAD_S = 0.5
_VERDICTS = Verdicts(status.name, status.SLOW_DOWN, status.PASSING)
