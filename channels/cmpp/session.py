"""Our side of one CMPP connection (CMPP 3.0 §7.1, §8.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from channels.china.fields import FieldError
from channels.china.proof import check
from channels.china.session import GatewaySession
from channels.china.times import month_to_second
from channels.china.wire import RESPONSE
from channels.cmpp import pdu, status
from channels.cmpp.settings import CmppSettings
from channels.sms import status as smpp
from channels.sms.batch import Answer
from channels.sms.line import RefusedError
from channels.sms.pace import Pace
from orchestrator.core.errors import OutreachError

log = logging.getLogger("outreach.sms")

Take = Callable[["CmppSession", int, pdu.Deliver], None]


class OtherVersionError(OutreachError):
    """The gateway does not speak our version; `offered` is the highest that it does."""

    def __init__(self, offered: int) -> None:
        super().__init__("the gateway speaks another version of CMPP")
        self.offered = offered


class CmppSession(GatewaySession):
    """A connection on which `connect` makes us a gateway's customer. `take` gets each DELIVER with
    the ticket under which `answer_deliver` answers it."""

    protocol = "cmpp"
    header_octets = pdu.HEADER_OCTETS
    max_octets = pdu.MAX_PDU_OCTETS
    LOGIN = pdu.CONNECT
    SUBMIT = pdu.SUBMIT
    END = pdu.TERMINATE
    TEST = pdu.ACTIVE_TEST
    TEST_ANSWER = b"\0"
    SLOW_DOWN = status.SLOW_DOWN

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: CmppSettings, pace: Pace, take: Take
    ) -> None:
        super().__init__(loop, settings, pace)
        self.version = pdu.V3
        self._settings = settings
        self._take = take

    async def connect(self, version: int, now: datetime) -> str:
        """We are logged in; the answer is the version spoken from now on. Raises RefusedError,
        OtherVersionError, FieldError, or RequestError when no answer comes."""
        settings = self._settings
        stamp = int(month_to_second(now))
        digest = pdu.source_digest(settings.sp_id, settings.secret, stamp)
        self.version = version
        body = pdu.connect_body(pdu.Connect(settings.sp_id, digest, version, stamp))
        answer = pdu.read_connect_resp(await self.request(pdu.CONNECT, body))
        if answer.status == status.VERSION_TOO_HIGH:
            raise OtherVersionError(answer.version)
        if answer.status != status.OK:
            why = status.CONNECT.get(answer.status, "it does not say why")
            raise RefusedError(
                f"the gateway refused the login (status {answer.status}): {why}",
                "Check sp_id and secret, and that the carrier knows this machine's IP address.",
            )
        expected = pdu.gateway_digests(digest, settings.secret)
        check(answer.authenticator, expected, settings.gateway_proof, self.protocol)
        self.open_window()
        return "CMPP 3.0" if self.version == pdu.V3 else "CMPP 2.0"

    async def query(self, day: str, service_id: str = "") -> pdu.QueryResp:
        """The gateway's counts of a day (YYYYMMDD). Raises RequestError or FieldError."""
        body = pdu.query_body(pdu.Query(day, service_id))
        return pdu.read_query_resp(await self.request(pdu.QUERY, body))

    async def cancel(self, msg_id: int) -> bool:
        """Whether the message was deleted before it went out. Requests go at the pace of submits.
        Raises RequestError or FieldError."""
        while not self._pace.room(self.loop.time()):  # noqa: ASYNC110 — awaits time itself
            await asyncio.sleep(self._pace.delay_s())
        self._pace.spend(1)
        return pdu.read_cancel_resp(await self.request(pdu.CANCEL, pdu.cancel_body(msg_id)))

    # What the session asks for

    def admits(self, body: bytes) -> bool:
        answer = pdu.read_connect_resp(body)
        if answer.layout == pdu.V2 or pdu.V2 <= answer.version < pdu.V3:
            self.version = pdu.V2
        return answer.status == status.OK

    def submit_answer(self, sequence: int, body: bytes) -> Answer:
        msg_id, result = pdu.read_result(body, self.version)
        return result, str(msg_id)

    def brought(self, command_id: int, sequence: int, body: bytes) -> bool:
        if command_id != pdu.DELIVER:
            return False
        try:
            message = pdu.read_deliver(body, self.version)
        except FieldError as error:
            log.warning("deliver_unreadable octets=%d", len(body), extra={"reason": error.message})
            msg_id = int.from_bytes(body[:8], "big")
            self._answer(sequence, msg_id, status.WRONG_STRUCTURE)
            return True
        self._take(self, message.msg_id << 32 | sequence, message)
        return True

    def answer_deliver(self, sequence: int, command_status: int = smpp.OK) -> None:
        """`sequence` is the ticket: the Msg_Id before the sequence number."""
        result = _RESULTS.get(command_status, status.OTHER)
        self._answer(sequence & 0xFFFFFFFF, sequence >> 32, result)

    def _answer(self, sequence: int, msg_id: int, result: int) -> None:
        if not self.lost.done():
            body = pdu.result_body(msg_id, result, self.version)
            self.say(pdu.DELIVER | RESPONSE, sequence, body)


_RESULTS = {smpp.OK: status.OK, smpp.QUEUE_FULL: status.TOO_FAST}
