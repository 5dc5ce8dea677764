"""Our side of one SMGP connection (SMGP 3.0.3 §4.2.1, §5.2.2)."""

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
from channels.smgp import pdu, status
from channels.smgp.settings import SmgpSettings
from channels.sms import status as smpp
from channels.sms.batch import Answer
from channels.sms.line import RefusedError
from channels.sms.pace import Pace

log = logging.getLogger("outreach.sms")

Take = Callable[["SmgpSession", int, pdu.Deliver], None]

_MODES = {"send": 0, "receive": 1, "both": 2}


class SmgpSession(GatewaySession):
    """A connection on which `login` makes us a gateway's customer. `take` gets each Deliver with
    the ticket under which `answer_deliver` answers it."""

    protocol = "smgp"
    header_octets = pdu.HEADER_OCTETS
    max_octets = pdu.MAX_PDU_OCTETS
    LOGIN = pdu.LOGIN
    SUBMIT = pdu.SUBMIT
    END = pdu.EXIT
    TEST = pdu.ACTIVE_TEST
    SLOW_DOWN = status.SLOW_DOWN

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: SmgpSettings, pace: Pace, take: Take
    ) -> None:
        super().__init__(loop, settings, pace)
        self._settings = settings
        self._take = take

    async def login(self, now: datetime) -> str:
        """We are logged in; the answer is the version that the gateway speaks. Raises RefusedError,
        FieldError, or RequestError when no answer comes."""
        settings = self._settings
        stamp = int(month_to_second(now))
        digest = pdu.client_digest(settings.client_id, settings.secret, stamp)
        asked = pdu.Login(settings.client_id, digest, _MODES[settings.mode], stamp)
        answer = pdu.read_login_resp(await self.request(pdu.LOGIN, pdu.login_body(asked)))
        if answer.status != status.OK:
            why = status.why(answer.status) or "it does not say why"
            raise RefusedError(
                f"the gateway refused the login (status {answer.status}): {why}",
                "Check client_id and secret, and that the carrier knows this machine's IP address.",
            )
        expected = (pdu.server_digest(digest, settings.secret),)
        check(answer.authenticator, expected, settings.gateway_proof, self.protocol)
        self.open_window()
        return f"SMGP {answer.version >> 4}.{answer.version & 0xF}"

    async def query(self, day: str, service_id: str = "") -> pdu.QueryResp:
        """The gateway's counts of a day (YYYYMMDD). Raises RequestError or FieldError."""
        body = pdu.query_body(pdu.Query(day, service_id))
        return pdu.read_query_resp(await self.request(pdu.QUERY, body))

    # What the session asks for

    def admits(self, body: bytes) -> bool:
        return pdu.read_login_resp(body).status == status.OK

    def submit_answer(self, sequence: int, body: bytes) -> Answer:
        msg_id, result = pdu.read_result(body)
        return result, msg_id

    def brought(self, command_id: int, sequence: int, body: bytes) -> bool:
        if command_id != pdu.DELIVER:
            return False
        try:
            message = pdu.read_deliver(body)
        except FieldError as error:
            log.warning("deliver_unreadable octets=%d", len(body), extra={"reason": error.message})
            self._answer(sequence, body[:10].ljust(10, b"\0").hex(), status.WRONG_STRUCTURE)
            return True
        self._take(self, int(message.msg_id, 16) << 32 | sequence, message)
        return True

    def answer_deliver(self, sequence: int, command_status: int = smpp.OK) -> None:
        """`sequence` is the ticket: the message's id before the sequence number."""
        result = status.OK if command_status == smpp.OK else status.BUSY
        self._answer(sequence & 0xFFFFFFFF, f"{sequence >> 32:020x}", result)

    def _answer(self, sequence: int, msg_id: str, result: int) -> None:
        if not self.lost.done():
            self.say(pdu.DELIVER | RESPONSE, sequence, pdu.result_body(msg_id, result))
