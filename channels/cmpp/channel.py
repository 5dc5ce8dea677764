"""SMS over CMPP: messages to and from a gateway of China Mobile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from channels.base import Kind, Means
from channels.china import text
from channels.china.fields import FieldError
from channels.china.gateway import GatewayChannel, Part
from channels.china.report import read_state
from channels.china.session import RequestError
from channels.cmpp import pdu, status
from channels.cmpp.session import CmppSession, OtherVersionError
from channels.cmpp.settings import CmppSettings
from channels.sms import pdu as air
from channels.sms.line import RefusedError
from orchestrator.core.delivery import Fate, Held, Receipt

_VERSIONS = {"auto": pdu.V3, "3.0": pdu.V3, "2.0": pdu.V2}


class CmppChannel(GatewayChannel[CmppSession]):
    """Sends and receives SMS over CMPP 2.0 or 3.0. A message's id is its Msg_Id in decimal."""

    protocol = "cmpp"
    verdicts = status.VERDICTS
    most_ascii = 159  # CMPP 3.0 §8.4.3.1: below 160

    def __init__(
        self, name: str, settings: CmppSettings, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(name, settings, now)
        self.settings = settings
        self._version = _VERSIONS[settings.version]

    def new_session(self) -> CmppSession:
        return CmppSession(asyncio.get_running_loop(), self.settings, self.pace, self.take)

    async def enter(self, session: CmppSession) -> str:
        try:
            return await session.connect(self._version, datetime.now(UTC))
        except OtherVersionError as error:
            if self.settings.version == "auto" and self._version == pdu.V3:
                self._version = pdu.V2  # the next connection speaks it
                raise
            offered = f"{error.offered >> 4}.{error.offered & 0xF}"
            raise RefusedError(
                f"the gateway does not speak this version of CMPP; it offers {offered}",
                "Leave `version` out, or ask the carrier.",
            ) from None

    def write(self, session: CmppSession, part: Part) -> bytes:
        settings = self.settings
        return pdu.submit_body(
            pdu.Submit(
                part.sender,
                (part.phone,),
                part.content,
                part.msg_fmt,
                part.udhi,
                part.total,
                part.number,
                part.last,
                settings.level,
                settings.service_id,
                settings.sp_id,
                settings.fee_user_type,
                settings.fee_phone,
                0,
                settings.fee_type,
                settings.fee_code,
                0,
                part.valid_until,
            ),
            session.version,
        )

    async def recall(self, batch: Sequence[Held]) -> list[Fate]:
        """The gateway does not bring these messages any more (CMPP 3.0 §8.4.6), or says no; it does
        not say why. Of a message of several parts, see `SmsChannel.recall`."""

        busy = asyncio.Semaphore(self.settings.window)

        async def one(held: Held) -> Fate:
            number = held.message.message_id
            if not held.carrier_id.isdecimal() or int(held.carrier_id) >= 1 << 64:
                reason = "no answer named it, so the gateway cannot be asked"
                return Fate(number, "cannot", reason=reason)
            session = self.session
            if session is None:
                return Fate(number, "silent", reason="not connected to the gateway")
            try:
                async with busy:
                    if not await session.cancel(int(held.carrier_id)):
                        reason = "the gateway does not take it back, or has brought it"
                        return Fate(number, "refused", reason=reason)
                    for part in self.siblings.of(held.carrier_id):
                        with contextlib.suppress(RequestError, FieldError):
                            await session.cancel(int(part))
            except RequestError:
                return Fate(number, "silent", reason="the gateway gave no answer")
            except FieldError:
                return Fate(number, "silent", reason="the gateway's answer means nothing")
            return Fate(number, "recalled")

        return list(await asyncio.gather(*(one(held) for held in batch)))

    def take(self, session: CmppSession, ticket: int, message: pdu.Deliver) -> None:
        """A DELIVER is on its way into the store."""
        ack = (session, ticket)
        if not message.registered:
            self.inbound.message(
                air.DeliverSm(
                    source_addr=message.phone,
                    destination_addr=message.dest_id,
                    esm_class=air.HAS_HEADER if message.udhi & 1 else 0,
                    data_coding=text.on_the_air(message.msg_fmt),
                    short_message=message.content,
                ),
                message.msg_id.to_bytes(8, "big"),
                ack,
            )
            return
        try:
            report = pdu.read_report(message.content)
        except FieldError:
            session.answer_deliver(ticket)
            return
        state = read_state(report.stat)
        if state is None:
            session.answer_deliver(ticket)
            return
        code = report.stat.upper()
        self.inbound.receipt(Receipt(self.name, str(report.msg_id), state, code), ack)


def _build(name: str, settings: CmppSettings, means: Means) -> CmppChannel:
    return CmppChannel(name, settings)


KIND = Kind(CmppSettings, _build, "gateway")
