"""CMPP 2.0 and 3.0 bodies as frozen values, and in octets (CMPP 3.0 §8; 2.0 by its history, §12).

What 3.0 changed: results have four octets instead of one, numbers of phones 32 instead of 21 and a
type each, and a LinkID of 20 octets stands where 8 were reserved. Nonsense raises FieldError, and
nothing else.
"""

from __future__ import annotations

from hashlib import md5
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from channels.china.fields import FieldError, content, cut_short, fixed, unpack, words

CONNECT, TERMINATE, SUBMIT, DELIVER = 0x01, 0x02, 0x04, 0x05
QUERY, CANCEL, ACTIVE_TEST = 0x06, 0x07, 0x08

V2, V3 = 0x20, 0x30
"""Versions as they stand in CONNECT: the high four bits before the dot, the low four after it."""
HEADER_OCTETS: Final = 12
MAX_PDU_OCTETS: Final = 0x2000
"""Longest PDU we take: a SUBMIT to 100 phones has 3.5 KB."""
MAX_CONTENT_OCTETS: Final = 255

_CONNECT = Layout(">6s16sBI")
_STATUS = {V2: Layout(">B16sB"), V3: Layout(">I16sB")}
_RESULT = {V2: Layout(">QB"), V3: Layout(">QI")}
_SUBMIT = {
    V2: Layout(">QBBBB10sB21sBBB6s2s6s17s17s21sB"),
    V3: Layout(">QBBBB10sB32sBBBB6s2s6s17s17s21sB"),
}
_DELIVER = {V2: Layout(">Q21s10sBBB21sBB"), V3: Layout(">Q21s10sBBB32sBBB")}
_REPORT = {V2: Layout(">Q7s10s10s21sI"), V3: Layout(">Q7s10s10s32sI")}
_QUERY = Layout(">8sB10s8s")
_QUERY_RESP = Layout(">8sB10s8I")
_PHONE_OCTETS = {V2: 21, V3: 32}
_LAST_OCTETS = {V2: 8, V3: 20}
"""LinkID, or what was reserved in its place."""


class Connect(Struct, frozen=True):
    """§8.4.1.1. `timestamp` is MMDDHHMMSS as a number."""

    source_addr: str
    authenticator: bytes
    version: int
    timestamp: int


class ConnectResp(Struct, frozen=True):
    """§8.4.1.2. `layout` is the version whose layout the answer had."""

    status: int
    authenticator: bytes = bytes(16)
    version: int = V3
    layout: int = V3


class Submit(Struct, frozen=True):
    """§8.4.3.1. `phones` are Dest_terminal_Id, 100 at most; `valid_time` and `at_time` as in SMPP
    3.3. `fee_pseudo`, `phone_pseudo` (3.0): the number stands for another."""

    src_id: str
    phones: tuple[str, ...]
    content: bytes
    msg_fmt: int = 0
    udhi: int = 0
    pk_total: int = 1
    pk_number: int = 1
    registered: int = 0
    level: int = 0
    service_id: str = ""
    msg_src: str = ""
    fee_user_type: int = 0
    fee_phone: str = ""
    fee_pseudo: int = 0
    fee_type: str = "01"
    fee_code: str = "0"
    tp_pid: int = 0
    valid_time: str = ""
    at_time: str = ""
    phone_pseudo: int = 0
    link_id: str = ""
    msg_id: int = 0


class Deliver(Struct, frozen=True):
    """§8.4.5.1. `registered` 1: `content` is a Report. `pseudo` (3.0): `phone` stands for another
    number."""

    msg_id: int
    dest_id: str
    phone: str
    content: bytes
    msg_fmt: int = 0
    udhi: int = 0
    registered: int = 0
    service_id: str = ""
    tp_pid: int = 0
    pseudo: int = 0
    link_id: str = ""


class Report(Struct, frozen=True):
    """§8.4.5.1: what became of a message. Times are YYMMDDHHMM."""

    msg_id: int
    stat: str
    submit_time: str = ""
    done_time: str = ""
    phone: str = ""
    smsc_sequence: int = 0


class Query(Struct, frozen=True):
    """§8.4.4.1: how many messages there were on a day (YYYYMMDD), all or of one Service_Id."""

    day: str
    service_id: str = ""


class QueryResp(Struct, frozen=True):
    """§8.4.4.2. `mt_`: to phones, `mo_`: from phones."""

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


