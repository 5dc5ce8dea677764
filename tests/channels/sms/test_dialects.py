"""Delivery receipts as carriers really write them: each line with where it was seen.

Where a source gives only the form, or breaks off, ids, dates and the rest are filled in. One form
is known and not read: `00,0210021543,0210021500,,447887123456,8000,we23…`, a large British
carrier's in 2002 (Kannel's developers' list), which needs the optional parameters.
"""

from __future__ import annotations

import pytest

from channels.sms import pdu, receipt

DATES = "submit date:1608051046 done date:1608051047"

# source; the text; message id; state; code
TEXTS = [
    (
        "SMPP 3.4 appendix B",
        f"id:0123456789 sub:001 dlvrd:001 {DATES} stat:DELIVRD err:000 text:hello",
        *("0123456789", "delivered", "DELIVRD"),
    ),
    (
        "Vonage (Nexmo), How to read an SMPP delivery receipt",
        "id:0000000012345678 sub:001 dlvrd:001 submit date:1601010100 done date:1601010101 "
        "stat:DELIVRD err:000 text:none",
        *("0000000012345678", "delivered", "DELIVRD"),
    ),
    (
        "smppcenter.com: dates with seconds",
        "id:64567564356765435676 sub:001 dlvrd:001 submit date:190608165232 done date:190608165237 "
        "stat:DELIVRD err:000 text:Hello World",
        *("64567564356765435676", "delivered", "DELIVRD"),
    ),
    (
        "Sinch DI (SAP 365): dates with a century, capital Text",
        "id:1234567890 sub:001 dlvrd:001 submit date:20210222061132 done date:20210222061132 "
        "stat:REJECTD err:000 Text:DB52 SMS ERROR",
        *("1234567890", "rejected", "REJECTD"),
    ),
    (
        "Sinch DI (SAP 365): handed on, not yet there",
        "id:1234567890 sub:001 dlvrd:001 submit date:20210222061132 done date:20210222061132 "
        "stat:ACCEPTD err:000 Text:450A DLVRD TO SMSC",
        *("", "", ""),
    ),
    (
        "8x8 SMPP delivery receipts: err of one digit",
        f"id:8a1f sub:001 dlvrd:000 {DATES} stat:UNDELIV err:1 Text:hi",
        *("8a1f", "undelivered", "UNDELIV/1"),
    ),
    (
        "Adobe Campaign, SMPP connector: field names in any case",
        "id:1234567890 sub:001 dlvrd:001 submit date:1608011415 done date:1608011417 "
        "stat:DELIVRD err:000 Text:Hello Adobe world",
        *("1234567890", "delivered", "DELIVRD"),
    ),
    (
        "Clickatell (jasmin issue 70): ids of 32 hexadecimal digits",
        "id:a29f6845555647139e5c8f3b817f2c9a sub:001 dlvrd:001 submit date:141023215253 "
        "done date:141023215259 stat:DELIVRD err:000 text:",
        *("a29f6845555647139e5c8f3b817f2c9a", "delivered", "DELIVRD"),
    ),
    (
        "an Indian carrier (jasmin issue 447): FAILED, no date",
        "id:1216080510463401720 sub:001 dlvrd:001 submit date:1608051046 done date:0000000000 "
        "stat:FAILED err:002 Text:",
        *("1216080510463401720", "undelivered", "FAILED/002"),
    ),
    (
        "jasmin issue 758: err is letters, ids are UUIDs",
        "id:6F09BDC7-94A1-4B9D-BC96-EC66AABF10C2 sub:001 dlvrd:001 submit date:190710204925 "
        "done date:190710204927 stat:DELIVRD err:ND text:",
        *("6F09BDC7-94A1-4B9D-BC96-EC66AABF10C2", "delivered", "DELIVRD/ND"),
    ),
    (
        "an Indian carrier (php-smpp issue 70): err of four digits",
        "id:117062714244798261 sub:001 dlvrd:001 submit date:1706271624 done date:1706271624 "
        "stat:DELIVRD err:0000 text:H\x1bello world",
        *("117062714244798261", "delivered", "DELIVRD"),
    ),
    (
        "php-smpp issue 29: a blank after the colon",
        f"id:77 sub:001 dlvrd:001 {DATES} stat:DELIVRD err: 0 text:hi",
        *("77", "delivered", "DELIVRD"),
    ),
    (
        "jsmpp issue 67: neither counts nor text",
        "id:0654354026 submit date:2302101454 done date:2302101454 stat:DELIVRD err:000",
        *("0654354026", "delivered", "DELIVRD"),
    ),
    (
        "Restcomm Connect, smsdelivery.com: the same, with a UUID",
        "id:4e05c166-6ced-40df-9e1d-2bbcb0c14cd3 submit date:201907191552 "
        "done date:201907191552 stat:UNDELIV err:005",
        *("4e05c166-6ced-40df-9e1d-2bbcb0c14cd3", "undelivered", "UNDELIV/005"),
    ),
    (
        "Telenor (ruby-smpp), Yo! (vumi): stat:0 is success",
        "id:Smsc2013 sub:1 dlvrd:1 submit date:0610171515 done date:0610171515 stat:0 err:0 "
        "text:blah",
        *("Smsc2013", "delivered", "0"),
    ),
    (
        "a Norwegian carrier (ruby-smpp): a preface",
        "4790000000SMSAlert^id:1054BC63 sub:0 dlvrd:1 submit date:0610231217 "
        "done date:0610231217 stat:DELIVRD err: text:",
        *("1054BC63", "delivered", "DELIVRD"),
    ),
    (
        "Apache Camel's SMPP component: err is no number",
        "id:2 sub:001 dlvrd:001 submit date:0908312310 done date:0908312311 stat:DELIVRD err:xxx "
        "Text:Hello SMPP world!",
        *("2", "delivered", "DELIVRD/xxx"),
    ),
    (
        "SMPPEX's examples: dates of ISO 8601 with a blank, whole words",
        "id:9 sub:001 dlvrd:001 submit date:2026-11-21 10:00:00 done date:2026-11-21 10:00:01 "
        "stat:DELIVERED err:600 TEXT:",
        *("9", "delivered", "DELIVERED/600"),
    ),
    (
        "carriers that speak CMPP behind (CMPP 3.0 appendix, Stat)",
        f"id:1054 sub:001 dlvrd:000 {DATES} stat:MK:0010 err:000 text:",
        *("1054", "undelivered", "MK:0010"),
    ),
    (
        "jasmin's own receipts: UNKNOWN is no end",
        f"id:77 sub:001 dlvrd:001 {DATES} stat:UNKNOWN err:254 text:-",
        *("", "", ""),
    ),
    (
        "SMPP 3.4 §5.2.28: ENROUTE is no end",
        f"id:77 sub:001 dlvrd:000 {DATES} stat:ENROUTE err:000 text:",
        *("", "", ""),
    ),
]


