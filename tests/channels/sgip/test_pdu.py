"""SGIP bodies octet by octet: the layouts of SGIP §4.2.3, §4.3 and §4.4 written out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channels.china.fields import FieldError
from channels.sgip import pdu
from channels.sgip.session import Sequences
from tests.channels.china.mutations import survive

SEQUENCE = (3_0010_99999 << 64) | (1120203225 << 32) | 7
"""A provider's seventh request, on the twentieth of November (§3.4's example of a time)."""
SEQUENCE_OCTETS = "b2e126df" + "42c4f1d9" + "00000007"


def pad(text: str, octets: int) -> str:
    """A Text as hexadecimal digits: left, and filled up with \\0 (§4.2.1)."""
    return text.encode().hex().ljust(octets * 2, "0")


SUBMIT = pdu.Submit(
    sp_number="10655",
    phones=("8613001125453", "8613001132345"),
    content=b"\x05\x00\x03\x2a\x02\x01\x60\xa8",
    coding=8,
    udhi=1,
    charge_number="000000000000000000000",
    corp_id="99999",
    service_type="HELP",
    fee_type=2,
    fee_value="15",
    given_value="0",
    agent_flag=1,
    reason=3,
    priority=9,
    expire_time="261122180000032+",
    schedule_time="261122090000032+",
    report_flag=1,
    tp_pid=0x41,
    message_type=0,
    link_id="12345678",
)
SUBMIT_OCTETS = (
    pad("10655", 21)  # SPNumber
    + pad("0" * 21, 21)  # ChargeNumber
    + "02"  # UserCount
    + pad("8613001125453", 21)  # UserNumber
    + pad("8613001132345", 21)
    + pad("99999", 5)  # CorpId
    + pad("HELP", 10)  # ServiceType
    + "02"  # FeeType
    + pad("15", 6)  # FeeValue
    + pad("0", 6)  # GivenValue
    + "01" "03" "09"  # AgentFlag, MorelatetoMTFlag, Priority
    + pad("261122180000032+", 16)  # ExpireTime
    + pad("261122090000032+", 16)  # ScheduleTime
    + "01" "41" "01" "08" "00"  # ReportFlag, TP_pid, TP_udhi, MessageCoding, MessageType
    + "00000008"  # MessageLength
    + "0500032a020160a8"  # MessageContent
    + pad("12345678", 8)  # Reserve
)  # fmt: skip

DELIVER = pdu.Deliver("8613001125453", "10655", "退订".encode("gbk"), 15, 0, 1)
DELIVER_OCTETS = (
    pad("8613001125453", 21)  # UserNumber
    + pad("10655", 21)  # SPNumber
    + "01" "00" "0f"  # TP_pid, TP_udhi, MessageCoding
    + "00000004"  # MessageLength
    + "cdcbb6a9"  # MessageContent
    + pad("", 8)  # Reserve
)  # fmt: skip

REPORT = pdu.Report(SEQUENCE, "8613001125453", 2, 29)
REPORT_OCTETS = SEQUENCE_OCTETS + "00" + pad("8613001125453", 21) + "02" + "1d" + pad("", 8)

USER_REPORT_OCTETS = pad("10655", 21) + pad("8613001125453", 21) + "01" + pad("", 8)
TRACE_OCTETS = SEQUENCE_OCTETS + pad("8613001125453", 21) + pad("", 8)
STAGES = (
    pdu.Stage(0, "100101", "261122100000", "261122100001"),
    pdu.Stage(1, "100201", "261122100001", ""),
)
STAGES_OCTETS = (
    "02"  # Count
    + "00" + pad("100101", 6) + pad("261122100000", 16) + pad("261122100001", 16) + pad("", 8)
    + "01" + pad("100201", 6) + pad("261122100001", 16) + pad("", 16) + pad("", 8)
)  # fmt: skip


def test_a_sequence_number_is_three_integers() -> None:
    assert SEQUENCE.to_bytes(12, "big").hex() == SEQUENCE_OCTETS
    assert pdu.sequence_text(SEQUENCE) == "3001099999.1120203225.7"


def test_sequence_numbers_carry_the_node_and_the_time_in_beijing_and_never_repeat() -> None:
    now = 1_605_875_545.0  # 2020-11-20 12:32:25 UTC
    sequences = Sequences(3_0010_99999, lambda: now)
    first, second = sequences.next(), sequences.next()
    assert pdu.sequence_text(first) == "3001099999.1120203225.1"
    assert pdu.sequence_text(second) == "3001099999.1120203225.2"
    now += 1
    assert pdu.sequence_text(sequences.next()) == "3001099999.1120203226.3"


def test_a_login_is_laid_out_as_specified() -> None:
    login = pdu.Bind(1, "outreach", "secret")
    octets = "01" + pad("outreach", 16) + pad("secret", 16) + pad("", 8)
    assert pdu.bind_body(login).hex() == octets
    assert len(bytes.fromhex(octets)) == 41
    assert pdu.read_bind(bytes.fromhex(octets)) == login


def test_a_result_has_one_octet_and_eight_reserved_ones() -> None:
    assert pdu.result_body(11).hex() == "0b" + pad("", 8)
    assert pdu.read_result(bytes.fromhex("0b")) == 11
    with pytest.raises(FieldError):
        pdu.read_result(b"")


def test_a_submit_is_laid_out_as_specified() -> None:
    assert pdu.submit_body(SUBMIT).hex() == SUBMIT_OCTETS
    assert pdu.read_submit(bytes.fromhex(SUBMIT_OCTETS)) == SUBMIT


def test_a_submit_may_go_to_a_hundred_phones() -> None:
    phones = tuple(str(8613001125453 + number) for number in range(100))
    assert pdu.read_submit(pdu.submit_body(pdu.Submit("1", phones, b"hi"))).phones == phones
    with pytest.raises(FieldError):
        pdu.submit_body(pdu.Submit("1", (*phones, "1"), b"hi"))


def test_a_delivery_is_laid_out_as_specified() -> None:
    assert pdu.deliver_body(DELIVER).hex() == DELIVER_OCTETS
    assert pdu.read_deliver(bytes.fromhex(DELIVER_OCTETS)) == DELIVER


def test_a_report_is_laid_out_as_specified() -> None:
    assert pdu.report_body(REPORT).hex() == REPORT_OCTETS
    assert len(bytes.fromhex(REPORT_OCTETS)) == 44
    assert pdu.read_report(bytes.fromhex(REPORT_OCTETS)) == REPORT
    assert pdu.read_report(bytes.fromhex(REPORT_OCTETS)[:-8]) == REPORT


def test_a_report_on_a_customer_is_laid_out_as_specified() -> None:
    report = pdu.UserReport("10655", "8613001125453", 1)
    assert pdu.user_report_body(report).hex() == USER_REPORT_OCTETS
    assert pdu.read_user_report(bytes.fromhex(USER_REPORT_OCTETS)) == report


def test_a_trace_is_asked_for_and_answered_as_specified() -> None:
    trace = pdu.Trace(SEQUENCE, "8613001125453")
    assert pdu.trace_body(trace).hex() == TRACE_OCTETS
    assert pdu.read_trace(bytes.fromhex(TRACE_OCTETS)) == trace
    assert pdu.stages_body(STAGES).hex() == STAGES_OCTETS
    assert pdu.read_stages(bytes.fromhex(STAGES_OCTETS)) == STAGES


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF, 1025, 5])
def test_a_length_that_lies_is_refused(length: int) -> None:
    octets = bytes.fromhex(DELIVER_OCTETS)
    lying = octets[:45] + length.to_bytes(4, "big") + octets[49:53]
    with pytest.raises(FieldError):
        pdu.read_deliver(lying)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sp_number": "1" * 22},
        {"phones": ()},
        {"phones": ("1" * 22,)},
        {"content": b"x" * 1025},
        {"corp_id": "123456"},
        {"expire_time": "x" * 17},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"sp_number": "1", "phones": ("1",), "content": b"", **wrong}
    with pytest.raises(FieldError):
        pdu.submit_body(pdu.Submit(**fields))  # type: ignore[arg-type]


READERS: list[Callable[[bytes], object]] = [
    pdu.read_bind,
    pdu.read_result,
    pdu.read_submit,
    pdu.read_deliver,
    pdu.read_report,
    pdu.read_user_report,
    pdu.read_trace,
    pdu.read_stages,
]
WHOLE = [SUBMIT_OCTETS, DELIVER_OCTETS, REPORT_OCTETS, TRACE_OCTETS, STAGES_OCTETS]


@pytest.mark.parametrize("read", READERS)
def test_no_octets_are_too_odd(read: Callable[[bytes], object]) -> None:
    survive(read, [bytes.fromhex(it) for it in WHOLE], FieldError)
