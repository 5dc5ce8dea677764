"""What goes to a phone's push port, as Wireshark reads it: SMPP, user data header, WSP, WBXML and,
of our MMS centre's notifications, MMSE."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels.carriers import mm1
from channels.carriers.mm1 import Notification
from channels.sms import codec, pdu
from channels.wap_push import carriage, documents
from channels.wap_push.documents import Bookmark, Bookmarks, Document, Indication, Loading
from tests.peers.programs import require

PACKAGE = "tshark"
PORT = 2775
NOTICE = Indication(
    "June offer",
    "http://www.example.com/offer/1",
    "signal-high",
    "offer1",
    datetime(2024, 1, 5, 10, 30, tzinfo=UTC),
    datetime(2024, 2, 5, tzinfo=UTC),
)
LONG = Indication("五大入口任您选，" * 20, "https://www.example.org/a", "signal-low", "s1")
LOAD = Loading("https://example.net/x", "execute-high")
SHOP = Bookmarks((Bookmark("Shop", "http://www.example.com/", home=True),), "Shop")


def pushed(document: Document) -> bytes:
    """The WSP push of a document."""
    return carriage.push(*documents.encode(document))


def submits(push: bytes) -> Iterator[bytes]:
    """The submit_sm of each part."""
    parts = carriage.parts(push, 7)
    for sequence, part in enumerate(parts, 1):
        body = codec.message_body(
            codec.address(0, 1, "10086"),
            codec.address(1, 1, "8613800138000"),
            pdu.HAS_HEADER,
            1,
            4,
            part,
        )
        header = codec.HEADER.pack(16 + len(body), pdu.SubmitSm.command_id, 0, sequence)
        yield header + body


def dissected(folder: Path, push: bytes) -> str:
    """All that tshark says of the push. Fails if it finds anything malformed."""
    tshark, to_pcap = require("tshark", PACKAGE), require("text2pcap", PACKAGE)
    lines = []
    for octets in submits(push):
        for at in range(0, len(octets), 16):
            lines.append(f"{at:06x} " + " ".join(f"{it:02x}" for it in octets[at : at + 16]))
    text, capture = folder / "said.txt", folder / "said.pcap"
    text.write_text("\n".join(lines) + "\n")
    command = [to_pcap, "-q", "-T", f"40000,{PORT}", str(text), str(capture)]
    subprocess.run(command, check=True, capture_output=True)
    command = [tshark, "-r", str(capture), "-d", f"tcp.port=={PORT},smpp", "-V"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for wrong in ("Malformed", "Unknown Tag", "Unknown attr", "Expert Info (Error"):
        assert wrong not in said, said
    return said


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (
            NOTICE,
            [
                "(2948)",
                "application/vnd.wap.sic",
                "<indication",
                "June offer",
            ],
        ),
        (LONG, ["(2948)", "Reassembled", "<indication"]),
        (LOAD, ["application/vnd.wap.slc", "<sl"]),
        (SHOP, ["application/vnd.wap.connectivity-wbxml", "<characteristic"]),
    ],
)
def test_a_push_is_read_from_the_first_octet_to_the_last(
    tmp_path: Path, document: Document, found: list[str]
) -> None:
    said = dissected(tmp_path, pushed(document))
    for words in found:
        assert words in said, said


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("Your picture", ["Subject: Your picture"]),
        ("五大入口任您选", ["Subject: "]),  # it shows UTF-8 in its own way
        ("五大入口任您选，" * 10, ["Reassembled"]),
    ],
)
def test_the_notification_of_an_mms_is_read_whole(
    tmp_path: Path, subject: str, words: list[str]
) -> None:
    place = "http://mmsc.example/mm7/mm00000001"
    notice = Notification("mm00000001", "10086", subject, 20_480, 86_400, place)
    encoded = mm1.encode(notice)
    assert mm1.location(encoded) == place
    said = dissected(tmp_path, encoded)
    for found in (
        *("(2948)", "MMS Message Encapsulation", "m-notification-ind", "10086/TYPE=PLMN"),
        *("mm00000001", "X-Mms-Message-Size: 20480", f"X-Mms-Content-Location: {place}"),
        *("86400", *words),
    ):
        assert found in said, said
