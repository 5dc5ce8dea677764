"""CMPP bodies octet by octet: the layouts of CMPP 3.0 §8 written out by hand, and 2.0's by what
§12 says 3.0 changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import md5
from pathlib import Path

import pytest

from channels.china.fields import FieldError
from channels.cmpp import pdu
from channels.cmpp.pdu import V2, V3
from tests.channels.china.mutations import survive

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())


def pad(text: str, octets: int) -> str:
    """An Octet String as hexadecimal digits: left, and filled up with binary zeros (§8.1)."""
    return text.encode().hex().ljust(octets * 2, "0")


SUBMIT = pdu.Submit(
    src_id="10086",
    phones=("13800138000",),
    content=b"\x05\x00\x03\x2a\x02\x01\x60\xa8",
    msg_fmt=8,
    udhi=1,
    pk_total=2,
    pk_number=1,
    registered=1,
    level=3,
    service_id="HELP",
    msg_src="900001",
    fee_user_type=3,
    fee_phone="13900139000",
    fee_pseudo=1,
    fee_type="02",
    fee_code="000015",
    tp_pid=0x41,
    valid_time="261122180000032+",
    at_time="261122090000032+",
    phone_pseudo=1,
    link_id="20261122000000000077",
    msg_id=0x0102030405060708,
)
SUBMIT_V3 = (
    "0102030405060708"  # Msg_Id 8
    "02" "01" "01" "03"  # Pk_total, Pk_number, Registered_Delivery, Msg_level
    + pad("HELP", 10)  # Service_Id
    + "03"  # Fee_UserType
    + pad("13900139000", 32)  # Fee_terminal_Id
    + "01"  # Fee_terminal_type
    + "41" "01" "08"  # TP_pId, TP_udhi, Msg_Fmt
    + pad("900001", 6)  # Msg_src
    + pad("02", 2)  # FeeType
    + pad("000015", 6)  # FeeCode
    + pad("261122180000032+", 17)  # ValId_Time
    + pad("261122090000032+", 17)  # At_Time
    + pad("10086", 21)  # Src_Id
    + "01"  # DestUsr_tl
    + pad("13800138000", 32)  # Dest_terminal_Id
    + "01"  # Dest_terminal_type
    + "08"  # Msg_Length
    + "0500032a020160a8"  # Msg_Content
    + pad("20261122000000000077", 20)  # LinkID
)  # fmt: skip
SUBMIT_V2 = (
    "0102030405060708"
    "02" "01" "01" "03"
    + pad("HELP", 10)
    + "03"
    + pad("13900139000", 21)
    + "41" "01" "08"
    + pad("900001", 6)
    + pad("02", 2)
    + pad("000015", 6)
    + pad("261122180000032+", 17)
    + pad("261122090000032+", 17)
    + pad("10086", 21)
    + "01"
    + pad("13800138000", 21)
    + "08"
    + "0500032a020160a8"
    + pad("", 8)  # Reserve
)  # fmt: skip

DELIVER = pdu.Deliver(
    msg_id=0x1122334455667788,
    dest_id="10086",
    phone="13800138000",
    content="退订".encode("gbk"),
    msg_fmt=15,
    udhi=0,
    registered=0,
    service_id="HELP",
    tp_pid=1,
    pseudo=0,
    link_id="7",
)
DELIVER_V3 = (
    "1122334455667788"
    + pad("10086", 21)  # Dest_Id
    + pad("HELP", 10)  # Service_Id
    + "01" "00" "0f"  # TP_pid, TP_udhi, Msg_Fmt
    + pad("13800138000", 32)  # Src_terminal_Id
    + "00"  # Src_terminal_type
    + "00"  # Registered_Delivery
    + "04"  # Msg_Length
    + "cdcbb6a9"  # Msg_Content: 退订 in GBK
    + pad("7", 20)  # LinkID
)  # fmt: skip
DELIVER_V2 = (
    "1122334455667788"
    + pad("10086", 21)
    + pad("HELP", 10)
    + "01" "00" "0f"
    + pad("13800138000", 21)
    + "00" "04" "cdcbb6a9"
    + pad("", 8)
)  # fmt: skip

REPORT = pdu.Report(0x1122334455667788, "DELIVRD", "2611221000", "2611221001", "13800138000", 9)
REPORT_V3 = (
    "1122334455667788"
    + pad("DELIVRD", 7)
    + pad("2611221000", 10)
    + pad("2611221001", 10)
    + pad("13800138000", 32)
    + "00000009"
)
REPORT_V2 = REPORT_V3.replace(pad("13800138000", 32), pad("13800138000", 21))


def test_a_login_is_what_another_stack_writes() -> None:
    digest = pdu.source_digest("900001", "888888", 1021080510)
    body = pdu.connect_body(pdu.Connect("900001", digest, 0x21, 1021080510))
    assert (len(body) + 12).to_bytes(4, "big").hex() + "00000001" + "00000017" + body.hex() == (
        VECTORS["cmpp3_connect"]["hex"]
    )
    assert pdu.read_connect(body) == pdu.Connect("900001", digest, 0x21, 1021080510)


def test_the_timestamp_in_the_digest_has_ten_digits() -> None:
    expected = md5(b"900001" + bytes(9) + b"888888" + b"0301000000").digest()
    assert pdu.source_digest("900001", "888888", 301000000) == expected


@pytest.mark.parametrize(("version", "octets"), [(V3, SUBMIT_V3), (V2, SUBMIT_V2)])
def test_a_submit_is_laid_out_as_specified(version: int, octets: str) -> None:
    assert pdu.submit_body(SUBMIT, version).hex() == octets


def test_a_submit_has_the_length_that_the_tables_add_up_to() -> None:
    content = len(SUBMIT.content)
    assert len(bytes.fromhex(SUBMIT_V3)) == 183 + content
    assert len(bytes.fromhex(SUBMIT_V2)) == 147 + content


def test_a_submit_is_read_as_it_was_written() -> None:
    assert pdu.read_submit(bytes.fromhex(SUBMIT_V3), V3) == SUBMIT
    plain = pdu.read_submit(bytes.fromhex(SUBMIT_V2), V2)
    assert (plain.phones, plain.fee_phone, plain.content) == (
        SUBMIT.phones,
        SUBMIT.fee_phone,
        SUBMIT.content,
    )
    assert (plain.fee_pseudo, plain.phone_pseudo, plain.link_id) == (0, 0, "")


@pytest.mark.parametrize("version", [V2, V3])
def test_a_submit_may_go_to_a_hundred_phones(version: int) -> None:
    phones = tuple(str(13800138000 + number) for number in range(100))
    submit = pdu.Submit("10086", phones, b"hello")
    assert pdu.read_submit(pdu.submit_body(submit, version), version).phones == phones
    with pytest.raises(FieldError):
        pdu.submit_body(pdu.Submit("10086", (*phones, "1"), b"hello"), version)


@pytest.mark.parametrize(("version", "octets"), [(V3, DELIVER_V3), (V2, DELIVER_V2)])
def test_a_delivery_is_laid_out_as_specified(version: int, octets: str) -> None:
    assert pdu.deliver_body(DELIVER, version).hex() == octets
    read = pdu.read_deliver(bytes.fromhex(octets), version)
    assert (read.msg_id, read.phone, read.dest_id, read.content, read.msg_fmt) == (
        DELIVER.msg_id,
        "13800138000",
        "10086",
        DELIVER.content,
        15,
    )


@pytest.mark.parametrize(
    ("version", "octets", "length"), [(V3, REPORT_V3, 71), (V2, REPORT_V2, 60)]
)
def test_a_report_has_71_octets_in_3_0_and_60_in_2_0(
    version: int, octets: str, length: int
) -> None:
    assert pdu.report_content(REPORT, version).hex() == octets
    assert len(bytes.fromhex(octets)) == length
    assert pdu.read_report(bytes.fromhex(octets)) == REPORT


@pytest.mark.parametrize(
    ("octets", "layout"), [("00000000" + "ab" * 16 + "30", V3), ("00" + "ab" * 16 + "20", V2)]
)
def test_the_answer_to_a_login_tells_its_version_by_its_length(octets: str, layout: int) -> None:
    answer = pdu.read_connect_resp(bytes.fromhex(octets))
    assert answer == pdu.ConnectResp(0, b"\xab" * 16, layout, layout)
    assert pdu.connect_resp_body(answer).hex() == octets


@pytest.mark.parametrize(
    ("version", "octets"),
    [(V3, "00000000000000ff" + "0000000d"), (V2, "00000000000000ff" + "0d")],
)
def test_a_result_has_four_octets_in_3_0_and_one_in_2_0(version: int, octets: str) -> None:
    assert pdu.result_body(255, 13, version).hex() == octets
    assert pdu.read_result(bytes.fromhex(octets), version) == (255, 13)


def test_a_gateways_proof_covers_its_status_as_it_stood() -> None:
    four, one = pdu.gateway_digests(b"\x11" * 16, "888888")
    assert four == md5(bytes(4) + b"\x11" * 16 + b"888888").digest()
    assert one == md5(bytes(1) + b"\x11" * 16 + b"888888").digest()


def test_a_count_is_asked_for_and_answered_as_specified() -> None:
    asked = pdu.Query("20261122", "HELP")
    octets = pad("20261122", 8) + "01" + pad("HELP", 10) + pad("", 8)
    assert pdu.query_body(asked).hex() == octets
    assert pdu.read_query(bytes.fromhex(octets)) == asked
    answer = pdu.QueryResp("20261122", "HELP", 1, 2, 3, 4, 5, 6, 7, 8)
    counts = "".join(f"{number:08x}" for number in range(1, 9))
    octets = pad("20261122", 8) + "01" + pad("HELP", 10) + counts
    assert pdu.query_resp_body(answer).hex() == octets
    assert pdu.read_query_resp(bytes.fromhex(octets)) == answer


def test_a_deletion_is_asked_for_and_answered_as_specified() -> None:
    assert pdu.cancel_body(0x0102030405060708).hex() == "0102030405060708"
    assert pdu.read_cancel(bytes.fromhex("0102030405060708")) == 0x0102030405060708
    assert pdu.cancel_resp_body(False, V3).hex() == "00000000"
    assert pdu.cancel_resp_body(True, V2).hex() == "01"
    assert pdu.read_cancel_resp(b"\0\0\0\0")
    assert not pdu.read_cancel_resp(b"\1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"src_id": "1" * 22},
        {"src_id": "十"},
        {"phones": ()},
        {"phones": ("1" * 33,)},
        {"content": b"x" * 256},
        {"service_id": "12345678901"},
        {"service_id": "a\0b"},
        {"valid_time": "x" * 18},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"src_id": "1", "phones": ("1",), "content": b"", **wrong}
    with pytest.raises(FieldError):
        pdu.submit_body(pdu.Submit(**fields), V3)  # type: ignore[arg-type]


WHOLE = [SUBMIT_V3, SUBMIT_V2, DELIVER_V3, DELIVER_V2, REPORT_V3, REPORT_V2, "00" * 40]

READERS: list[Callable[[bytes], object]] = [
    pdu.read_connect,
    pdu.read_connect_resp,
    lambda body: pdu.read_submit(body, V3),
    lambda body: pdu.read_submit(body, V2),
    lambda body: pdu.read_deliver(body, V3),
    lambda body: pdu.read_deliver(body, V2),
    lambda body: pdu.read_result(body, V3),
    pdu.read_report,
    pdu.read_query,
    pdu.read_query_resp,
    pdu.read_cancel,
    pdu.read_cancel_resp,
]


@pytest.mark.parametrize("whole", [SUBMIT_V3, SUBMIT_V2])
def test_a_submit_that_is_cut_short_anywhere_is_said_to_be(whole: str) -> None:
    octets, version = bytes.fromhex(whole), V3 if whole is SUBMIT_V3 else V2
    for length in range(len(octets)):
        with pytest.raises(FieldError):
            pdu.read_submit(octets[:length], version)


@pytest.mark.parametrize("read", READERS)
def test_no_octets_are_too_odd(read: Callable[[bytes], object]) -> None:
    survive(read, [bytes.fromhex(it) for it in WHOLE], FieldError)
