"""A simulated CMPP gateway (ISMG), on the same codec as the channel."""

from __future__ import annotations

import hmac
from datetime import timedelta

from channels.carriers.exchange import Caller, Exchange, Parcel, in_utc
from channels.carriers.handset import Handset
from channels.carriers.taken import Taken
from channels.china import text
from channels.china.numbers import incoming
from channels.china.times import year_to_minute
from channels.china.wire import RESPONSE
from channels.cmpp import pdu, status
from channels.sms import pdu as air

_STATS = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV"}
_GATEWAY = 1001
"""ISMG_Id 001001: Beijing's first."""


class CmppCaller(Caller):
    """One customer of a CMPP gateway."""

    protocol = "cmpp"
    header_octets = pdu.HEADER_OCTETS
    max_octets = pdu.MAX_PDU_OCTETS
    SUBMIT = pdu.SUBMIT
    END = pdu.TERMINATE
    version = pdu.V3

    def asked(self, command_id: int, sequence: int, body: bytes) -> None:
        if command_id == pdu.CONNECT:
            self._connect(pdu.read_connect(body), sequence)
        elif command_id == pdu.ACTIVE_TEST:
            self.say(command_id | RESPONSE, sequence, b"\0")
        elif command_id == pdu.CANCEL and self.account:
            deleted = self._exchange.delete(pdu.read_cancel(body))
            answer = pdu.cancel_resp_body(not deleted, self.version)
            self.say(command_id | RESPONSE, sequence, answer)
        elif command_id == pdu.QUERY and self.account:
            answer = pdu.query_resp_body(self._exchange.counted(pdu.read_query(body)))
            self.say(command_id | RESPONSE, sequence, answer)

    def read_submit(self, body: bytes) -> air.SubmitSm:
        submit = pdu.read_submit(body, self.version)
        return air.SubmitSm(
            source_addr=submit.src_id,
            destination_addr=incoming(submit.phones[0]).removeprefix("+"),
            esm_class=air.HAS_HEADER if submit.udhi & 1 else 0,
            validity_period=in_utc(submit.valid_time),
            registered_delivery=submit.registered,
            data_coding=text.on_the_air(submit.msg_fmt),
            short_message=submit.content,
        )

    def submit_answer(self, message_id: int, result: int) -> bytes:
        return pdu.result_body(message_id, result, self.version)

    def parcel_result(self, body: bytes) -> int:
        return pdu.read_result(body, self.version)[1]

    @property
    def _exchange(self) -> CmppExchange:
        assert isinstance(self.exchange, CmppExchange)
        return self.exchange

    def _connect(self, asked: pdu.Connect, sequence: int) -> None:
        exchange = self._exchange
        highest = exchange.highest_version
        # Some providers say 2.1; there are two layouts all the same.
        self.version = pdu.V3 if min(asked.version, highest) >= pdu.V3 else pdu.V2
        secret = exchange.settings.accounts.get(asked.source_addr)
        digest = pdu.source_digest(asked.source_addr, secret or "", asked.timestamp)
        refusal, proof = 0, bytes(16)
        if asked.version > highest:
            refusal = status.VERSION_TOO_HIGH
        elif secret is None:
            refusal = 2
        elif not hmac.compare_digest(digest, asked.authenticator):
            refusal = 3
        else:
            zero = bytes(4 if self.version == pdu.V3 else 1)
            proof = pdu.gateway_digest(zero, digest, exchange.proves_by or secret)
        answer = pdu.ConnectResp(refusal, proof, highest, self.version)
        self.say(pdu.CONNECT | RESPONSE, sequence, pdu.connect_resp_body(answer))
        if not refusal:
            self.entered(asked.source_addr)


class CmppExchange(Exchange):
    """The gateway. `highest_version` is the highest it speaks; `proves_by` a secret with which it
    answers logins instead of the account's."""

    protocol = "cmpp"
    THROTTLED = status.TOO_FAST
    WRONG_PHONE = status.WRONG_PHONE
    WRONG_LENGTH = 6
    highest_version = pdu.V3
    proves_by = ""

    def new_customer(self) -> CmppCaller:
        return CmppCaller(self._loop, self)

    def message_id(self, customer: Caller, sequence: int) -> int:
        return self._next_id()

    def message(self, handset: Handset, to: str, msg_fmt: int, udhi: int, part: bytes) -> Parcel:
        phone = handset.number.removeprefix("86")
        deliver = pdu.Deliver(self._next_id(), to, phone, part, msg_fmt, udhi)
        account = next(iter(self.settings.accounts))
        return Parcel(account, pdu.DELIVER, lambda it: pdu.deliver_body(deliver, _version(it)))

    def report(self, taken: Taken) -> Parcel:
        phone, now = taken.message.destination_addr.removeprefix("86"), self.now()
        report = pdu.Report(
            taken.message_id,
            _STATS[taken.state],
            year_to_minute(taken.at),
            year_to_minute(now),
            phone,
            taken.message_id & 0xFFFFFFFF,
        )

        def body(customer: Caller) -> bytes:
            version = _version(customer)
            content = pdu.report_content(report, version)
            source = taken.message.source_addr
            deliver = pdu.Deliver(self._next_id(), source, phone, content, registered=1)
            return pdu.deliver_body(deliver, version)

        return Parcel(taken.account, pdu.DELIVER, body)

    def delete(self, message_id: int) -> bool:
        """Whether the message was still under way, and is deleted now."""
        taken = self.taken.get(message_id)
        if taken is None or taken.state != 1:
            return False
        self.finish(taken, 4)
        return True

    def counted(self, asked: pdu.Query) -> pdu.QueryResp:
        """The counts of all days."""
        states = [taken.state for taken in self.taken.values()]
        waiting, sent = states.count(1), states.count(2)
        failed = len(states) - waiting - sent
        counts = (len(states), len(states), sent, waiting, failed)
        return pdu.QueryResp(asked.day, asked.service_id, *counts, self._utterances, 0, 0)

    def _next_id(self) -> int:
        """§8.4.3.2: month, day, hour, minute, second; the gateway; a running number."""
        self._last_id = self._last_id % 0xFFFF + 1
        at = self.now() + timedelta(hours=8)
        when = ((at.month << 5 | at.day) << 5 | at.hour) << 6 | at.minute
        return ((when << 6 | at.second) << 22 | _GATEWAY) << 16 | self._last_id


def _version(customer: Caller) -> int:
    assert isinstance(customer, CmppCaller)
    return customer.version
