"""SMPP 3.4 PDUs as frozen values and as octets (SMPP 3.4 §4 and §5).

Each class declares its mandatory parameters once, in wire order. `encode` and `decode` follow that
declaration; `message_body` and the decoding of submit_sm and deliver_sm are written out by hand,
because they run once per message. Nonsense raises PduError, and nothing else.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints

import msgspec

from channels.sms import status
from orchestrator.core.errors import OutreachError

HEADER = Layout(">IIII")
"""command_length, command_id, command_status, sequence_number."""
RESPONSE = 0x80000000
"""Set in the command_id of every response."""
MAX_PDU_OCTETS = 0x11000
"""Longest PDU we take: a 64 KB message_payload and room for everything else."""
MAX_SEQUENCE = 0x7FFFFFFF
MAX_SHORT_MESSAGE_OCTETS = 254

RECEIPTED_MESSAGE_ID = 0x001E
USER_MESSAGE_REFERENCE = 0x0204
SAR_REFERENCE = 0x020C
SAR_TOTAL = 0x020E
SAR_NUMBER = 0x020F
SC_INTERFACE_VERSION = 0x0210
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

HAS_HEADER = 0x40
"""esm_class: the short message begins with a user data header (§5.2.12)."""
RECEIPT = 0x04
"""esm_class: the short message is a delivery receipt (§5.2.12)."""

_TLV = Layout(">HH")


class PduError(OutreachError):
    """What came is not a PDU, or a value does not fit into one. `status` is the answer to give."""

    def __init__(self, message: str, status: int = status.SYSTEM_ERROR) -> None:
        super().__init__(message)
        self.status = status


Octet = Annotated[int, 0]
"""A one-octet integer."""
String6 = Annotated[str, 6]
"""A C-octet string: so many octets at most, the closing NUL among them."""
String9 = Annotated[str, 9]
String13 = Annotated[str, 13]
String16 = Annotated[str, 16]
String17 = Annotated[str, 17]
String21 = Annotated[str, 21]
String41 = Annotated[str, 41]
String65 = Annotated[str, 65]
ShortMessage = Annotated[bytes, -1]
"""Octets after their length in one octet."""
Tlvs = tuple[tuple[int, bytes], ...]
"""Optional parameters, raw by tag, in the order they came."""


class Pdu(msgspec.Struct, frozen=True):
    """Base of all PDUs; the header's sequence_number and command_status travel beside it."""

    command_id: ClassVar[int] = 0


class Bind(Pdu, frozen=True):
    """§4.1. `interface_version` 0x34 is SMPP 3.4."""

    system_id: String16 = ""
    password: String9 = ""
    system_type: String13 = ""
    interface_version: Octet = 0x34
    addr_ton: Octet = 0
    addr_npi: Octet = 0
    address_range: String41 = ""


class BindReceiver(Bind, frozen=True):
    command_id: ClassVar[int] = 0x01


class BindTransmitter(Bind, frozen=True):
    command_id: ClassVar[int] = 0x02


class BindTransceiver(Bind, frozen=True):
    command_id: ClassVar[int] = 0x09


class BindResp(Pdu, frozen=True):
    system_id: String16 = ""
    tlvs: Tlvs = ()


class BindReceiverResp(BindResp, frozen=True):
    command_id: ClassVar[int] = 0x80000001


class BindTransmitterResp(BindResp, frozen=True):
    command_id: ClassVar[int] = 0x80000002


class BindTransceiverResp(BindResp, frozen=True):
    command_id: ClassVar[int] = 0x80000009


class Outbind(Pdu, frozen=True):
    """§4.1.7: the carrier asks us to bind as a receiver."""

    command_id: ClassVar[int] = 0x0B
    system_id: String16 = ""
    password: String9 = ""


