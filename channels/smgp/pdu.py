"""SMGP 3.0 bodies as frozen values, and in octets (SMGP 3.0.3 §5.2.2, §6.2, §6.3).

Nonsense raises FieldError, and nothing else. Message ids, ten octets of digits in pairs (§6.2.26),
are kept as those twenty digits.
"""

from __future__ import annotations

import re
from hashlib import md5
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from channels.china.fields import FieldError, content, cut_short, fixed, unpack, words

LOGIN, SUBMIT, DELIVER, ACTIVE_TEST, EXIT, QUERY = 0x01, 0x02, 0x03, 0x04, 0x06, 0x07

VERSION: Final = 0x30
HEADER_OCTETS: Final = 12
MAX_PDU_OCTETS: Final = 0x2000
"""Longest PDU we take: a Submit to 100 phones has 2.5 KB and its optional parameters."""

TP_PID, TP_UDHI, LINK_ID, CHARGE_USER_TYPE = 0x0001, 0x0002, 0x0003, 0x0004
PK_TOTAL, PK_NUMBER, SUBMIT_MSG_TYPE = 0x0009, 0x000A, 0x000B
MSG_SRC, M_SERVICE_ID = 0x0010, 0x0012

_LOGIN = Layout(">8s16sBIB")
_LOGIN_RESP = Layout(">I16sB")
_SUBMIT = Layout(">BBB10s2s6s6sB17s17s21s21sB")
_DELIVER = Layout(">10sBB14s21s21sB")
_RESULT = Layout(">10sI")
_QUERY = Layout(">8sB10s")
_QUERY_RESP = Layout(">8sB10s8I8s")
_TLV = Layout(">HH")
_PHONE_OCTETS: Final = 21
_RESERVED_OCTETS: Final = 8

Tlvs = tuple[tuple[int, bytes], ...]
"""Optional parameters, raw by tag, in the order they came."""


class Login(Struct, frozen=True):
    """§5.2.2.1.1. `mode`: 0 sends, 1 receives, 2 does both. `timestamp` is MMDDHHMMSS as a
    number."""

    client_id: str
    authenticator: bytes
    mode: int
    timestamp: int
    version: int = VERSION


class LoginResp(Struct, frozen=True):
    """§5.2.2.1.2."""

    status: int
    authenticator: bytes = bytes(16)
    version: int = VERSION


class Submit(Struct, frozen=True):
    """§5.2.2.2.1. `phones` are DestTermID, 100 at most; `msg_type` 6 goes to phones."""

    src_term_id: str
    phones: tuple[str, ...]
    content: bytes
    msg_format: int = 0
    need_report: int = 0
    msg_type: int = 6
    priority: int = 1
    service_id: str = ""
    fee_type: str = "00"
    fee_code: str = "0"
    fixed_fee: str = "0"
    valid_time: str = ""
    at_time: str = ""
    charge_phone: str = ""
    tlvs: Tlvs = ()


class Deliver(Struct, frozen=True):
    """§5.2.2.3.1. `is_report` 1: `content` is a Report. `received` is YYYYMMDDHHMMSS."""

    msg_id: str
    phone: str
    dest_term_id: str
    content: bytes
    msg_format: int = 0
    is_report: int = 0
    received: str = ""
    tlvs: Tlvs = ()


class Report(Struct, frozen=True):
    """§6.2.63: what became of a message. Times are YYMMDDhhmm."""

    msg_id: str
    stat: str
    error: str = "000"
    submitted: str = ""
    done: str = ""
    text: bytes = b""


class Query(Struct, frozen=True):
    """§5.2.2.7.1: how many messages there were on a day (YYYYMMDD), all or of one service."""

    day: str
    service_id: str = ""


class QueryResp(Struct, frozen=True):
    """§5.2.2.7.2. `mt_`: to phones, `mo_`: from phones."""

    day: str
    service_id: str
    mt_messages: int
    mt_phones: int
    mt_sent: int
    mt_waiting: int
    mt_failed: int
    mo_sent: int
    mo_waiting: int
    mo_failed: int