def source_digest(source_addr: str, secret: str, timestamp: int) -> bytes:
    """AuthenticatorSource (§8.4.1.1)."""
    octets = source_addr.encode() + bytes(9) + secret.encode() + b"%010d" % timestamp
    return md5(octets, usedforsecurity=False).digest()


def gateway_digest(status: bytes, source: bytes, secret: str) -> bytes:
    """AuthenticatorISMG (§8.4.1.2), over the octets of Status as they stood."""
    return md5(status + source + secret.encode(), usedforsecurity=False).digest()


def gateway_digests(source: bytes, secret: str) -> tuple[bytes, ...]:
    """What a gateway that accepts us may answer: vendors differ in how long a Status of 0 is."""
    return tuple(gateway_digest(bytes(size), source, secret) for size in (4, 1))


def connect_body(it: Connect) -> bytes:
    return _CONNECT.pack(
        fixed("source_addr", it.source_addr, 6), it.authenticator, it.version, it.timestamp
    )


def read_connect(body: bytes) -> Connect:
    source, digest, version, timestamp = unpack(_CONNECT, body)
    return Connect(words(source), digest, version, timestamp)


def connect_resp_body(it: ConnectResp) -> bytes:
    return _STATUS[it.layout].pack(it.status, it.authenticator, it.version)


def read_connect_resp(body: bytes) -> ConnectResp:
    """An answer of 18 octets is laid out as 2.0, one of 21 as 3.0."""
    layout = V2 if len(body) < _STATUS[V3].size else V3
    status, authenticator, version = unpack(_STATUS[layout], body)
    return ConnectResp(status, authenticator, version, layout)


def submit_body(it: Submit, version: int) -> bytes:
    """The hot path of everything that goes out. Raises FieldError for what does not fit."""
    if len(it.content) > MAX_CONTENT_OCTETS or not 0 < len(it.phones) <= 100:
        raise FieldError("a submit takes 255 octets to between 1 and 100 phones")
    size = _PHONE_OCTETS[version]
    newer = version == V3
    fee_pseudo = (it.fee_pseudo,) if newer else ()
    phone_pseudo = b"%c" % it.phone_pseudo if newer else b""
    head = _SUBMIT[version].pack(
        it.msg_id,
        it.pk_total,
        it.pk_number,
        it.registered,
        it.level,
        fixed("service_id", it.service_id, 10),
        it.fee_user_type,
        fixed("fee_phone", it.fee_phone, size),
        *fee_pseudo,
        it.tp_pid,
        it.udhi,
        it.msg_fmt,
        fixed("msg_src", it.msg_src, 6),
        fixed("fee_type", it.fee_type, 2),
        fixed("fee_code", it.fee_code, 6),
        fixed("valid_time", it.valid_time, 17),
        fixed("at_time", it.at_time, 17),
        fixed("src_id", it.src_id, 21),
        len(it.phones),
    )
    phones = b"".join([fixed("phone", phone, size).ljust(size, b"\0") for phone in it.phones])
    return b"%b%b%b%c%b%b" % (
        head,
        phones,
        phone_pseudo,
        len(it.content),
        it.content,
        _last(it.link_id, version),
    )


def read_submit(body: bytes, version: int) -> Submit:
    layout, size = _SUBMIT[version], _PHONE_OCTETS[version]
    fields = list(unpack(layout, body))
    fee_pseudo = fields.pop(8) if version == V3 else 0
    (
        (msg_id, total, number, registered, level, service, fee_user, fee_phone, tp_pid, udhi),
        (msg_fmt, msg_src, fee_type, fee_code, valid, at, src_id, count),
    ) = fields[:10], fields[10:]
    start = layout.size
    end = start + size * count
    phones = content(body, start, size * count)
    pseudo = 0
    if version == V3:
        pseudo = content(body, end, 1)[0]
        end += 1
    length = content(body, end, 1)[0]
    text = content(body, end + 1, length)
    last = content(body, end + 1 + length, _LAST_OCTETS[version])
    return Submit(
        words(src_id),
        tuple(words(phones[i : i + size]) for i in range(0, len(phones), size)),
        text,
        msg_fmt,
        udhi,
        total,
        number,
        registered,
        level,
        words(service),
        words(msg_src),
        fee_user,
        words(fee_phone),
        fee_pseudo,
        words(fee_type),
        words(fee_code),
        tp_pid,
        words(valid),
        words(at),
        pseudo,
        words(last) if version == V3 else "",
        msg_id,
    )


