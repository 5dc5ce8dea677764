"""The SMPP codec: reference bytes, every PDU there and back, and nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import smpp34
from hypothesis import given
from hypothesis import strategies as st

from channels.sms import codec, pdu, status

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())

OCTET = st.integers(0, 255)
TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=4).map(tuple)


def strings(size: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=size - 1)


def values(kind: type[pdu.Pdu]) -> st.SearchStrategy[pdu.Pdu]:
    """Any value that fits, made from the class's own declaration."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, size in codec.LAYOUTS[kind]:
        fields[name] = (
            strings(size) if size > 0 else OCTET if size == 0 else st.binary(max_size=254)
        )
    if "tlvs" in kind.__struct_fields__:
        fields["tlvs"] = TLVS
    return st.builds(kind, **fields)


_REFUSALS = (
    status.INVALID_COMMAND_ID,
    status.INVALID_COMMAND_LENGTH,
    status.INVALID_TLV_STREAM,
)


def refusal(command_id: int, body: bytes) -> int:
    """The status with which this is refused, or 0; any other exception ends the test."""
    try:
        value = codec.decode(command_id, body)
    except pdu.PduError as error:
        return error.status
    return status.OK if isinstance(value, pdu.Pdu) else -1


ANY = st.sampled_from(sorted(pdu.PDUS)).flatmap(lambda command: values(pdu.PDUS[command]))


def test_a_receipt_that_kannel_took_is_read_and_written_byte_for_byte() -> None:
    octets = bytes.fromhex(VECTORS["dlr_deliver_sm_pdu"]["hex"])
    length, command_id, command_status, sequence = codec.HEADER.unpack_from(octets)
    assert (length, command_id, command_status, sequence) == (len(octets), 5, 0, 1)
    message = codec.decode(command_id, octets[16:])
    assert isinstance(message, pdu.DeliverSm)
    assert message.tlv(pdu.RECEIPTED_MESSAGE_ID) == b"1001\0"
    assert message.tlv(pdu.MESSAGE_STATE) == b"\x02"
    assert codec.encode(message, sequence) == octets


def test_the_bind_of_the_specification_is_written_byte_for_byte() -> None:
    # SMPP 3.4 §3.2.1.1, the worked example of a bind_transmitter.
    example = (
        "0000002f00000002000000000000000153 4d50503354455354 00"
        "7365637265743038 00 5355424d495431 00 00 01 01 00"
    )
    bind = pdu.BindTransmitter("SMPP3TEST", "secret08", "SUBMIT1", 0, 1, 1)
    assert codec.encode(bind, 1) == bytes.fromhex(example.replace(" ", ""))


@given(ANY, st.integers(1, pdu.MAX_SEQUENCE))
def test_every_pdu_comes_back_as_it_was(value: pdu.Pdu, sequence: int) -> None:
    octets = codec.encode(value, sequence)
    length, command_id, _, back = codec.HEADER.unpack_from(octets)
    assert (length, back) == (len(octets), sequence)
    assert codec.decode(command_id, octets[16:]) == value


@given(st.one_of(values(pdu.SubmitSm), values(pdu.DeliverSm)))
def test_an_independent_codec_reads_messages_alike(value: pdu.SubmitSm | pdu.DeliverSm) -> None:
    ascii_only = all(
        getattr(value, name).isascii() for name, size in codec.LAYOUTS[type(value)] if size > 0
    )
    if not ascii_only:
        return
    try:
        theirs = smpp34.decode(codec.encode(value, 9))
    except smpp34.SmppError:
        return  # it checks value ranges that carriers do not keep to
    for name in ("source_addr", "destination_addr", "esm_class", "data_coding", "short_message"):
        assert getattr(theirs, name) == getattr(value, name)
    assert [(tlv.tag, tlv.value) for tlv in theirs.tlvs] == list(value.tlvs)


@given(st.text("0123456789", max_size=20), OCTET, OCTET, OCTET, st.binary(max_size=254))
def test_the_hot_path_writes_what_the_declaration_says(
    digits: str, esm_class: int, registered: int, coding: int, message: bytes
) -> None:
    body = codec.message_body(
        codec.address(5, 0, "Bank"),
        codec.address(1, 1, digits),
        esm_class,
        registered,
        coding,
        message,
        b"261121202100000+",
        codec.pack_tlvs((0x1400, b"x")),
    )
    assert (
        codec.encode(
            pdu.SubmitSm(
                source_addr_ton=5,
                source_addr="Bank",
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=digits,
                esm_class=esm_class,
                validity_period="261121202100000+",
                registered_delivery=registered,
                data_coding=coding,
                short_message=message,
                tlvs=((0x1400, b"x"),),
            ),
            1,
        )[16:]
        == body
    )


@given(st.one_of(st.sampled_from(sorted(pdu.PDUS)), st.integers(0, 2**32 - 1)), st.binary())
def test_nonsense_is_a_typed_error_or_a_value_and_never_anything_else(
    command_id: int, body: bytes
) -> None:
    assert refusal(command_id, body) in (status.OK, *_REFUSALS)


@given(ANY, st.data())
def test_a_body_cut_short_is_a_typed_error_or_a_shorter_value(
    value: pdu.Pdu, data: st.DataObject
) -> None:
    octets = codec.encode(value, 1)[16:]
    cut = octets[: data.draw(st.integers(0, len(octets)))]
    assert refusal(value.command_id, cut) in (status.OK, *_REFUSALS[1:])


def test_an_error_response_is_a_bare_header() -> None:
    assert codec.decode(pdu.SubmitSmResp.command_id, b"") == pdu.SubmitSmResp()
    octets = codec.response(pdu.SubmitSm.command_id, 7, status.THROTTLED)
    assert octets.hex() == "00000010800000040000005800000007"


@pytest.mark.parametrize(
    "value",
    [
        pdu.SubmitSm(short_message=b"x" * 255),
        pdu.SubmitSm(destination_addr="1" * 21),
        pdu.SubmitSm(destination_addr="+86 您好"),
        pdu.SubmitSm(destination_addr="1\0002"),
        pdu.SubmitSm(esm_class=256),
        pdu.BindReceiver(password="longer than 8"),
        pdu.SubmitSm(tlvs=((0x10000, b""),)),
        pdu.SubmitSm(tlvs=((1, b"x" * 0x10000),)),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value: pdu.Pdu) -> None:
    with pytest.raises(pdu.PduError):
        codec.encode(value, 1)


def test_an_unknown_command_names_its_answer() -> None:
    with pytest.raises(pdu.PduError) as refused:
        codec.decode(0x7777, b"")
    assert refused.value.status == status.INVALID_COMMAND_ID


def test_a_long_text_may_stand_in_message_payload() -> None:
    message = pdu.DeliverSm(tlvs=((pdu.MESSAGE_PAYLOAD, b"x" * 1000),))
    assert message.payload == b"x" * 1000


def test_values_are_frozen() -> None:
    with pytest.raises(AttributeError):
        pdu.SubmitSm().esm_class = 1  # type: ignore[misc]
    assert msgspec.structs.replace(pdu.SubmitSm(), esm_class=1).esm_class == 1
