"""What we say in CMPP 3.0, as Wireshark's dissector reads it (Debian package `tshark`).

It knows no fields of QUERY and CANCEL; of these it reads the header. 2.0 it does not know.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from channels.carriers.cmpp import CmppExchange
from channels.carriers.exchange import ExchangeSettings
from channels.cmpp import pdu
from channels.cmpp.channel import CmppChannel
from channels.cmpp.settings import CmppSettings
from channels.sms.wire import Wire
from orchestrator.core.delivery import Outgoing
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until
from tests.peers.programs import require

NUMBER = "+8613800138000"
PORT = 7890


@pytest.fixture(autouse=True, scope="module")
def tshark() -> None:
    """It is there; in CI that is a must."""
    for program in ("tshark", "text2pcap"):
        require(program, "tshark")


def read(folder: Path, said: list[bytes], *fields: str) -> list[list[str]]:
    """These fields of each PDU, as the dissector reads them. Fails if it finds one malformed."""
    lines = []
    for octets in said:
        for at in range(0, len(octets), 16):
            lines.append(f"{at:06x} " + " ".join(f"{it:02x}" for it in octets[at : at + 16]))
    (folder / "said.txt").write_text("\n".join(lines) + "\n")
    capture = str(folder / "said.pcap")
    to_pcap = ["text2pcap", "-q", "-T", f"40000,{PORT}", str(folder / "said.txt"), capture]
    subprocess.run(to_pcap, check=True, capture_output=True)
    shown = ["_ws.malformed", "cmpp.Total_Length", *fields]
    wanted = [word for field in shown for word in ("-e", field)]
    command = ["tshark", "-r", capture, "-d", f"tcp.port=={PORT},cmpp", "-T", "fields", *wanted]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in output.splitlines()]
    assert [row[0] for row in rows] == [""] * len(said)
    assert [row[1] for row in rows] == [str(len(octets)) for octets in said]
    return [row[2:] for row in rows]


def framed(command_id: int, body: bytes = b"", sequence: int = 7) -> bytes:
    header = b"".join(it.to_bytes(4, "big") for it in (12 + len(body), command_id, sequence))
    return header + body


def test_a_submit_is_read_field_by_field(tmp_path: Path) -> None:
    submit = pdu.Submit(
        "10086",
        ("13800138000", "13800138001"),
        "您好".encode("gbk"),
        msg_fmt=15,
        udhi=1,
        pk_total=3,
        pk_number=2,
        registered=1,
        level=4,
        service_id="HELP",
        msg_src="900001",
        fee_user_type=3,
        fee_phone="13900139000",
        fee_type="02",
        fee_code="000015",
        valid_time="261122100000032+",
        at_time="261122090000032+",
        link_id="linked",
    )
    said = [framed(pdu.SUBMIT, pdu.submit_body(submit, pdu.V3))]
    names = "Pk_total Pk_number Msg_level Fee_UserType Fee_terminal_Id Msg_src FeeType FeeCode"
    names += " Valld_Time At_time Src_Id DestUsr_tl"
    [row] = read(
        tmp_path,
        said,
        *(f"cmpp.submit.{name}" for name in names.split()),
        *("cmpp.Servicd_Id", "cmpp.TP_udhi", "cmpp.Msg_Fmt", "cmpp.Dest_terminal_Id"),
        *("cmpp.Msg_Length", "cmpp.LinkID"),
    )
    assert row == [
        *("3", "2", "4", "3", "13900139000", "900001", "02", "000015"),
        *("261122100000032+", "261122090000032+", "10086", "2"),
        *("HELP", "1", "15", "13800138000,13800138001", "4", "linked"),
    ]


def test_a_report_is_read_field_by_field(tmp_path: Path) -> None:
    report = pdu.Report(0x77, "DELIVRD", "2611221000", "2611221001", "13800138000", 9)
    content = pdu.report_content(report, pdu.V3)
    deliver = pdu.Deliver(0x66, "10086", "13800138000", content, registered=1)
    [row] = read(
        tmp_path,
        [framed(pdu.DELIVER, pdu.deliver_body(deliver, pdu.V3))],
        *("cmpp.deliver.Dest_Id", "cmpp.deliver.Src_terminal_Id", "cmpp.deliver.Report.Status"),
        *("cmpp.deliver.Report.Submit_time", "cmpp.deliver.Report.Done_time"),
        *("cmpp.Report.SMSC_sequence", "cmpp.Dest_terminal_Id", "cmpp.Msg_Id"),
    )
    assert row[:7] == [
        *("10086", "13800138000", "DELIVRD", "2611221000", "2611221001", "9", "13800138000"),
    ]
    assert [int(it, 16) for it in row[7].split(",")] == [0x66, 0x77]


def test_what_has_no_fields_there_has_its_header(tmp_path: Path) -> None:
    counts = pdu.QueryResp("20261122", "HELP", 1, 2, 3, 4, 5, 6, 7, 8)
    said = [
        framed(pdu.QUERY, pdu.query_body(pdu.Query("20261122", "HELP"))),
        framed(pdu.QUERY | 1 << 31, pdu.query_resp_body(counts)),
        framed(pdu.CANCEL, pdu.cancel_body(7)),
        framed(pdu.CANCEL | 1 << 31, pdu.cancel_resp_body(False, pdu.V3)),
    ]
    rows = read(tmp_path, said, "cmpp.Command_Id", "cmpp.Sequence_Id")
    assert [int(row[0], 16) for row in rows] == [6, 0x80000006, 7, 0x80000007]
    assert {row[1] for row in rows} == {"7"}


async def test_a_whole_conversation_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that channel and gateway say to each other, as it stood on the wire."""
    said: list[bytes] = []
    flush = Wire.flush

    def overheard(self: Wire) -> None:
        octets = b"".join(self._out)
        while octets:
            length = int.from_bytes(octets[:4], "big")
            said.append(octets[:length])
            octets = octets[length:]
        flush(self)

    monkeypatch.setattr(Wire, "flush", overheard)
    exchange = CmppExchange(ExchangeSettings(receipt_delay_s=0.01))
    await exchange.start()
    settings = CmppSettings(
        host="127.0.0.1",
        port=exchange.port,
        sp_id="900001",
        secret="888888",
        source="10086",
        test_after_s=0.05,
    )
    channel, kept = CmppChannel("sms", settings), Kept()
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")
    texts = ["hello", "您好" * 100, "x" * 300]
    await channel.send(
        [Outgoing(it, it, NUMBER, Content(text=words)) for it, words in enumerate(texts)]
    )
    exchange.handset(NUMBER).say("退订" * 50, "10086")
    await until(lambda: len(kept.receipts) == 3 and kept.replies)
    await asyncio.sleep(0.4)
    await channel.stop()
    await exchange.stop()

    rows = read(tmp_path, said, "cmpp.Command_Id", "cmpp.connect_resp.Status", "cmpp.Msg_Fmt")
    commands = [int(row[0], 16) for row in rows]
    wanted = {pdu.CONNECT, pdu.SUBMIT, pdu.DELIVER, pdu.ACTIVE_TEST, pdu.TERMINATE}
    assert set(commands) == wanted | {it | 1 << 31 for it in wanted}
    assert commands.count(pdu.SUBMIT) == 1 + 3 + 2
    assert commands.count(pdu.SUBMIT | 1 << 31) == 6
    assert commands.count(pdu.DELIVER) == 3 + 2
    assert {row[2] for row in rows if int(row[0], 16) == pdu.SUBMIT} == {"0", "8"}