def client_digest(client_id: str, secret: str, timestamp: int) -> bytes:
    """AuthenticatorClient (§6.2.2)."""
    octets = client_id.encode() + bytes(7) + secret.encode() + b"%010d" % timestamp
    return md5(octets, usedforsecurity=False).digest()


def server_digest(client: bytes, secret: str) -> bytes:
    """AuthenticatorServer (§6.2.7) of a gateway that accepts us: its Status is 0."""
    return md5(bytes(4) + client + secret.encode(), usedforsecurity=False).digest()


def login_body(it: Login) -> bytes:
    client = fixed("client_id", it.client_id, 8)
    return _LOGIN.pack(client, it.authenticator, it.mode, it.timestamp, it.version)


def read_login(body: bytes) -> Login:
    client, digest, mode, timestamp, version = unpack(_LOGIN, body)
    return Login(words(client), digest, mode, timestamp, version)


def login_resp_body(it: LoginResp) -> bytes:
    return _LOGIN_RESP.pack(it.status, it.authenticator, it.version)


def read_login_resp(body: bytes) -> LoginResp:
    """A refusal may leave out all but the status."""
    if len(body) < _LOGIN_RESP.size and any(body[:4]) and len(body) >= 4:
        return LoginResp(int.from_bytes(body[:4], "big"))
    return LoginResp(*unpack(_LOGIN_RESP, body))


def submit_body(it: Submit) -> bytes:
    """The hot path of everything that goes out. Raises FieldError for what does not fit."""
    if len(it.content) > 255 or not 0 < len(it.phones) <= 100:
        raise FieldError("a submit takes 255 octets to between 1 and 100 phones")
    head = _SUBMIT.pack(
        it.msg_type,
        it.need_report,
        it.priority,
        fixed("service_id", it.service_id, 10),
        fixed("fee_type", it.fee_type, 2),
        fixed("fee_code", it.fee_code, 6),
        fixed("fixed_fee", it.fixed_fee, 6),
        it.msg_format,
        fixed("valid_time", it.valid_time, 17),
        fixed("at_time", it.at_time, 17),
        fixed("src_term_id", it.src_term_id, 21),
        fixed("charge_phone", it.charge_phone, 21),
        len(it.phones),
    )
    phones = b"".join([fixed("phone", phone, 21).ljust(21, b"\0") for phone in it.phones])
    length = len(it.content)
    return b"%b%b%c%b%b%b" % (head, phones, length, it.content, _RESERVED, pack_tlvs(it.tlvs))


_RESERVED = bytes(_RESERVED_OCTETS)


def read_submit(body: bytes) -> Submit:
    (
        (msg_type, need_report, priority, service, fee_type, fee_code, fixed_fee),
        (msg_format, valid, at, source, charged, count),
    ) = (fields := unpack(_SUBMIT, body))[:7], fields[7:]
    start, size = _SUBMIT.size, _PHONE_OCTETS
    phones = content(body, start, size * count)
    end = start + len(phones)
    length = content(body, end, 1)[0]
    text = content(body, end + 1, length)
    if not count:
        raise FieldError("a submit to nobody")
    return Submit(
        words(source),
        tuple(words(phones[i : i + size]) for i in range(0, len(phones), size)),
        text,
        msg_format,
        need_report,
        msg_type,
        priority,
        words(service),
        words(fee_type),
        words(fee_code),
        words(fixed_fee),
        words(valid),
        words(at),
        words(charged),
        read_tlvs(body, end + 1 + length + _RESERVED_OCTETS),
    )


def result_body(msg_id: str, status: int) -> bytes:
    """Submit_Resp (§5.2.2.2.2) and Deliver_Resp (§5.2.2.3.2)."""
    return _RESULT.pack(id_octets(msg_id), status)


def read_result(body: bytes) -> tuple[str, int]:
    """The message's id and the status."""
    msg_id, status = unpack(_RESULT, body)
    return msg_id.hex(), status


