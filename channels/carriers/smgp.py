"""A simulated SMGP gateway (SMGW), on the same codec as the channel."""

from __future__ import annotations

import hmac

from channels.carriers.exchange import Caller, Exchange, Parcel, in_utc
from channels.carriers.handset import Handset
from channels.carriers.taken import Taken
from channels.china import text
from channels.china.numbers import incoming
from channels.china.times import BEIJING, year_to_minute
from channels.china.wire import RESPONSE
from channels.smgp import pdu, status
from channels.sms import pdu as air

_STATS = {
    2: ("DELIVRD", "000"),
    3: ("EXPIRED", "001"),
    4: ("DELETED", "006"),
    5: ("UNDELIV", "004"),
}
_GATEWAY = "010061"
"""Beijing's first (§6.2.26)."""


class SmgpCaller(Caller):
    """One customer of an SMGP gateway."""

    protocol = "smgp"
    header_octets = pdu.HEADER_OCTETS
    max_octets = pdu.MAX_PDU_OCTETS
    SUBMIT = pdu.SUBMIT
    END = pdu.EXIT

    def asked(self, command_id: int, sequence: int, body: bytes) -> None:
        if command_id == pdu.LOGIN:
            self._login(pdu.read_login(body), sequence)
        elif command_id == pdu.ACTIVE_TEST:
            self.say(command_id | RESPONSE, sequence)
        elif command_id == pdu.QUERY and self.account:
            answer = pdu.query_resp_body(self._exchange.counted(pdu.read_query(body)))
            self.say(command_id | RESPONSE, sequence, answer)

    def read_submit(self, body: bytes) -> air.SubmitSm:
        submit = pdu.read_submit(body)
        udhi = pdu.tlv(submit.tlvs, pdu.TP_UDHI)
        return air.SubmitSm(
            source_addr=submit.src_term_id,
            destination_addr=incoming(submit.phones[0]).removeprefix("+"),
            esm_class=air.HAS_HEADER if udhi[-1:] == b"\1" else 0,
            validity_period=in_utc(submit.valid_time),
            registered_delivery=submit.need_report,
            data_coding=text.on_the_air(submit.msg_format),
            short_message=submit.content,
        )

    def submit_answer(self, message_id: int, result: int) -> bytes:
        return pdu.result_body(f"{message_id:020d}", result)

    def parcel_result(self, body: bytes) -> int:
        return pdu.read_result(body)[1]

    @property
    def _exchange(self) -> SmgpExchange:
        assert isinstance(self.exchange, SmgpExchange)
        return self.exchange

    def _login(self, asked: pdu.Login, sequence: int) -> None:
        exchange = self._exchange
        secret = exchange.settings.accounts.get(asked.client_id)
        digest = pdu.client_digest(asked.client_id, secret or "", asked.timestamp)
        if secret is None or not hmac.compare_digest(digest, asked.authenticator):
            self.say(pdu.LOGIN | RESPONSE, sequence, pdu.login_resp_body(pdu.LoginResp(21)))
            return
        proof = pdu.server_digest(digest, exchange.proves_by or secret)
        self.say(pdu.LOGIN | RESPONSE, sequence, pdu.login_resp_body(pdu.LoginResp(0, proof)))
        self.entered(asked.client_id)


class SmgpExchange(Exchange):
    """The gateway. `proves_by` is a secret with which it answers logins instead of the account's;
    `id_as_digits` writes ids in reports as twenty digits, as some do."""

    protocol = "smgp"
    THROTTLED = status.BUSY
    WRONG_PHONE = status.WRONG_PHONE
    WRONG_LENGTH = status.WRONG_LENGTH
    proves_by = ""
    id_as_digits = False

    def new_customer(self) -> SmgpCaller:
        return SmgpCaller(self._loop, self)

    def message_id(self, customer: Caller, sequence: int) -> int:
        return self._next_id()

    def message(self, handset: Handset, to: str, msg_fmt: int, udhi: int, part: bytes) -> Parcel:
        tlvs = ((pdu.TP_UDHI, b"\1"),) if udhi else ()
        phone = handset.number.removeprefix("86")
        received = self.now().astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
        name = f"{self._next_id():020d}"
        body = pdu.deliver_body(pdu.Deliver(name, phone, to, part, msg_fmt, 0, received, tlvs))
        return Parcel(next(iter(self.settings.accounts)), pdu.DELIVER, lambda _: body)

    def report(self, taken: Taken) -> Parcel:
        now, name = self.now(), f"{taken.message_id:020d}"
        stat, error = _STATS[taken.state]
        times = year_to_minute(taken.at), year_to_minute(now)
        content = pdu.report_content(pdu.Report(name, stat, error, *times))
        if self.id_as_digits:
            content = content.replace(pdu.id_octets(name), name.encode())
        phone = taken.message.destination_addr.removeprefix("86")
        deliver = pdu.Deliver(
            f"{self._next_id():020d}", phone, taken.message.source_addr, content, 0, 1
        )
        body = pdu.deliver_body(deliver)
        return Parcel(taken.account, pdu.DELIVER, lambda _: body)

    def counted(self, asked: pdu.Query) -> pdu.QueryResp:
        """The counts of all days."""
        states = [taken.state for taken in self.taken.values()]
        waiting, sent = states.count(1), states.count(2)
        failed = len(states) - waiting - sent
        counts = (len(states), len(states), sent, waiting, failed)
        return pdu.QueryResp(asked.day, asked.service_id, *counts, self._utterances, 0, 0)

    def _next_id(self) -> int:
        """§6.2.26: the gateway, month to minute, a running number; twenty digits."""
        self._last_id = (self._last_id + 1) % 1_000_000
        minute = self.now().astimezone(BEIJING).strftime("%m%d%H%M")
        return int(f"{_GATEWAY}{minute}{self._last_id:06d}")
