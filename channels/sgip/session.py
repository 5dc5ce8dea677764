"""The two kinds of SGIP connections: ours to the gateway, and the gateway's to us (§3.7.2)."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from channels.china.fields import FieldError
from channels.china.session import GatewaySession
from channels.china.times import month_to_second
from channels.china.wire import RESPONSE
from channels.sgip import pdu, status
from channels.sgip.settings import SgipSettings
from channels.sms import status as smpp
from channels.sms.batch import Answer
from channels.sms.line import RefusedError
from channels.sms.pace import Pace

log = logging.getLogger("outreach.sms")

Take = Callable[["SgipSession", int, pdu.Deliver | pdu.Report], None]


class Sequences:
    """Numbers that no request of this node had before (§3.4): the node, the time in Beijing, and a
    count that goes on over all connections."""

    def __init__(self, node: int, now: Callable[[], float] = time.time) -> None:
        self._node = node
        self._now = now
        self._count = 0
        self._second = 0
        self._lead = 0

    def next(self) -> int:
        """The next one."""
        second = int(self._now())
        if second != self._second:
            self._second = second
            stamp = int(month_to_second(datetime.fromtimestamp(second, UTC)))
            self._lead = (self._node << 32 | stamp) << 32
        self._count = (self._count + 1) & 0xFFFFFFFF
        return self._lead | self._count


class SgipSession(GatewaySession):
    """A connection on which `login` lets us submit. `take` gets what the gateway brings, with the
    ticket under which `answer_deliver` answers it."""

    protocol = "sgip"
    header_octets = pdu.HEADER_OCTETS
    max_octets = pdu.MAX_PDU_OCTETS
    LOGIN = pdu.BIND
    SUBMIT = pdu.SUBMIT
    END = pdu.UNBIND
    TEST = None
    SLOW_DOWN = status.SLOW_DOWN

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: SgipSettings,
        pace: Pace,
        take: Take,
        sequences: Sequences,
    ) -> None:
        super().__init__(loop, settings, pace)
        self.settings = settings
        self._sequences = sequences
        self._take = take

    async def login(self) -> str:
        """We may submit. Raises RefusedError, FieldError, or RequestError when no answer comes."""
        asked = pdu.Bind(pdu.TO_GATEWAY, self.settings.login, self.settings.password)
        result = pdu.read_result(await self.request(pdu.BIND, pdu.bind_body(asked)))
        if result != status.OK:
            raise RefusedError(
                f"the gateway refused the login (result {result}): "
                + (status.why(result) or "it does not say why"),
                "Check login and password, and that the carrier knows this machine's IP address.",
            )
        self.open_window()
        return "SGIP"

    async def trace(self, sequence: int, phone: str) -> tuple[pdu.Stage, ...]:
        """Where a submit of ours has been. Raises RequestError or FieldError."""
        body = pdu.trace_body(pdu.Trace(sequence, phone))
        return pdu.read_stages(await self.request(pdu.TRACE, body))

    # What the session asks for

    def admits(self, body: bytes) -> bool:
        return pdu.read_result(body) == status.OK

    def submit_answer(self, sequence: int, body: bytes) -> Answer:
        return pdu.read_result(body), pdu.sequence_text(sequence)

    def brought(self, command_id: int, sequence: int, body: bytes) -> bool:
        ticket = sequence << 32 | command_id
        try:
            if command_id == pdu.DELIVER:
                self._take(self, ticket, pdu.read_deliver(body))
            elif command_id == pdu.REPORT:
                self._take(self, ticket, pdu.read_report(body))
            elif command_id == pdu.USER_REPORT:
                log.info("user_report condition=%d", pdu.read_user_report(body).condition)
                self._answer(ticket, status.OK)
            else:
                return False
        except FieldError as error:
            log.warning("deliver_unreadable octets=%d", len(body), extra={"reason": error.message})
            self._answer(ticket, status.WRONG_FORMAT)
        return True

    def next_sequence(self) -> int:
        return self._sequences.next()

    def answer_deliver(self, sequence: int, command_status: int = smpp.OK) -> None:
        """`sequence` is the ticket: the sequence number before the command."""
        self._answer(sequence, status.OK if command_status == smpp.OK else status.BUSY)

    def _answer(self, ticket: int, result: int) -> None:
        if not self.lost.done():
            self.say(ticket & 0xFFFFFFFF | RESPONSE, ticket >> 32, pdu.result_body(result))


class SgipVisit(SgipSession):
    """A connection that the gateway made to us. It brings nothing before it has logged in."""

    def pdu_received(
        self, command_id: int, command_status: int, sequence: int, body: bytes
    ) -> None:
        if command_id == pdu.BIND:
            self._greeted(sequence, body)
        else:
            super().pdu_received(command_id, command_status, sequence, body)

    @property
    def admitted(self) -> bool:
        """The gateway has logged in."""
        return self._admitted

    @property
    def heard_at(self) -> float:
        """When it last said something, on the loop's clock."""
        return self._heard_at

    def _greeted(self, sequence: int, body: bytes) -> None:
        try:
            asked = pdu.read_bind(body)
        except FieldError:
            self.close()
            return
        agreed = (self.settings.listen_login, self.settings.listen_password)
        same = [
            hmac.compare_digest(given.encode(), wanted.encode())
            for given, wanted in zip((asked.name, asked.password), agreed, strict=True)
        ]
        if self._admitted:
            result = status.LOGIN_TWICE
        elif asked.login_type not in (pdu.TO_PROVIDER, pdu.FOR_TESTS):
            result = status.WRONG_LOGIN_TYPE
        else:
            result = status.OK if all(same) else status.WRONG_LOGIN
        self.say(pdu.BIND | RESPONSE, sequence, pdu.result_body(result))
        if result == status.OK:
            self._admitted = True
            log.info("sgip_visited")
        elif not self._admitted:
            log.warning("sgip_visit_refused result=%d", result)
            self.close()
