"""Documents that atheris found, and their like."""

from __future__ import annotations

import pytest

from channels.mms import mm7
from channels.mms.letters import Answer, Report
from tests.hostile.targets.documents import mm7_answer, mm7_callback

REPORT = (
    "<x:DeliveryReportReq><MessageID>1</MessageID><MMStatus>Expired</MMStatus>"
    "</x:DeliveryReportReq>"
)
ODD = '<a xmlns="urn;x"/>'
"""Behind it libxml2 no longer minds that a prefix stands for nothing, and lxml refuses its name."""


def envelope(body: str, head: str = "<TransactionID>t</TransactionID>") -> bytes:
    said = f"<e:Header>{head}</e:Header><e:Body>{body}{ODD}</e:Body>"
    return f"<e:Envelope xmlns:e='http://x/'>{said}</e:Envelope>".encode()


@pytest.mark.parametrize(
    "declared",
    ["", "xmlns:x='a b'", "xmlns:x='{'", "xmlns:x='}x'", "xmlns:x='%'", "xmlns:x='urn;'"],
)
def test_a_report_under_a_prefix_that_stands_for_nothing_is_answered(declared: str) -> None:
    body = envelope(REPORT.replace("<x:DeliveryReportReq", f"<x:DeliveryReportReq {declared}"))
    assert isinstance(mm7.read(body).said, Report)
    mm7_callback(b"text/xml\0\r\n" + body)


def test_names_under_a_prefix_that_nobody_declared_are_read_all_the_same() -> None:
    letter = mm7.read(envelope(REPORT, "<mm7:TransactionID>t</mm7:TransactionID>"))
    assert isinstance(letter.said, Report)
    assert (letter.said.message_id, letter.transaction, letter.namespace) == ("1", "t", "")


def test_an_answer_under_such_a_prefix_is_an_answer() -> None:
    body = envelope("<m:SubmitRsp><m:StatusCode>1000</m:StatusCode></m:SubmitRsp>")
    assert mm7.read(body).said == Answer("SubmitRsp", 1000)
    mm7_answer(body)
