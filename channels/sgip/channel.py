"""SMS over SGIP: messages to and from a gateway of China Unicom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from channels.base import Health, Inbox, Kind, Means
from channels.china import text
from channels.china.gateway import GatewayChannel, Part
from channels.sgip import pdu, status
from channels.sgip.door import Door
from channels.sgip.session import Sequences, SgipSession, SgipVisit
from channels.sgip.settings import SgipSettings
from channels.sms import pdu as air
from orchestrator.core.delivery import Receipt

_EVERYTHING, _NOTHING = 1, 2
"""ReportFlag."""


class SgipChannel(GatewayChannel[SgipSession]):
    """Sends SMS over SGIP 1.2, and waits for the gateway to bring reports and replies. A message's
    id is the sequence number of its submit."""

    protocol = "sgip"
    verdicts = status.VERDICTS
    most_ascii = 140

    def __init__(
        self, name: str, settings: SgipSettings, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(name, settings, now)
        self.settings = settings
        self._sequences = Sequences(settings.node)
        self._door = Door(
            settings.listen_host,
            settings.listen_port,
            self._new_visit,
            most=settings.listen_most,
            login_within_s=settings.deadline_s,
            again_s=min(5.0, settings.reconnect_max_s),
        )

    @property
    def listen_port(self) -> int:
        """Where the gateway may call us."""
        return self._door.port

    async def start(self, inbox: Inbox) -> None:
        """Connecting has begun, and listening; `health` tells when both are done."""
        await super().start(inbox)
        await self._door.open()

    def health(self) -> Health:
        """Up when we may submit and the gateway may come in."""
        health = super().health()
        return "connecting" if health == "up" and not self._door.is_open else health

    @property
    def trouble(self) -> str:
        return super().trouble or self._door.trouble

    async def stop(self) -> None:
        await super().stop()
        await self._door.close()
        await self.inbound.stored()

    def new_session(self) -> SgipSession:
        loop = asyncio.get_running_loop()
        return SgipSession(loop, self.settings, self.pace, self.take, self._sequences)

    def _new_visit(self) -> SgipVisit:
        loop = asyncio.get_running_loop()
        return SgipVisit(loop, self.settings, self.pace, self.take, self._sequences)

    async def enter(self, session: SgipSession) -> str:
        return await session.login()

    def write(self, session: SgipSession, part: Part) -> bytes:
        settings = self.settings
        return pdu.submit_body(
            pdu.Submit(
                part.sender,
                (part.phone,),
                part.content,
                part.msg_fmt,
                part.udhi,
                settings.charge_number,
                settings.corp_id,
                settings.service_type,
                settings.fee_type,
                settings.fee_value,
                settings.given_value,
                settings.agent_flag,
                settings.reason,
                settings.priority,
                part.valid_until,
                "",
                _EVERYTHING if part.last else _NOTHING,
            )
        )

    def take(self, session: SgipSession, ticket: int, brought: pdu.Deliver | pdu.Report) -> None:
        """What the gateway brought is on its way into the store."""
        ack = (session, ticket)
        if isinstance(brought, pdu.Deliver):
            self.inbound.message(
                air.DeliverSm(
                    source_addr=brought.phone,
                    destination_addr=brought.sp_number,
                    esm_class=air.HAS_HEADER if brought.udhi & 1 else 0,
                    data_coding=text.on_the_air(brought.coding),
                    short_message=brought.content,
                ),
                (ticket >> 32).to_bytes(12, "big"),
                ack,
            )
            return
        if brought.report_type != 0 or brought.state not in (0, 2):
            session.answer_deliver(ticket)  # of no message of ours, or not its last word
            return
        carrier_id = pdu.sequence_text(brought.sequence)
        if brought.state == 0:
            receipt = Receipt(self.name, carrier_id, "delivered")
        else:
            code = status.name(brought.error)
            receipt = Receipt(self.name, carrier_id, "undelivered", code)
        self.inbound.receipt(receipt, ack)


def _build(name: str, settings: SgipSettings, means: Means) -> SgipChannel:
    return SgipChannel(name, settings)


KIND = Kind(SgipSettings, _build, "gateway")