@pytest.mark.parametrize(
    ("words", "message_id", "state", "code"), [it[1:] for it in TEXTS], ids=[it[0] for it in TEXTS]
)
def test_a_receipt_is_read_as_it_is_written(
    words: str, message_id: str, state: str, code: str
) -> None:
    read = receipt.read(pdu.DeliverSm(esm_class=4, short_message=words.encode("latin-1")))
    found = (read.message_id, read.state, read.code) if read else ("", "", "")
    assert found == (message_id, state, code)


def deliver(words: bytes, *tlvs: tuple[int, bytes], coding: int = 0) -> pdu.DeliverSm:
    return pdu.DeliverSm(esm_class=4, short_message=words, data_coding=coding, tlvs=tlvs)


def test_the_words_after_text_say_nothing() -> None:
    read = receipt.read(deliver(b"id:7 stat:UNDELIV text:id:8 stat:DELIVRD err:000"))
    assert read is not None
    assert (read.message_id, read.code) == ("7", "UNDELIV")
    assert receipt.read(deliver(b"id: sub:001 dlvrd:001 stat:DELIVRD err:000")) is None


def test_utf_16_in_the_payload_leaves_the_receipt_readable() -> None:
    """python-smpplib's test_command.py: hexadecimal id as parameter, decimal in the text."""
    words = b"id:0489708364 sub:001 dlvrd:001 submit date:1810151907 done date:1810151907 "
    words += b"stat:DELIVRD err:000 text:\x04\x1f\x04@\x048\x042\x045\x04B\x04&"
    parameters = (
        (pdu.RECEIPTED_MESSAGE_ID, b"1d305b4c\0"),
        (pdu.MESSAGE_STATE, b"\x02"),
        (pdu.MESSAGE_PAYLOAD, words),
    )
    read = receipt.read(deliver(b"", *parameters))
    assert read is not None
    assert (read.message_id, read.exact, read.state) == ("1d305b4c", True, "delivered")


@pytest.mark.parametrize("coding", [0, 1, 3, 8, 0xF0])
def test_ascii_is_read_whatever_the_coding_says(coding: int) -> None:
    """Some repeat the data_coding of the message in its receipt (node-smpp issue 199)."""
    read = receipt.read(deliver(b"id:a_b$1 sub:001 dlvrd:001 stat:EXPIRED err:027", coding=coding))
    assert read is not None
    assert (read.message_id, read.state, read.code) == ("a_b$1", "expired", "EXPIRED/027")


def test_no_nul_comes_into_an_id() -> None:
    read = receipt.read(deliver(b"id:7\0a stat:DELIVRD err:000"))
    assert read is not None
    assert "\0" not in read.message_id


def test_a_receipt_may_be_utf_16_throughout() -> None:
    words = "id:77 sub:001 dlvrd:001 stat:DELIVRD err:000 text:好".encode("utf-16-be")
    read = receipt.read(deliver(words, coding=8))
    assert read is not None
    assert (read.message_id, read.state) == ("77", "delivered")


@pytest.mark.parametrize(
    ("value", "code"),
    [(b"\x03\x00\x1b", "UNDELIV/27"), (b"\x03\x00\x00", "UNDELIV"), (b"", "UNDELIV")],
)
def test_a_network_error_code_is_told_where_the_text_has_none(value: bytes, code: str) -> None:
    parameters = (
        (pdu.RECEIPTED_MESSAGE_ID, b"77\0"),
        (pdu.MESSAGE_STATE, b"\x05"),
        (pdu.NETWORK_ERROR_CODE, value),
    )
    read = receipt.read(deliver(b"", *parameters))
    assert read is not None
    assert read.code == code
    told = receipt.read(deliver(b"id:77 stat:UNDELIV err:011", *parameters))
    assert told is not None
    assert told.code == "UNDELIV/011"


@pytest.mark.parametrize(
    ("number", "state"),
    list(
        enumerate(("", "delivered", "expired", "undelivered", "undelivered", "", "", "rejected"), 1)
    ),
)
def test_message_state_alone_is_enough(number: int, state: str) -> None:
    for value in (bytes((number,)), number.to_bytes(4, "big")):
        tlvs = ((pdu.RECEIPTED_MESSAGE_ID, b"77"), (pdu.MESSAGE_STATE, value))
        read = receipt.read(deliver(b"", *tlvs))
        assert (read.state if read else "") == state
