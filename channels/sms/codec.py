"""SMPP 3.4 PDUs in octets (SMPP 3.4 §3.2, §4, §5).

`encode` and `decode` follow what each class of `pdu` declares; `message_body` and `decode_message`
are written out by hand, because they run once per message. Nonsense raises PduError, and nothing
else.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Any, TypeVar, get_type_hints

from channels.sms import pdu, status
from channels.sms.pdu import RESPONSE, PduError

HEADER = Layout(">IIII")
"""command_length, command_id, command_status, sequence_number."""
MAX_PDU_OCTETS = 0x11000
"""Longest PDU we take: a 64 KB message_payload and room for everything else."""
MAX_SHORT_MESSAGE_OCTETS = 254
MAX_ADDRESS_OCTETS = 64
"""Longest address we take. A message's has 20 at most (§5.2.8), data_sm's 64 (§4.7.1)."""

_TLV = Layout(">HH")


def _fields(kind: type[pdu.Pdu]) -> tuple[tuple[str, int], ...]:
    """Names and sizes in wire order, optional parameters left out."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        (name, hints[name].__metadata__[0]) for name in kind.__struct_fields__ if name != "tlvs"
    )


LAYOUTS = {kind: _fields(kind) for kind in pdu.PDUS.values()}


def encode(value: pdu.Pdu, sequence: int, command_status: int = status.OK) -> bytes:
    """The whole PDU in octets. Raises PduError for a value that does not fit its parameter."""
    pieces = []
    for name, size in LAYOUTS[type(value)]:
        field = getattr(value, name)
        if size > 0:
            pieces.append(_c_string(name, field, size))
        elif size == 0:
            if not 0 <= field <= 0xFF:
                raise PduError(f"{name} is {field}; it must fit one octet")
            pieces.append(bytes((field,)))
        else:
            if len(field) > MAX_SHORT_MESSAGE_OCTETS:
                raise PduError(f"{name} has {len(field)} octets; at most 254 go in")
            pieces.append(bytes((len(field),)) + field)
    for tag, octets in getattr(value, "tlvs", ()):
        if not (0 <= tag <= 0xFFFF and len(octets) <= 0xFFFF):
            raise PduError(f"the optional parameter {tag:#06x} does not fit tag and length")
        pieces.append(_TLV.pack(tag, len(octets)) + octets)
    body = b"".join(pieces)
    return HEADER.pack(16 + len(body), value.command_id, command_status, sequence) + body


def response(command_id: int, sequence: int, command_status: int = status.OK) -> bytes:
    """A response that is a bare header, as errors are answered."""
    return HEADER.pack(16, command_id | RESPONSE, command_status, sequence)


def decode(command_id: int, body: bytes) -> pdu.Pdu:
    """The PDU with this command_id and body (what follows the header).

    A response may leave its body out, as error responses do. Raises PduError, whose `status` says
    how to answer.
    """
    kind = pdu.PDUS.get(command_id)
    if kind is None:
        raise PduError(f"unknown command_id {command_id:#010x}", status.INVALID_COMMAND_ID)
    if kind is pdu.DeliverSm:
        return decode_message(pdu.DeliverSm, body)
    if kind is pdu.SubmitSm:
        return decode_message(pdu.SubmitSm, body)
    if not body and command_id & RESPONSE:
        return kind()
    values: list[Any] = []
    at = 0
    try:
        for _, size in LAYOUTS[kind]:
            if size > 0:
                end = body.index(0, at)
                values.append(body[at:end].decode("latin-1"))
                at = end + 1
            elif size == 0:
                values.append(body[at])
                at += 1
            else:
                end = at + 1 + body[at]
                if end > len(body):
                    raise IndexError
                values.append(body[at + 1 : end])
                at = end
    except (ValueError, IndexError):
        raise _cut_short(kind) from None
    if "tlvs" in kind.__struct_fields__ and at < len(body):
        values.append(_tlvs(body, at))
    return kind(*values)


