"""What gateways of each protocol say, whole."""

from __future__ import annotations

from channels.cmpp import pdu as cmpp
from channels.sgip import pdu as sgip
from channels.smgp import pdu as smgp

MSG_ID = "01006101161700012345"
PART = bytes((5, 0, 3, 9, 2, 1)) + "您好".encode("utf-16-be")


def seeds(name: str) -> list[bytes]:
    """What a gateway may say, whole."""
    if name == "cmpp":
        header = 12
        report = cmpp.report_content(cmpp.Report(77, "DELIVRD"), cmpp.V3)
        said = [
            (cmpp.DELIVER, cmpp.deliver_body(cmpp.Deliver(1, "1", "138", b"TD"), cmpp.V3)),
            (cmpp.DELIVER, cmpp.deliver_body(cmpp.Deliver(1, "1", "138", PART, 8, 1), cmpp.V3)),
            (
                cmpp.DELIVER,
                cmpp.deliver_body(cmpp.Deliver(1, "1", "138", report, registered=1), cmpp.V3),
            ),
            (cmpp.SUBMIT | 1 << 31, cmpp.result_body(5, 0, cmpp.V3)),
            (cmpp.ACTIVE_TEST, b""),
        ]
    elif name == "smgp":
        header = 12
        udhi = ((smgp.TP_UDHI, b"\1"),)
        report = smgp.report_content(smgp.Report(MSG_ID, "DELIVRD"))
        said = [
            (smgp.DELIVER, smgp.deliver_body(smgp.Deliver(MSG_ID, "133", "1", b"TD"))),
            (smgp.DELIVER, smgp.deliver_body(smgp.Deliver(MSG_ID, "1", "1", PART, 8, tlvs=udhi))),
            (smgp.DELIVER, smgp.deliver_body(smgp.Deliver(MSG_ID, "1", "1", report, 0, 1))),
            (smgp.SUBMIT | 1 << 31, smgp.result_body(MSG_ID, 0)),
            (smgp.ACTIVE_TEST, b""),
        ]
    else:
        header = 20
        said = [
            (sgip.DELIVER, sgip.deliver_body(sgip.Deliver("86130", "1", b"TD"))),
            (sgip.DELIVER, sgip.deliver_body(sgip.Deliver("86130", "1", PART, 8, 1))),
            (sgip.REPORT, sgip.report_body(sgip.Report(7, "86130", 0))),
            (sgip.USER_REPORT, sgip.user_report_body(sgip.UserReport("1", "86130", 1))),
            (sgip.SUBMIT | 1 << 31, sgip.result_body(0)),
        ]
    return [
        (header + len(body)).to_bytes(4, "big")
        + command_id.to_bytes(4, "big")
        + (1).to_bytes(header - 8, "big")
        + body
        for command_id, body in said
    ]
