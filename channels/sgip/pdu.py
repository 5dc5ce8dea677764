"""SGIP 1.2 bodies as frozen values, and in octets (SGIP 1.1 §4.2.3, §4.3, §4.4; 1.2 left these
layouts alone).

Nonsense raises FieldError, and nothing else. Sequence numbers, three integers of four octets
(§3.4), are one integer here, and `node.time.number` where people see them.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from channels.china.fields import FieldError, content, cut_short, fixed, unpack, words

BIND, UNBIND, SUBMIT, DELIVER, REPORT = 0x1, 0x2, 0x3, 0x4, 0x5
USER_REPORT, TRACE = 0x11, 0x1000

HEADER_OCTETS: Final = 20
MAX_PDU_OCTETS: Final = 0x2000
"""Longest PDU we take. §4 says 2 KB, which a Submit to 100 phones exceeds."""
MAX_CONTENT_OCTETS: Final = 1024

TO_GATEWAY, TO_PROVIDER, FOR_TESTS = 1, 2, 11
"""Login types: who called whom."""

_BIND = Layout(">B16s16s8s")
_SUBMIT_HEAD = Layout(">21s21sB")
_SUBMIT_TAIL = Layout(">5s10sB6s6sBBB16s16sBBBBBI")
_DELIVER = Layout(">21s21sBBBI")
_REPORT = Layout(">12sB21sBB8s")
_USER_REPORT = Layout(">21s21sB8s")
_TRACE = Layout(">12s21s8s")
_NODE = Layout(">B6s16s16s8s")
_RESERVED = bytes(8)


class Bind(Struct, frozen=True):
    """§4.2.3.1.1."""

    login_type: int
    name: str
    password: str


class Submit(Struct, frozen=True):
    """§4.2.3.3.1. `phones` are UserNumber, 100 at most, beginning with 86. `report_flag`: 0 reports
    failures, 1 everything, 2 nothing."""

    sp_number: str
    phones: tuple[str, ...]
    content: bytes
    coding: int = 0
    udhi: int = 0
    charge_number: str = ""
    corp_id: str = ""
    service_type: str = ""
    fee_type: int = 1
    fee_value: str = "0"
    given_value: str = "0"
    agent_flag: int = 0
    reason: int = 2
    priority: int = 0
    expire_time: str = ""
    schedule_time: str = ""
    report_flag: int = 1
    tp_pid: int = 0
    message_type: int = 0
    link_id: str = ""


class Deliver(Struct, frozen=True):
    """§4.2.3.4.1. `link_id` stands where 1.1 had reserved octets."""

    phone: str
    sp_number: str
    content: bytes
    coding: int = 0
    udhi: int = 0
    tp_pid: int = 0
    link_id: str = ""


class Report(Struct, frozen=True):
    """§4.2.3.5.1: what became of the submit with this sequence number. `state`: 0 delivered, 1 on
    its way, 2 failed, and then `error` says why."""

    sequence: int
    phone: str
    state: int
    error: int = 0
    report_type: int = 0


class UserReport(Struct, frozen=True):
    """§4.3.3: 0 the phone is no customer any more, 1 it owes money, 2 all is well again."""

    sp_number: str
    phone: str
    condition: int


class Trace(Struct, frozen=True):
    """§4.4.1: where the submit with this sequence number has been."""

    sequence: int
    phone: str


class Stage(Struct, frozen=True):
    """One node in the answer to a Trace (§4.4.2). Times are yymmddhhmmss."""

    result: int
    node: str
    received: str
    sent: str


def sequence_text(sequence: int) -> str:
    """`node.time.number`, as it stands in a message's id."""
    return f"{sequence >> 64}.{sequence >> 32 & 0xFFFFFFFF:010d}.{sequence & 0xFFFFFFFF}"


def bind_body(it: Bind) -> bytes:
    name, password = fixed("name", it.name, 16), fixed("password", it.password, 16)
    return _BIND.pack(it.login_type, name, password, b"")


def read_bind(body: bytes) -> Bind:
    login_type, name, password, _ = unpack(_BIND, body)
    return Bind(login_type, words(name), words(password))


def result_body(result: int) -> bytes:
    """The answer to all requests but Unbind and Trace."""
    return b"%c%b" % (result, _RESERVED)


def read_result(body: bytes) -> int:
    """0 if it went well (§5.2). The reserved octets may be left out."""
    if not body:
        raise cut_short()
    return body[0]


