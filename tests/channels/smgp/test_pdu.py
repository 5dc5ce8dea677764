"""SMGP bodies octet by octet: the layouts of SMGP 3.0.3 §5.2.2 and §6.3 written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5

import pytest

from channels.china.fields import FieldError
from channels.smgp import pdu
from tests.channels.china.mutations import survive

MSG_ID = "01006101161700012345"
"""The example of §6.2.26."""


def pad(text: str, octets: int) -> str:
    """An Octet String as hexadecimal digits: left, and filled up with 0x00 (§5.1.1)."""
    return text.encode().hex().ljust(octets * 2, "0")


SUBMIT = pdu.Submit(
    src_term_id="1181234",
    phones=("13300133000",),
    content=b"\x05\x00\x03\x2a\x02\x01\xc4\xfa",
    msg_format=15,
    need_report=1,
    msg_type=6,
    priority=2,
    service_id="HELP",
    fee_type="01",
    fee_code="15",
    fixed_fee="0",
    valid_time="261122180000032+",
    at_time="261122090000032+",
    charge_phone="13300133001",
    tlvs=(
        (pdu.TP_UDHI, b"\1"),
        (pdu.PK_TOTAL, b"\2"),
        (pdu.PK_NUMBER, b"\1"),
        (pdu.MSG_SRC, b"1234\0\0\0\0"),
    ),
)
SUBMIT_OCTETS = (
    "06" "01" "02"  # MsgType, NeedReport, Priority
    + pad("HELP", 10)  # ServiceID
    + pad("01", 2)  # FeeType
    + pad("15", 6)  # FeeCode
    + pad("0", 6)  # FixedFee
    + "0f"  # MsgFormat
    + pad("261122180000032+", 17)  # ValidTime
    + pad("261122090000032+", 17)  # AtTime
    + pad("1181234", 21)  # SrcTermID
    + pad("13300133001", 21)  # ChargeTermID
    + "01"  # DestTermIDCount
    + pad("13300133000", 21)  # DestTermID
    + "08"  # MsgLength
    + "0500032a0201c4fa"  # MsgContent
    + pad("", 8)  # Reserve
    + "0002" "0001" "01"  # TP_udhi (§6.3.3)
    + "0009" "0001" "02"  # PkTotal (§6.3.10)
    + "000a" "0001" "01"  # PkNumber (§6.3.11)
    + "0010" "0008" + pad("1234", 8)  # MsgSrc (§6.3.17)
)  # fmt: skip

DELIVER = pdu.Deliver(
    MSG_ID,
    "13300133000",
    "1181234",
    "退订".encode("gb18030"),
    15,
    0,
    "20261122100000",
    ((pdu.TP_UDHI, b"\0"),),
)
DELIVER_OCTETS = (
    MSG_ID
    + "00" "0f"  # IsReport, MsgFormat
    + pad("20261122100000", 14)  # RecvTime
    + pad("13300133000", 21)  # SrcTermID
    + pad("1181234", 21)  # DestTermID
    + "04"  # MsgLength
    + "cdcbb6a9"  # MsgContent
    + pad("", 8)  # Reserve
    + "0002" "0001" "00"
)  # fmt: skip

REPORT = (
    b"id:"
    + bytes.fromhex(MSG_ID)
    + b" sub:001 dlvrd:001 submit date:2611221000 done date:2611221001"
    + b" stat:DELIVRD err:000 text:"
)


def test_the_timestamp_is_the_one_of_the_specifications_example() -> None:
    """§6.2.2: the first of March, midnight, is 0x11F0E540, and 0301000000 in the digest."""
    expected = md5(b"1234" + bytes(7) + b"secret" + b"0301000000").digest()
    assert pdu.client_digest("1234", "secret", 0x11F0E540) == expected


def test_a_login_is_laid_out_as_specified() -> None:
    login = pdu.Login("1234", b"\xab" * 16, 2, 0x11F0E540)
    octets = pad("1234", 8) + "ab" * 16 + "02" + "11f0e540" + "30"
    assert pdu.login_body(login).hex() == octets
    assert pdu.read_login(bytes.fromhex(octets)) == login


def test_the_answer_to_a_login_is_laid_out_as_specified() -> None:
    answer = pdu.LoginResp(0, b"\xab" * 16, 0x30)
    octets = "00000000" + "ab" * 16 + "30"
    assert pdu.login_resp_body(answer).hex() == octets
    assert pdu.read_login_resp(bytes.fromhex(octets)) == answer
    assert pdu.read_login_resp(bytes.fromhex("00000015")).status == 21


def test_a_gateways_proof_is_as_specified() -> None:
    expected = md5(bytes(4) + b"\x11" * 16 + b"secret").digest()
    assert pdu.server_digest(b"\x11" * 16, "secret") == expected


def test_a_submit_is_laid_out_as_specified() -> None:
    assert pdu.submit_body(SUBMIT).hex() == SUBMIT_OCTETS
    assert pdu.read_submit(bytes.fromhex(SUBMIT_OCTETS)) == SUBMIT


def test_a_submit_may_go_to_a_hundred_phones() -> None:
    phones = tuple(str(13300133000 + number) for number in range(100))
    assert pdu.read_submit(pdu.submit_body(pdu.Submit("1", phones, b"hi"))).phones == phones
    with pytest.raises(FieldError):
        pdu.submit_body(pdu.Submit("1", (*phones, "1"), b"hi"))


def test_a_delivery_is_laid_out_as_specified() -> None:
    assert pdu.deliver_body(DELIVER).hex() == DELIVER_OCTETS
    assert pdu.read_deliver(bytes.fromhex(DELIVER_OCTETS)) == DELIVER


def test_an_answer_names_its_message_by_ten_octets() -> None:
    octets = MSG_ID + "0000002f"
    assert pdu.result_body(MSG_ID, 47).hex() == octets
    assert pdu.read_result(bytes.fromhex(octets)) == (MSG_ID, 47)
    for wrong in ("", "0100", "xyz", MSG_ID + "00"):
        with pytest.raises(FieldError):
            pdu.result_body(wrong, 0)


def test_a_report_is_laid_out_as_specified() -> None:
    report = pdu.Report(MSG_ID, "DELIVRD", "000", "2611221000", "2611221001")
    assert pdu.report_content(report) == REPORT


@pytest.mark.parametrize(
    ("octets", "stat", "error"),
    [
        (REPORT, "DELIVRD", "000"),
        (REPORT.replace(bytes.fromhex(MSG_ID), MSG_ID.encode()), "DELIVRD", "000"),
        (
            REPORT.replace(b"submit date", b"Submit_Date").replace(b"stat", b"Stat"),
            "DELIVRD",
            "000",
        ),
        (REPORT.replace(b"DELIVRD err:000", b"UNDELIV err:004"), "UNDELIV", "004"),
        (REPORT.replace(b" err:000 text:", b""), "DELIVRD", "000"),
        (REPORT.replace(b"text:", b"Text:010stat:EXPIRED"), "DELIVRD", "000"),
        (REPORT.replace(b"DELIVRD", b"MK:0001"), "MK:0001", "000"),
    ],
)
def test_a_report_is_read_in_all_its_dialects(octets: bytes, stat: str, error: str) -> None:
    read = pdu.read_report(octets)
    assert (read.msg_id, read.stat, read.error) == (MSG_ID, stat, error)


@pytest.mark.parametrize("raw", [b"stat:ABC \n", b" sub: sub:", bytes(10), b"\xff" * 10])
def test_an_id_of_ten_octets_may_be_any(raw: bytes) -> None:
    assert pdu.read_report(REPORT.replace(bytes.fromhex(MSG_ID), raw)).msg_id == raw.hex()


@pytest.mark.parametrize(
    "octets", [b"", b"id:1 sub:001 stat:DELIVRD", REPORT[:40], b"x" + REPORT, bytes(60)]
)
def test_what_names_no_message_or_no_stat_is_no_report(octets: bytes) -> None:
    with pytest.raises(FieldError):
        pdu.read_report(octets)


def test_a_count_is_asked_for_and_answered_as_specified() -> None:
    asked = pdu.Query("20261122", "HELP")
    octets = pad("20261122", 8) + "01" + pad("HELP", 10)
    assert pdu.query_body(asked).hex() == octets
    assert pdu.read_query(bytes.fromhex(octets)) == asked
    answer = pdu.QueryResp("20261122", "HELP", 1, 2, 3, 4, 5, 6, 7, 8)
    octets += "".join(f"{number:08x}" for number in range(1, 9)) + pad("", 8)
    assert pdu.query_resp_body(answer).hex() == octets
    assert pdu.read_query_resp(bytes.fromhex(octets)) == answer


@pytest.mark.parametrize(
    "wrong",
    [
        {"src_term_id": "1" * 22},
        {"phones": ()},
        {"phones": ("1" * 22,)},
        {"content": b"x" * 256},
        {"service_id": "12345678901"},
        {"charge_phone": "一"},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"src_term_id": "1", "phones": ("1",), "content": b"", **wrong}
    with pytest.raises(FieldError):
        pdu.submit_body(pdu.Submit(**fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("whole", [SUBMIT_OCTETS, DELIVER_OCTETS])
def test_mandatory_parameters_that_are_cut_short_are_said_to_be(whole: str) -> None:
    read = pdu.read_submit if whole is SUBMIT_OCTETS else pdu.read_deliver
    for length in range(69):
        with pytest.raises(FieldError):
            read(bytes.fromhex(whole)[:length])


READERS: list[Callable[[bytes], object]] = [
    pdu.read_login,
    pdu.read_login_resp,
    pdu.read_submit,
    pdu.read_deliver,
    pdu.read_result,
    pdu.read_report,
    pdu.read_query,
    pdu.read_query_resp,
]


@pytest.mark.parametrize("read", READERS)
def test_no_octets_are_too_odd(read: Callable[[bytes], object]) -> None:
    whole = [bytes.fromhex(SUBMIT_OCTETS), bytes.fromhex(DELIVER_OCTETS), REPORT, bytes(60)]
    survive(read, whole, FieldError)
