"""SMPP 3.4 PDUs as frozen values (SMPP 3.4 §4 and §5).

Each class declares its mandatory parameters once, in wire order, with their sizes: `codec` turns
them into octets and back by that declaration.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from channels.sms import status
from orchestrator.core.errors import OutreachError

RESPONSE = 0x80000000
"""Set in the command_id of every response."""
MAX_SEQUENCE = 0x7FFFFFFF

RECEIPTED_MESSAGE_ID = 0x001E
USER_MESSAGE_REFERENCE = 0x0204
SAR_REFERENCE = 0x020C
SAR_TOTAL = 0x020E
SAR_NUMBER = 0x020F
SC_INTERFACE_VERSION = 0x0210
NETWORK_ERROR_CODE = 0x0423
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

HAS_HEADER = 0x40
"""esm_class: the short message begins with a user data header (§5.2.12)."""
RECEIPT = 0x04
"""esm_class: the short message is a delivery receipt (§5.2.12)."""


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