class Unbind(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x06


class UnbindResp(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x80000006


class EnquireLink(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x15


class EnquireLinkResp(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x80000015


class GenericNack(Pdu, frozen=True):
    """§4.3: the other side could not make sense of a PDU."""

    command_id: ClassVar[int] = 0x80000000


class _Message(Pdu, frozen=True):
    service_type: String6 = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: String21 = ""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: String21 = ""
    esm_class: Octet = 0
    protocol_id: Octet = 0
    priority_flag: Octet = 0
    schedule_delivery_time: String17 = ""
    validity_period: String17 = ""
    registered_delivery: Octet = 0
    replace_if_present_flag: Octet = 0
    data_coding: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: ShortMessage = b""
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> bytes | None:
        """The first value of this optional parameter."""
        for found, value in self.tlvs:
            if found == tag:
                return value
        return None

    @property
    def payload(self) -> bytes:
        """The short message, wherever it stands (§5.3.2.32: message_payload replaces it)."""
        return self.short_message or self.tlv(MESSAGE_PAYLOAD) or b""


class SubmitSm(_Message, frozen=True):
    """§4.4.1."""

    command_id: ClassVar[int] = 0x04


class DeliverSm(_Message, frozen=True):
    """§4.6.1."""

    command_id: ClassVar[int] = 0x05


class SubmitSmResp(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x80000004
    message_id: String65 = ""
    tlvs: Tlvs = ()


class DeliverSmResp(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x80000005
    message_id: String65 = ""
    tlvs: Tlvs = ()


class DataSm(Pdu, frozen=True):
    """§4.7.1. The message stands in the optional parameter message_payload."""

    command_id: ClassVar[int] = 0x0103
    service_type: String6 = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: String65 = ""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: String65 = ""
    esm_class: Octet = 0
    registered_delivery: Octet = 0
    data_coding: Octet = 0
    tlvs: Tlvs = ()


class DataSmResp(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x80000103
    message_id: String65 = ""
    tlvs: Tlvs = ()


class QuerySm(Pdu, frozen=True):
    """§4.8.1."""

    command_id: ClassVar[int] = 0x03
    message_id: String65 = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: String21 = ""


class QuerySmResp(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x80000003
    message_id: String65 = ""
    final_date: String17 = ""
    message_state: Octet = 0
    error_code: Octet = 0


class CancelSm(Pdu, frozen=True):
    """§4.9.1."""

    command_id: ClassVar[int] = 0x08
    service_type: String6 = ""
    message_id: String65 = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: String21 = ""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: String21 = ""


class CancelSmResp(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x80000008


class ReplaceSm(Pdu, frozen=True):
    """§4.10.1."""

    command_id: ClassVar[int] = 0x07
    message_id: String65 = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: String21 = ""
    schedule_delivery_time: String17 = ""
    validity_period: String17 = ""
    registered_delivery: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: ShortMessage = b""


class ReplaceSmResp(Pdu, frozen=True):
    command_id: ClassVar[int] = 0x80000007


class AlertNotification(Pdu, frozen=True):
    """§4.12.1: a phone is reachable again."""

    command_id: ClassVar[int] = 0x0102
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: String65 = ""
    esme_addr_ton: Octet = 0
    esme_addr_npi: Octet = 0
    esme_addr: String65 = ""
    tlvs: Tlvs = ()


PDUS: dict[int, type[Pdu]] = {
    pdu.command_id: pdu
    for pdu in (
        BindReceiver,
        BindTransmitter,
        BindTransceiver,
        BindReceiverResp,
        BindTransmitterResp,
        BindTransceiverResp,
        Outbind,
        Unbind,
        UnbindResp,
        EnquireLink,
        EnquireLinkResp,
        GenericNack,
        SubmitSm,
        SubmitSmResp,
        DeliverSm,
        DeliverSmResp,
        DataSm,
        DataSmResp,
        QuerySm,
        QuerySmResp,
        CancelSm,
        CancelSmResp,
        ReplaceSm,
        ReplaceSmResp,
        AlertNotification,
    )
}


def _fields(pdu: type[Pdu]) -> tuple[tuple[str, int], ...]:
    """Names and sizes in wire order, optional parameters left out."""
    hints = get_type_hints(pdu, include_extras=True)
    return tuple(
        (name, hints[name].__metadata__[0]) for name in pdu.__struct_fields__ if name != "tlvs"
    )


_LAYOUTS = {pdu: _fields(pdu) for pdu in PDUS.values()}


def encode(pdu: Pdu, sequence: int, command_status: int = status.OK) -> bytes:
    """The whole PDU in octets. Raises PduError for a value that does not fit its parameter."""
    pieces = []
    for name, size in _LAYOUTS[type(pdu)]:
        value = getattr(pdu, name)
        if size > 0:
            pieces.append(_c_string(name, value, size))
        elif size == 0:
            if not 0 <= value <= 0xFF:
                raise PduError(f"{name} is {value}; it must fit one octet")
            pieces.append(bytes((value,)))
        else:
            if len(value) > MAX_SHORT_MESSAGE_OCTETS:
                raise PduError(f"{name} has {len(value)} octets; at most 254 go in")
            pieces.append(bytes((len(value),)) + value)
    for tag, value in getattr(pdu, "tlvs", ()):
        if not (0 <= tag <= 0xFFFF and len(value) <= 0xFFFF):
            raise PduError(f"the optional parameter {tag:#06x} does not fit tag and length")
        pieces.append(_TLV.pack(tag, len(value)) + value)
    body = b"".join(pieces)
    return HEADER.pack(16 + len(body), pdu.command_id, command_status, sequence) + body


def response(command_id: int, sequence: int, command_status: int = status.OK) -> bytes:
    """A response that is a bare header, as errors are answered."""
    return HEADER.pack(16, command_id | RESPONSE, command_status, sequence)


def decode(command_id: int, body: bytes) -> Pdu:
    """The PDU with this command_id and body (what follows the header).

    A response may leave its body out, as error responses do. Raises PduError, whose `status` says
    how to answer.
    """
    kind = PDUS.get(command_id)
    if kind is None:
        raise PduError(f"unknown command_id {command_id:#010x}", status.INVALID_COMMAND_ID)
    if kind is DeliverSm:
        return decode_message(DeliverSm, body)
    if kind is SubmitSm:
        return decode_message(SubmitSm, body)
    if not body and command_id & RESPONSE:
        return kind()
    values: list[Any] = []
    at = 0
    try:
        for _, size in _LAYOUTS[kind]:
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


MessagePdu = TypeVar("MessagePdu", SubmitSm, DeliverSm)


def decode_message(kind: type[MessagePdu], body: bytes) -> MessagePdu:
    """A submit_sm or deliver_sm body. The hot path of everything that arrives."""
    try:
        end_service = body.index(0)
        end_source = body.index(0, end_service + 3)
        end_dest = body.index(0, end_source + 3)
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


def _tlvs(body: bytes, at: int) -> Tlvs:
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


def _cut_short(kind: type[Pdu]) -> PduError:
    return PduError(f"the body of {kind.__name__} is cut short", status.INVALID_COMMAND_LENGTH)