def submit_body(it: Submit) -> bytes:
    """The hot path of everything that goes out. Raises FieldError for what does not fit."""
    if len(it.content) > MAX_CONTENT_OCTETS or not 0 < len(it.phones) <= 100:
        raise FieldError("a submit takes 1,024 octets to between 1 and 100 phones")
    head = _SUBMIT_HEAD.pack(
        fixed("sp_number", it.sp_number, 21),
        fixed("charge_number", it.charge_number, 21),
        len(it.phones),
    )
    phones = b"".join([fixed("phone", phone, 21).ljust(21, b"\0") for phone in it.phones])
    tail = _SUBMIT_TAIL.pack(
        fixed("corp_id", it.corp_id, 5),
        fixed("service_type", it.service_type, 10),
        it.fee_type,
        fixed("fee_value", it.fee_value, 6),
        fixed("given_value", it.given_value, 6),
        it.agent_flag,
        it.reason,
        it.priority,
        fixed("expire_time", it.expire_time, 16),
        fixed("schedule_time", it.schedule_time, 16),
        it.report_flag,
        it.tp_pid,
        it.udhi,
        it.coding,
        it.message_type,
        len(it.content),
    )
    return b"%b%b%b%b%b" % (head, phones, tail, it.content, _link(it.link_id))


def read_submit(body: bytes) -> Submit:
    sp_number, charged, count = unpack(_SUBMIT_HEAD, body)
    if not count:
        raise FieldError("a submit to nobody")
    start = _SUBMIT_HEAD.size
    phones = content(body, start, 21 * count)
    start += len(phones)
    (
        (corp, service, fee_type, fee, given, agent, reason, priority, expires, scheduled),
        (report_flag, tp_pid, udhi, coding, message_type, length),
    ) = (fields := unpack(_SUBMIT_TAIL, body, start))[:10], fields[10:]
    start += _SUBMIT_TAIL.size
    return Submit(
        words(sp_number),
        tuple(words(phones[i : i + 21]) for i in range(0, len(phones), 21)),
        content(body, start, length),
        coding,
        udhi,
        words(charged),
        words(corp),
        words(service),
        fee_type,
        words(fee),
        words(given),
        agent,
        reason,
        priority,
        words(expires),
        words(scheduled),
        report_flag,
        tp_pid,
        message_type,
        words(body[start + length : start + length + 8]),
    )


def deliver_body(it: Deliver) -> bytes:
    head = _DELIVER.pack(
        fixed("phone", it.phone, 21),
        fixed("sp_number", it.sp_number, 21),
        it.tp_pid,
        it.udhi,
        it.coding,
        len(it.content),
    )
    return head + it.content + _link(it.link_id)


def read_deliver(body: bytes) -> Deliver:
    """The hot path of everything that arrives."""
    phone, sp_number, tp_pid, udhi, coding, length = unpack(_DELIVER, body)
    if length > MAX_CONTENT_OCTETS:
        raise FieldError("a delivery has at most 1,024 octets")
    end = _DELIVER.size + length
    text = content(body, _DELIVER.size, length)
    link_id = words(body[end : end + 8])
    return Deliver(words(phone), words(sp_number), text, coding, udhi, tp_pid, link_id)


def report_body(it: Report) -> bytes:
    sequence, phone = it.sequence.to_bytes(12, "big"), fixed("phone", it.phone, 21)
    return _REPORT.pack(sequence, it.report_type, phone, it.state, it.error, b"")


def read_report(body: bytes) -> Report:
    """The reserved octets may be left out."""
    sequence, report_type, phone, state, error, _ = unpack(_REPORT, body + _RESERVED)
    return Report(int.from_bytes(sequence, "big"), words(phone), state, error, report_type)


def user_report_body(it: UserReport) -> bytes:
    sp_number, phone = fixed("sp_number", it.sp_number, 21), fixed("phone", it.phone, 21)
    return _USER_REPORT.pack(sp_number, phone, it.condition, b"")


def read_user_report(body: bytes) -> UserReport:
    sp_number, phone, condition, _ = unpack(_USER_REPORT, body + _RESERVED)
    return UserReport(words(sp_number), words(phone), condition)


def trace_body(it: Trace) -> bytes:
    return _TRACE.pack(it.sequence.to_bytes(12, "big"), fixed("phone", it.phone, 21), b"")


def read_trace(body: bytes) -> Trace:
    sequence, phone, _ = unpack(_TRACE, body + _RESERVED)
    return Trace(int.from_bytes(sequence, "big"), words(phone))


def stages_body(stages: tuple[Stage, ...]) -> bytes:
    """The answer to a Trace (§4.4.2): a count, then all fields once for each node."""
    nodes = [
        _NODE.pack(
            it.result,
            fixed("node", it.node, 6),
            fixed("received", it.received, 16),
            fixed("sent", it.sent, 16),
            b"",
        )
        for it in stages
    ]
    return b"%c%b" % (len(stages), b"".join(nodes))


def read_stages(body: bytes) -> tuple[Stage, ...]:
    found = []
    for number in range(read_result(body)):
        result, node, received, sent, _ = unpack(_NODE, body, 1 + number * _NODE.size)
        found.append(Stage(result, words(node), words(received), words(sent)))
    return tuple(found)


def _link(link_id: str) -> bytes:
    return fixed("link_id", link_id, 8).ljust(8, b"\0") if link_id else _RESERVED
