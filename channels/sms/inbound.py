"""What phones and carriers send us, on its way into the store: replies made whole and named,
receipts, and the answers to whoever brought them."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from channels.base import Inbox
from channels.sms import addresses, pdu, status
from channels.sms.arrivals import Arrival, Arrivals
from channels.sms.intake import Ack, Intake
from channels.sms.reassembly import Assembled, Fragment, Key, Reassembly, unwrap
from orchestrator.core import short_message
from orchestrator.core.delivery import Late, Receipt, Reply

_HOLD_ANSWERS_S = 2.0
_RECORDED_S = 2.0
"""So long after it was told, an outcome is recorded; what corrects it waits for that."""


class _Incoming(Struct, frozen=True):
    """A reply on its way into the store, with what must hear how that went."""

    reply: Reply
    arrival: Arrival
    whole: Key | None


class Inbound:
    """Takes what comes in for the channel `name`; `country` completes national numbers.

    A reply's `source_id` is made as `channels.sms.arrivals` says. Parts of a long reply wait in
    memory until it is whole; while they wait they are not acknowledged, for up to 2 s, since a
    carrier with a small window brings the next part only after that. A reply whose parts never
    all come is handed in as it is after two minutes.
    """

    def __init__(self, name: str, country: str, now: Callable[[], float]) -> None:
        self._name = name
        self._country = country
        self._now = now
        self._arrivals = Arrivals()
        self._parts: Reassembly[Ack] = Reassembly()
        self._corrections: deque[tuple[float, Late]] = deque()
        self._clock: asyncio.TimerHandle | None = None

    def start(self, inbox: Inbox) -> None:
        """Whatever comes in from now on goes to this inbox."""
        self._receipts: Intake[Receipt] = Intake(inbox.receipts)
        self._late: Intake[Late] = Intake(inbox.late)
        self._replies: Intake[_Incoming] = Intake(
            lambda batch: inbox.replies([incoming.reply for incoming in batch]), self._settled
        )
        self._clock = asyncio.get_running_loop().call_later(0.5, self._tick)

    async def stop(self) -> None:
        """Nobody waits for the rest of a long reply any more; everything is stored or refused."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        for partial in self._parts.leftovers():
            self._assembled(partial)
        self._correct(math.inf)
        await self.stored()

    async def stored(self) -> None:
        """Everything that came in so far is stored or refused."""
        await self._receipts.finish()
        await self._replies.finish()
        await self._late.finish()

    def late(self, late: Late) -> None:
        """What the carrier says after all will be stored."""
        self._corrections.append((self._now() + _RECORDED_S, late))

    def receipt(self, receipt: Receipt, ack: Ack) -> None:
        """The receipt will be stored, and then answered."""
        self._receipts.put(receipt, (ack,))

    def message(self, message: pdu.DeliverSm, carrier_id: bytes, ack: Ack) -> None:
        """The short message, or the long one of which it is the last part missing, will be stored
        and then answered. `carrier_id` is what the carrier calls it, if it has a name."""
        fragment, coding, octets = unwrap(message)
        if fragment is not None:
            self._part(message, fragment, coding, octets, ack)
            return
        self._reply(
            message.source_addr_ton,
            message.source_addr,
            message.destination_addr,
            short_message.decode(coding, octets),
            carrier_id,
            (ack,),
        )

    def _part(
        self, message: pdu.DeliverSm, fragment: Fragment, coding: int, octets: bytes, ack: Ack
    ) -> None:
        now = self._now()
        finished = self._parts.finished(message, fragment, now)
        if finished != "no":
            kept = status.OK if finished == "stored" else status.TEMPORARY_APPLICATION_ERROR
            ack[0].answer_deliver(ack[1], kept)
            return
        whole = self._parts.add(message, fragment, coding, octets, ack, now)
        if whole is not None:
            self._assembled(whole)

    def _assembled(self, whole: Assembled[Ack]) -> None:
        source, destination, reference, _, ton = whole.key
        self._reply(
            ton,
            source,
            destination,
            whole.text,
            b"",
            whole.marks,
            whole=whole.key,
            salt=str(reference),
        )

    def _reply(
        self,
        ton: int,
        source: str,
        destination: str,
        words: str,
        carrier_id: bytes,
        acks: Sequence[Ack],
        *,
        whole: Key | None = None,
        salt: str = "",
    ) -> None:
        came_by = acks[-1][0] if acks else None
        arrival = self._arrivals.name(
            source,
            destination,
            words,
            salt,
            carrier_id=carrier_id,
            came_by=came_by,
            now=self._now(),
        )
        sender = addresses.subscriber(ton, source, self._country)
        reply = Reply(self._name, sender, words, arrival.source_id, to=destination)
        self._replies.put(_Incoming(reply, arrival, whole), acks)

    def _settled(self, incoming: _Incoming, stored: bool) -> None:
        incoming.arrival.refused = not stored
        if incoming.whole is not None:
            self._parts.settle(incoming.whole, stored)

    def _tick(self) -> None:
        """Parts that have waited are acknowledged; long messages that never became whole go in."""
        self._clock = asyncio.get_running_loop().call_later(0.5, self._tick)
        now = self._now()
        self._correct(now)
        for session, sequence in self._parts.waiting(now - _HOLD_ANSWERS_S):
            session.answer_deliver(sequence)
        for partial in self._parts.expire(now):
            self._assembled(partial)

    def _correct(self, now: float) -> None:
        while self._corrections and self._corrections[0][0] <= now:
            self._late.put(self._corrections.popleft()[1], ())
