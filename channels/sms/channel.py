"""The SMS channel: messages to and from one SMPP carrier account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from msgspec.structs import replace

from channels.base import Capabilities, Health, Inbox, Kind, Means, Prepared
from channels.sms import addresses, codec, pdu, receipt, status, text
from channels.sms.account import new_line
from channels.sms.inbound import Inbound
from channels.sms.line import Line
from channels.sms.outbind import OutbindPort
from channels.sms.outcomes import Verdicts
from channels.sms.pace import Pace
from channels.sms.session import Session
from channels.sms.settings import SmppSettings, SmsSettings
from orchestrator.core.delivery import Outcome, Outgoing, Receipt

_MAX_TEXT = text.MAX_PARTS * 67
_WANTS_RECEIPT = 1
_OCTETS = 4
"""`data_coding` of what is no text (SMPP 3.4 §5.2.19)."""
_Sendable = TypeVar("_Sendable", Outgoing, Prepared)


class SmsChannel:
    """Sends and receives SMS over SMPP 3.4.

    A long message goes out as its parts, one after the other; it is accepted when all parts are.
    Its `carrier_id` is that of the last part, and only the last part asks for a receipt: carriers
    deliver parts in order, so the last one's arrival stands for the message, and a message costs
    one receipt, not three. If some parts were refused or never written, the phone has nothing to
    show, so the message counts as refused or unsent; if a part got no answer, it is unknown.
    """

    capabilities = Capabilities(max_text=_MAX_TEXT, two_way=True, receipts=True)

    def __init__(
        self, settings: SmppSettings, name: str = "sms", *, now: Callable[[], float] = time.time
    ) -> None:
        self.name = name
        self.settings = settings
        self.capabilities = replace(type(self).capabilities, window=settings.window)
        self._now = now
        self._reference = int(now()) & 0xFF
        self._ids = receipt.ReceiptIds(settings.receipt_ids)
        self._inbound = Inbound(self.name, settings.country, now)
        self._lines: list[Line[Session]] = []
        self._outbind: OutbindPort | None = None
        self._started = False
        self._stopping = False

    @property
    def outbind_port(self) -> int:
        """Where carriers may call us; 0 if nowhere."""
        return self._outbind.port if self._outbind is not None else 0

    @property
    def trouble(self) -> str:
        """Why the channel is not up, for people; empty while it is."""
        return next((line.trouble for line in self._lines if line.session is None), "")

    async def start(self, inbox: Inbox) -> None:
        """Connecting has begun; `health` tells when it is done."""
        loop = asyncio.get_running_loop()
        self._stopping = False
        self._started = True
        self._inbound.start(inbox)
        pace = Pace(self.settings.rate_per_s, loop.time())
        kinds: dict[str, tuple[type[pdu.Bind], ...]] = {
            "transceiver": (pdu.BindTransceiver,),
            "transmitter": (pdu.BindTransmitter,),
            "split": (pdu.BindTransmitter, pdu.BindReceiver),
        }
        self._lines = [
            new_line(self.settings, kind, pace, self._delivered)
            for kind in kinds[self.settings.bind]
        ]
        for line in self._lines:
            line.start()
        if self.settings.outbind_port is not None:
            self._outbind = OutbindPort(self.settings, pace, self._delivered)
            await self._outbind.start()

    async def stop(self) -> None:
        """What was handed in has its outcome, what came in is stored, the carrier is unbound."""
        self._stopping = True
        if not self._started:
            return
        self._started = False
        await self._inbound.stop()
        await asyncio.gather(*(line.stop() for line in self._lines))
        if self._outbind is not None:
            await self._outbind.stop()
        await self._inbound.stored()

    def health(self) -> Health:
        """Up when every connection is; down when the carrier refuses us."""
        states = {line.health() for line in self._lines} or {"down"}
        return "up" if states == {"up"} else "down" if "down" in states else "connecting"

    def in_flight(self) -> int:
        """Submits that wait for the carrier's answer, on all connections."""
        return sum(line.session.in_flight for line in self._lines if line.session is not None)

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome per message, within twice the deadline."""
        return await self._submit(batch, self._compose)

    async def submit(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """The same for what other channels prepared."""
        return await self._submit(batch, self._wrap)

    async def _submit(
        self, batch: Sequence[_Sendable], compose: Callable[[_Sendable, list[bytes]], int]
    ) -> list[Outcome]:
        """`compose` appends a message's submit_sm bodies, and says how many there are."""
        session = self._lines[0].session if self._lines and not self._stopping else None
        if session is None:
            reason = self.trouble.partition("\n")[0] or "not connected to the carrier"
            return [
                Outcome(message.message_id, "unsent", reason=reason, retry="later")
                for message in batch
            ]
        outcomes: list[Outcome] = []
        bodies: list[bytes] = []
        spans: list[tuple[int, int]] = []
        for message in batch:
            try:
                spans.append((message.message_id, compose(message, bodies)))
            except (text.TextError, pdu.PduError) as error:
                outcomes.append(Outcome(message.message_id, "rejected", reason=error.message))
        answers = await session.submit(bodies)
        at = 0
        plain = self._ids.plain
        for message_id, parts in spans:
            if parts == 1:
                command_status, carrier_id = answers[at]
                if command_status == 0:
                    kept = carrier_id if plain else self._ids.accepted(carrier_id)
                    outcomes.append(Outcome(message_id, "accepted", kept))
                else:
                    outcomes.append(_VERDICTS.failed(message_id, command_status))
            else:
                several = answers[at : at + parts]
                outcomes.append(_VERDICTS.joined(message_id, several, self._ids.accepted))
            at += parts
        return outcomes

    # What goes out

    def _compose(self, message: Outgoing, bodies: list[bytes]) -> int:
        coded = text.split(message.content.text, self._reference)
        if not coded.parts[0]:
            raise text.TextError("the message has no text")
        esm_class = 0
        if len(coded.parts) > 1:
            self._reference = (self._reference + 1) & 0xFF
            esm_class = pdu.HAS_HEADER
        return self._write(message, esm_class, coded.data_coding, coded.parts, bodies)

    def _wrap(self, message: Prepared, bodies: list[bytes]) -> int:
        if not message.parts or max(map(len, message.parts)) > text.MAX_OCTETS:
            raise pdu.PduError("a short message holds 1 to 140 octets")
        return self._write(message, pdu.HAS_HEADER, _OCTETS, message.parts, bodies)

    def _write(
        self,
        message: Outgoing | Prepared,
        esm_class: int,
        coding: int,
        parts: Sequence[bytes],
        bodies: list[bytes],
    ) -> int:
        settings, last = self.settings, len(parts)
        source = addresses.source(
            message.sender or settings.source, settings.source_ton, settings.source_npi
        )
        destination = addresses.destination(message.address, settings.dest_ton, settings.dest_npi)
        validity = _absolute(message.valid_until) if message.valid_until else b""
        for number, part in enumerate(parts, 1):
            wants = _WANTS_RECEIPT if number == last else 0
            body = codec.message_body(source, destination, esm_class, wants, coding, part, validity)
            bodies.append(body)
        return last

    # What comes in

    def _delivered(self, session: Session, sequence: int, message: pdu.DeliverSm) -> None:
        ack = (session, sequence)
        if receipt.is_receipt(message):
            read = receipt.read(message)
            if read is None:
                session.answer_deliver(sequence)
                return
            carrier_id = self._ids.receipted(read)
            self._inbound.receipt(Receipt(self.name, carrier_id, read.state, read.code), ack)
            return
        self._inbound.message(message, message.tlv(pdu.RECEIPTED_MESSAGE_ID) or b"", ack)


_VERDICTS = Verdicts(status.name, status.SLOW_DOWN, status.PASSING)


@lru_cache(maxsize=1024)
def _absolute(moment: datetime) -> bytes:
    """SMPP 3.4 §7.1.1: YYMMDDhhmmss, tenths, quarter hours from UTC."""
    return moment.astimezone(UTC).strftime("%y%m%d%H%M%S000+").encode()


def _build(name: str, settings: SmsSettings, means: Means) -> SmsChannel:
    return SmsChannel(SmppSettings.from_url(settings.url), name)


KIND = Kind(SmsSettings, _build, "gateway")