def result_body(msg_id: int, result: int, version: int) -> bytes:
    """SUBMIT_RESP (§8.4.3.2) and DELIVER_RESP (§8.4.5.2)."""
    return _RESULT[version].pack(msg_id, result)


def read_result(body: bytes, version: int) -> tuple[int, int]:
    """The Msg_Id and the result. Some gateways mix the versions up, so an answer's length counts
    before what was agreed."""
    layout = _RESULT[V3] if len(body) >= _RESULT[V3].size else _RESULT[V2]
    msg_id, result = unpack(layout, body)
    return msg_id, result


def deliver_body(it: Deliver, version: int) -> bytes:
    if len(it.content) > MAX_CONTENT_OCTETS:
        raise FieldError("a delivery takes 255 octets")
    pseudo = (it.pseudo,) if version == V3 else ()
    head = _DELIVER[version].pack(
        it.msg_id,
        fixed("dest_id", it.dest_id, 21),
        fixed("service_id", it.service_id, 10),
        it.tp_pid,
        it.udhi,
        it.msg_fmt,
        fixed("phone", it.phone, _PHONE_OCTETS[version]),
        *pseudo,
        it.registered,
        len(it.content),
    )
    return head + it.content + _last(it.link_id, version)


def read_deliver(body: bytes, version: int) -> Deliver:
    """The hot path of everything that arrives. A LinkID that is not there is empty."""
    layout = _DELIVER[version]
    fields = unpack(layout, body)
    msg_id, dest_id, service_id, tp_pid, udhi, msg_fmt, phone = fields[:7]
    registered, length = fields[-2:]
    end = layout.size + length
    return Deliver(
        msg_id,
        words(dest_id),
        words(phone),
        content(body, layout.size, length),
        msg_fmt,
        udhi,
        registered,
        words(service_id),
        tp_pid,
        fields[7] if version == V3 else 0,
        words(body[end : end + 20]) if version == V3 else "",
    )


def report_content(it: Report, version: int) -> bytes:
    """60 octets in 2.0, 71 in 3.0."""
    return _REPORT[version].pack(
        it.msg_id,
        fixed("stat", it.stat, 7),
        fixed("submit_time", it.submit_time, 10),
        fixed("done_time", it.done_time, 10),
        fixed("phone", it.phone, _PHONE_OCTETS[version]),
        it.smsc_sequence,
    )


def read_report(octets: bytes) -> Report:
    """Its length says which version's layout it has, whatever was agreed."""
    layout = _REPORT[V3] if len(octets) >= _REPORT[V3].size else _REPORT[V2]
    msg_id, stat, submitted, done, phone, sequence = unpack(layout, octets)
    return Report(msg_id, words(stat), words(submitted), words(done), words(phone), sequence)


def query_body(it: Query) -> bytes:
    by_service = 1 if it.service_id else 0
    code = fixed("service_id", it.service_id, 10)
    return _QUERY.pack(fixed("day", it.day, 8), by_service, code, b"")


def read_query(body: bytes) -> Query:
    day, by_service, code, _ = unpack(_QUERY, body)
    return Query(words(day), words(code) if by_service else "")


def query_resp_body(it: QueryResp) -> bytes:
    return _QUERY_RESP.pack(
        fixed("day", it.day, 8),
        1 if it.service_id else 0,
        fixed("service_id", it.service_id, 10),
        it.mt_messages,
        it.mt_phones,
        it.mt_sent,
        it.mt_waiting,
        it.mt_failed,
        it.mo_sent,
        it.mo_waiting,
        it.mo_failed,
    )


def read_query_resp(body: bytes) -> QueryResp:
    day, _, code, *counts = unpack(_QUERY_RESP, body)
    return QueryResp(words(day), words(code), *counts)


def cancel_body(msg_id: int) -> bytes:
    return msg_id.to_bytes(8, "big")


def read_cancel(body: bytes) -> int:
    return int.from_bytes(content(body, 0, 8), "big")


def cancel_resp_body(failed: bool, version: int) -> bytes:
    return int(failed).to_bytes(4 if version == V3 else 1, "big")


def read_cancel_resp(body: bytes) -> bool:
    """Whether the message was deleted (§8.4.6.2: 0)."""
    if not body:
        raise cut_short()
    return int.from_bytes(body[:4], "big") == 0


def _last(link_id: str, version: int) -> bytes:
    if not link_id or version != V3:
        return bytes(_LAST_OCTETS[version])
    return fixed("link_id", link_id, 20).ljust(20, b"\0")