MessagePdu = TypeVar("MessagePdu", pdu.SubmitSm, pdu.DeliverSm)


def decode_message(kind: type[MessagePdu], body: bytes) -> MessagePdu:
    """A submit_sm or deliver_sm body. The hot path of everything that arrives."""
    try:
        end_service = body.index(0)
        end_source = body.index(0, end_service + 3)
        end_dest = body.index(0, end_source + 3)
        if end_source - end_service > MAX_ADDRESS_OCTETS + 3:
            raise PduError("the source address is too long", status.INVALID_SOURCE_ADDRESS)
        if end_dest - end_source > MAX_ADDRESS_OCTETS + 3:
            raise PduError("the destination address is too long", status.INVALID_DESTINATION)
        end_schedule = body.index(0, end_dest + 4)
        at = body.index(0, end_schedule + 1) + 1
        registered, replace, coding, default_id, length = body[at : at + 5]
        start = at + 5
        stop = start + length
        if stop > len(body):
            raise IndexError
        return kind(
            body[:end_service].decode("latin-1"),
            body[end_service + 1],
            body[end_service + 2],
            body[end_service + 3 : end_source].decode("latin-1"),
            body[end_source + 1],
            body[end_source + 2],
            body[end_source + 3 : end_dest].decode("latin-1"),
            body[end_dest + 1],
            body[end_dest + 2],
            body[end_dest + 3],
            body[end_dest + 4 : end_schedule].decode("latin-1"),
            body[end_schedule + 1 : at - 1].decode("latin-1"),
            registered,
            replace,
            coding,
            default_id,
            body[start:stop],
            _tlvs(body, stop) if stop < len(body) else (),
        )
    except (ValueError, IndexError):
        raise _cut_short(kind) from None


def address(ton: int, npi: int, digits: str) -> bytes:
    """An address triple as it stands in a body; ESME and carrier keep these ready-made."""
    return bytes((ton, npi)) + _c_string("address", digits, 21)


def message_body(
    source: bytes,
    destination: bytes,
    esm_class: int,
    registered_delivery: int,
    data_coding: int,
    short_message: bytes,
    validity_period: bytes = b"",
    tlvs: bytes = b"",
) -> bytes:
    """The body of a submit_sm or deliver_sm. The hot path of everything that goes out.

    `source` and `destination` come from `address`, `tlvs` from `pack_tlvs`; the caller keeps
    `short_message` within 254 octets.
    """
    return b"\0%b%b%c\0\0\0%b\0%c\0%c\0%c%b%b" % (
        source,
        destination,
        esm_class,
        validity_period,
        registered_delivery,
        data_coding,
        len(short_message),
        short_message,
        tlvs,
    )


def pack_tlvs(*tlvs: tuple[int, bytes]) -> bytes:
    """Optional parameters as they stand at the end of a body."""
    return b"".join([_TLV.pack(tag, len(value)) + value for tag, value in tlvs])


def _c_string(name: str, value: str, size: int) -> bytes:
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:
        raise PduError(f"{name} has characters that SMPP cannot carry") from None
    if len(octets) >= size or 0 in octets:
        raise PduError(f"{name} is too long or holds a NUL; at most {size - 1} octets go in")
    return octets + b"\0"


def _tlvs(body: bytes, at: int) -> pdu.Tlvs:
    found = []
    end = len(body)
    while at < end:
        if end - at < 4:
            raise PduError("the optional parameters are cut short", status.INVALID_TLV_STREAM)
        tag, length = _TLV.unpack_from(body, at)
        at += 4
        if at + length > end:
            raise PduError("the optional parameters are cut short", status.INVALID_TLV_STREAM)
        found.append((tag, body[at : at + length]))
        at += length
    return tuple(found)


def _cut_short(kind: type[pdu.Pdu]) -> PduError:
    return PduError(f"the body of {kind.__name__} is cut short", status.INVALID_COMMAND_LENGTH)
