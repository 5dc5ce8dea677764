"""SMS over SMGP: messages to and from a gateway of China Telecom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from channels.base import Kind, Means
from channels.china import text
from channels.china.fields import FieldError
from channels.china.gateway import GatewayChannel, Part
from channels.china.report import read_state
from channels.smgp import pdu, status
from channels.smgp.session import SmgpSession
from channels.smgp.settings import SmgpSettings
from channels.sms import pdu as air
from orchestrator.core.delivery import Receipt


class SmgpChannel(GatewayChannel[SmgpSession]):
    """Sends and receives SMS over SMGP 3.0. A message's id is its MsgID as twenty digits."""

    protocol = "smgp"
    verdicts = status.VERDICTS
    most_ascii = 140  # SMGP 3.0.3 §6.2.23

    def __init__(
        self, name: str, settings: SmgpSettings, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(name, settings, now)
        self.settings = settings
        self._always: pdu.Tlvs = ()
        if settings.msg_src:
            self._always += ((pdu.MSG_SRC, settings.msg_src.encode().ljust(8, b"\0")),)
        if settings.m_service_id:
            service = settings.m_service_id.encode().ljust(21, b"\0")
            self._always += ((pdu.M_SERVICE_ID, service),)

    def new_session(self) -> SmgpSession:
        return SmgpSession(asyncio.get_running_loop(), self.settings, self.pace, self.take)

    async def enter(self, session: SmgpSession) -> str:
        return await session.login(datetime.now(UTC))

    def write(self, session: SmgpSession, part: Part) -> bytes:
        settings, tlvs = self.settings, self._always
        if part.udhi:
            tlvs += (
                (pdu.TP_UDHI, b"\1"),
                (pdu.PK_TOTAL, b"%c" % part.total),
                (pdu.PK_NUMBER, b"%c" % part.number),
            )
        return pdu.submit_body(
            pdu.Submit(
                part.sender,
                (part.phone,),
                part.content,
                part.msg_fmt,
                part.last,
                6,
                settings.priority,
                settings.service_id,
                settings.fee_type,
                settings.fee_code,
                settings.fixed_fee,
                part.valid_until,
                "",
                settings.charge_phone,
                tlvs,
            )
        )

    def take(self, session: SmgpSession, ticket: int, message: pdu.Deliver) -> None:
        """A Deliver is on its way into the store."""
        ack = (session, ticket)
        if message.is_report != 1:
            udhi = pdu.tlv(message.tlvs, pdu.TP_UDHI)
            self.inbound.message(
                air.DeliverSm(
                    source_addr=message.phone,
                    destination_addr=message.dest_term_id,
                    esm_class=air.HAS_HEADER if udhi and udhi[-1] & 1 else 0,
                    data_coding=text.on_the_air(message.msg_format),
                    short_message=message.content,
                ),
                bytes.fromhex(message.msg_id),
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
        if report.error.strip("0"):
            code = f"{code}/{report.error}"
        self.inbound.receipt(Receipt(self.name, report.msg_id, state, code), ack)


def _build(name: str, settings: SmgpSettings, means: Means) -> SmgpChannel:
    return SmgpChannel(name, settings)


KIND = Kind(SmgpSettings, _build, "gateway")