def deliver_body(it: Deliver) -> bytes:
    if len(it.content) > 255:
        raise FieldError("a delivery takes 255 octets")
    head = _DELIVER.pack(
        id_octets(it.msg_id),
        it.is_report,
        it.msg_format,
        fixed("received", it.received, 14),
        fixed("phone", it.phone, 21),
        fixed("dest_term_id", it.dest_term_id, 21),
        len(it.content),
    )
    return head + it.content + _RESERVED + pack_tlvs(it.tlvs)


def read_deliver(body: bytes) -> Deliver:
    """The hot path of everything that arrives."""
    msg_id, is_report, msg_format, received, phone, to, length = unpack(_DELIVER, body)
    end = _DELIVER.size + length
    return Deliver(
        msg_id.hex(),
        words(phone),
        words(to),
        content(body, _DELIVER.size, length),
        msg_format,
        is_report,
        words(received),
        read_tlvs(body, end + _RESERVED_OCTETS),
    )


_IDENTIFIED = re.compile(rb"\s*id:(?:(.{10})|([0-9a-f]{20}))\s+sub:", re.IGNORECASE | re.DOTALL)
_STAT = re.compile(rb"\bstat:\s*([!-~]{1,7})", re.IGNORECASE)
_ERROR = re.compile(rb"\berr:\s*([0-9a-z]{1,3})", re.IGNORECASE)


def report_content(it: Report) -> bytes:
    return b"id:%b sub:001 dlvrd:001 submit date:%b done date:%b stat:%b err:%b text:%b" % (
        id_octets(it.msg_id),
        fixed("submitted", it.submitted, 10),
        fixed("done", it.done, 10),
        fixed("stat", it.stat, 7),
        fixed("error", it.error, 3),
        it.text[:20],
    )


def read_report(octets: bytes) -> Report:
    """§6.2.63, and its dialects: the id as ten octets or as their digits, words in any case."""
    identified = _IDENTIFIED.match(octets)
    if identified is None:
        raise FieldError("the report names no message")
    stat = _STAT.search(octets, identified.end())
    if stat is None:
        raise FieldError("the report has no stat")
    error = _ERROR.search(octets, stat.end())
    raw, digits = identified.groups()
    return Report(
        raw.hex() if raw is not None else digits.decode().lower(),
        stat[1].decode(),
        error[1].decode() if error else "000",
    )


def query_body(it: Query) -> bytes:
    code = fixed("service_id", it.service_id, 10)
    return _QUERY.pack(fixed("day", it.day, 8), int(bool(it.service_id)), code)


def read_query(body: bytes) -> Query:
    day, by_service, code = unpack(_QUERY, body)
    return Query(words(day), words(code) if by_service else "")


def query_resp_body(it: QueryResp) -> bytes:
    return _QUERY_RESP.pack(
        fixed("day", it.day, 8),
        int(bool(it.service_id)),
        fixed("service_id", it.service_id, 10),
        it.mt_messages,
        it.mt_phones,
        it.mt_sent,
        it.mt_waiting,
        it.mt_failed,
        it.mo_sent,
        it.mo_waiting,
        it.mo_failed,
        b"",
    )


def read_query_resp(body: bytes) -> QueryResp:
    day, _, code, *counts, _ = unpack(_QUERY_RESP, body)
    return QueryResp(words(day), words(code), *counts)


def tlv(tlvs: Tlvs, tag: int) -> bytes:
    """The first value of this optional parameter; empty if there is none."""
    return next((value for found, value in tlvs if found == tag), b"")


def pack_tlvs(tlvs: Tlvs) -> bytes:
    """Optional parameters as they stand at the end of a body."""
    return b"".join([_TLV.pack(tag, len(value)) + value for tag, value in tlvs])


def read_tlvs(body: bytes, at: int) -> Tlvs:
    """Everything from there on as optional parameters."""
    found = []
    while at < len(body):
        tag, length = unpack(_TLV, body, at)
        found.append((tag, content(body, at + 4, length)))
        at += 4 + length
    return tuple(found)


def id_octets(msg_id: str) -> bytes:
    """The ten octets that twenty digits mean. Raises FieldError."""
    try:
        octets = bytes.fromhex(msg_id)
    except ValueError:
        raise FieldError("a message's id is twenty digits") from None
    if len(octets) != 10:
        raise cut_short()
    return octets
