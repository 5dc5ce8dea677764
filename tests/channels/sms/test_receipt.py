"""Receipts: what carriers write, and whose message they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms import pdu, receipt
from channels.sms.receipt import CarrierReceipt, ReceiptIds


def deliver(words: str, esm_class: int = 4, *tlvs: tuple[int, bytes]) -> pdu.DeliverSm:
    return pdu.DeliverSm(esm_class=esm_class, short_message=words.encode(), tlvs=tlvs)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("DELIVRD", "delivered"),
        ("DELIVERED", "delivered"),
        ("EXPIRED", "expired"),
        ("DELETED", "undelivered"),
        ("UNDELIV", "undelivered"),
        ("REJECTD", "rejected"),
        ("ENROUTE", None),
        ("ACCEPTD", None),
        ("UNKNOWN", None),
        ("NONSENS", None),
    ],
)
def test_only_final_states_are_receipts(word: str, state: str | None) -> None:
    words = (
        f"id:77 sub:001 dlvrd:001 submit date:2611212021 done date:2611212021 stat:{word} err:000"
    )
    read = receipt.read(deliver(words))
    assert (read.state if read else None) == state


@pytest.mark.parametrize(
    ("words", "message_id", "code"),
    [
        ("id:77 sub:001 dlvrd:000 stat:UNDELIV err:011 text:hi", "77", "UNDELIV/011"),
        ("id:77 stat:DELIVRD err:000 text:id:9 stat:UNDELIV err:5", "77", "DELIVRD"),
        ("ID: 3e9a STAT: delivrd", "3e9a", "DELIVRD"),
        ("id:a-b-c done date:2611212021 stat:EXPIRED", "a-b-c", "EXPIRED"),
    ],
)
def test_the_text_form_is_read_in_its_dialects(words: str, message_id: str, code: str) -> None:
    read = receipt.read(deliver(words))
    assert read is not None
    assert (read.message_id, read.code, read.exact) == (message_id, code, False)


def test_optional_parameters_count_more_than_the_text() -> None:
    words = "id:1001 stat:DELIVRD err:000"
    tlvs = ((pdu.RECEIPTED_MESSAGE_ID, b"3e9\0"), (pdu.MESSAGE_STATE, b"\x05"))
    read = receipt.read(deliver(words, 4, *tlvs))
    assert read == CarrierReceipt("3e9", True, "undelivered", "UNDELIV")


def test_a_receipt_without_text_is_one() -> None:
    tlvs = ((pdu.RECEIPTED_MESSAGE_ID, b"3e9\0"), (pdu.MESSAGE_STATE, b"\x02"))
    message = deliver("", 0, *tlvs)
    assert receipt.is_receipt(message)
    assert receipt.read(message) == CarrierReceipt("3e9", True, "delivered", "DELIVRD")


def test_an_intermediate_notification_is_no_receipt() -> None:
    message = deliver("id:1 stat:DELIVRD", 0x20)
    assert receipt.is_receipt(message)
    assert receipt.read(message) is None


def test_a_person_who_types_a_receipt_has_written_a_text() -> None:
    assert not receipt.is_receipt(deliver("id:1 sub:001 stat:DELIVRD err:000", 0))


@given(st.binary(max_size=254), st.integers(0, 255), st.integers(0, 255))
def test_no_receipt_is_too_odd_to_read(octets: bytes, coding: int, state: int) -> None:
    message = pdu.DeliverSm(
        esm_class=4,
        data_coding=coding,
        short_message=octets,
        tlvs=((pdu.MESSAGE_STATE, bytes((state,))), (pdu.RECEIPTED_MESSAGE_ID, octets)),
    )
    ids = ReceiptIds("auto")
    if (read := receipt.read(message)) is not None:
        ids.receipted(read)


def of(message_id: str, *, exact: bool = False) -> CarrierReceipt:
    return CarrierReceipt(message_id, exact, "delivered", "DELIVRD")


def test_decimal_receipts_find_hexadecimal_responses_and_the_other_way() -> None:
    decimal, hexadecimal = ReceiptIds("dec"), ReceiptIds("hex")
    assert decimal.accepted("3E9") == decimal.receipted(of("0000001001"))
    assert decimal.accepted("3e9") == decimal.receipted(of("3E9", exact=True))
    assert hexadecimal.accepted("1001") == hexadecimal.receipted(of("000003E9"))
    assert hexadecimal.accepted("0001001") == hexadecimal.receipted(of("1001", exact=True))


def test_ids_that_are_no_numbers_stay_as_they_are() -> None:
    for mode in ("same", "dec", "hex", "auto"):
        ids = ReceiptIds(mode)  # type: ignore[arg-type]
        assert ids.accepted("a-b-c") == ids.receipted(of("a-b-c")) == "a-b-c"


@pytest.mark.parametrize(
    ("response", "written"),
    [("x", "d"), ("x", "010d"), ("X", "d"), ("08X", "d"), ("d", "x"), ("010d", "X"), ("d", "d")],
)
def test_the_spelling_is_found_out_and_then_holds_for_ids_never_seen(
    response: str, written: str
) -> None:
    ids = ReceiptIds("auto")
    for number in range(1_700_000, 1_700_010):
        kept = ids.accepted(format(number, response))
        assert ids.receipted(of(format(number, written))) == kept
    assert ids.plain
    unseen = 1_612_345
    assert ids.receipted(of(format(unseen, written))) == format(unseen, response)


def test_ambiguous_ids_decide_nothing() -> None:
    ids = ReceiptIds("auto")
    for number in range(4096, 4200):
        ids.accepted(str(number))
        ids.accepted(format(number, "x"))
    for number in range(4096, 4110):
        assert ids.receipted(of(str(number))) == str(number)
    assert not ids.plain


def test_what_is_remembered_is_bounded() -> None:
    ids = ReceiptIds("auto", remembered=10)
    for number in range(1000):
        ids.accepted(str(number))
    assert len(ids._recent) == 10
