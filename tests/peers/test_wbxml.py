"""Our WBXML against libwbxml's: hundreds of documents, octet by octet, and read back."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from lxml import etree

from channels.pap.parcel import content
from channels.wap_push.dialects import PROVISIONING
from channels.wap_push.documents import (
    EXECUTES,
    SIGNALS,
    Bookmark,
    Bookmarks,
    Document,
    Indication,
    Loading,
    decode,
    encode,
    tree,
)
from channels.wap_push.tree import Element
from tests.peers.programs import require

PACKAGE = "libwbxml2-utils"
SCHEMES = ("http://", "https://", "http://www.", "https://www.")
HOSTS = ("example.com/", "a.net/b.org/", "x.edu/y.com", "wap.example.cn/", ".com/.com/", "例.cn/")
PATHS = ("", "offer/1", "a?b=1&c=%20<>'", "index.com/", "中文/😀")
WORDS = (
    "June offer",
    "Hi",
    "您有一条新账单",
    "5 < 6 & 7 > 2",
    "“q” 'r' \"s\"",
    "http://www.a.com/",
    "😀",
)
STAMPS = (None, "2024-02-05T00:00:00Z", "2024-01-05T10:30:00Z", "1999-12-31T23:59:59Z",
          "2030-10-10T10:00:00Z", "2000-01-01T00:00:01Z")  # fmt: skip


def generated(count: int) -> list[Document]:
    """Documents of each type, the same at every run."""
    chance = Random(2948)

    def link() -> str:
        return chance.choice(SCHEMES) + chance.choice(HOSTS) + chance.choice(PATHS)

    def stamp() -> datetime | None:
        written = chance.choice(STAMPS)
        if written is None:
            return None
        return datetime.strptime(written, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

    def words() -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(1, 4)))

    made: list[Document] = []
    for number in range(count):
        kind = number % 4
        if kind < 2:
            si_id = chance.choice(("", "offer1", "x.com/1", "s7k2m"))
            action = chance.choice(SIGNALS)
            made.append(Indication(words(), link(), action, si_id, stamp(), stamp()))
        elif kind == 2:
            made.append(Loading(link(), chance.choice(EXECUTES)))
        else:
            marks = [
                Bookmark(words(), link(), chance.random() < 0.3)
                for _ in range(chance.randint(1, 4))
            ]
            made.append(Bookmarks(tuple(marks), chance.choice(("", "Shop", "商店"))))
    return made


def as_xml(document: Document) -> bytes:
    """The document as a gateway would get it, or as XML too where that goes as octets."""
    dialect, root = tree(document)
    if dialect is not PROVISIONING:
        return content(document).octets

    def made(it: Element) -> etree._Element:
        element = etree.Element(it.name, dict(it.attributes))
        element.extend(made(child) for child in it.children if isinstance(child, Element))
        return element

    doctype = f'<!DOCTYPE {dialect.root} PUBLIC "{dialect.doctype}" "{dialect.system}">'
    octets: bytes = etree.tostring(
        made(root), encoding="UTF-8", xml_declaration=True, doctype=doctype
    )
    return octets


@pytest.mark.parametrize("kind", range(4))
def test_libwbxml_makes_the_same_octets_and_reads_ours(kind: int, tmp_path: Path) -> None:
    writer, reader = require("xml2wbxml", PACKAGE), require("wbxml2xml", PACKAGE)
    xml, wbxml = tmp_path / "it.xml", tmp_path / "it.wbxml"
    for document in generated(400)[kind::4]:
        xml.write_bytes(as_xml(document))
        subprocess.run(
            [writer, "-n", "-k", "-v", "1.2", "-o", str(wbxml), str(xml)],
            check=True,
            capture_output=True,
        )
        theirs = wbxml.read_bytes()
        assert encode(document)[1] == theirs, document
        assert decode(theirs) == document
    wbxml.write_bytes(encode(document)[1])
    said = subprocess.run([reader, "-o", "-", str(wbxml)], check=True, capture_output=True).stdout
    assert etree.fromstring(said).tag == tree(document)[1].name
