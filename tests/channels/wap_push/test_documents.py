"""Push documents octet by octet, against what a real gateway sent, and hostile ones."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from channels.wap_push import carriage, wbxml
from channels.wap_push.dialects import SI, SL
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
from channels.wap_push.tree import Element, PushError

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())

OFFER = Indication(
    "June offer",
    "http://www.example.com/offer/1",
    "signal-high",
    "offer1",
    datetime(2024, 1, 5, 10, 30, tzinfo=UTC),
    datetime(2024, 2, 5, tzinfo=UTC),
)
NEWS = Indication("您有一条新账单", "http://wap.example.cn/a")
START = Loading("http://www.example.com/offer/1", "execute-high")

words = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"
    ),
    min_size=1,
)
links = st.builds(
    "{}{}{}".format,
    st.sampled_from(["http://", "https://", "http://www.", "https://www."]),
    st.sampled_from(["a.com/", "a.org", "b.net/x.com/y.edu/", "例.cn/", ""]),
    words,
)
moments = st.none() | st.integers(0, 250_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))
documents: st.SearchStrategy[Document] = st.one_of(
    st.builds(Indication, words, links, st.sampled_from(SIGNALS), words, moments, moments),
    st.builds(Loading, links, st.sampled_from(EXECUTES)),
    st.builds(
        Bookmarks,
        st.lists(st.builds(Bookmark, words, links, st.booleans()), min_size=1).map(tuple),
        words,
    ),
)


def octets(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name]["hex"])


@pytest.mark.parametrize(
    ("name", "document"), [("wbxml_si_all_attrs", OFFER), ("wbxml_si_zh", NEWS)]
)
def test_a_notice_is_octet_for_octet_what_kannel_makes_of_it(name: str, document: Document) -> None:
    assert encode(document)[1] == octets(name)
    assert decode(octets(name)) == document


def test_kannels_empty_string_after_a_token_is_read_and_not_written() -> None:
    least = Element("indication", (("href", "http://www.example.com/"),), ("Hi",))
    kannels = octets("wbxml_si_minimal")
    assert decode(kannels) == Indication("Hi", "http://www.example.com/")
    ours = wbxml.encode(SI, Element("si", (), (least,)))
    assert ours == kannels.replace(b"\x85\x03\x00", b"\x85")


def test_kannel_has_one_token_less_for_links_to_load() -> None:
    kannels = replace(SL, starts=tuple(it for it in SL.starts if it.prefix != "http://www."))
    assert wbxml.encode(kannels, tree(START)[1]) == octets("wbxml_sl")
    assert decode(octets("wbxml_sl")) == START
    assert encode(START)[1] == octets("wbxml_sl").replace(b"\x09\x03www.", b"\x0a\x03")


def test_a_push_is_octet_for_octet_what_kannel_sends_to_the_port() -> None:
    [part] = carriage.parts(carriage.push(*encode(OFFER)), 0)
    assert part == octets("si_push_sms_ud")
    assert carriage.port(part[1:7]) == carriage.PUSH_PORT
    assert decode(carriage.unpush(part[7:])) == OFFER


@given(documents)
def test_what_is_written_is_read_again(document: Document) -> None:
    dialect, body = encode(document)
    assert decode(body) == document
    assert decode(carriage.unpush(carriage.push(dialect, body))) == document


@given(st.integers(0, 30_000), st.integers(0, 1000))
@example(133, 0)
@example(134, 0)
def test_parts_fit_on_the_air_and_make_the_push_again(length: int, reference: int) -> None:
    pushed = bytes(number % 251 for number in range(length))
    parts = carriage.parts(pushed, reference)
    assert all(len(part) <= 140 for part in parts)
    header = parts[0][0] + 1
    assert b"".join(part[header:] for part in parts) == pushed
    assert all(carriage.port(part[1:header]) == carriage.PUSH_PORT for part in parts)
    assert (len(parts) == 1) == (length <= 133)
    if len(parts) > 1:
        assert parts[-1][header - 5 : header] == bytes(
            (0, 3, reference & 0xFF, len(parts), len(parts))
        )


def test_a_push_of_more_than_255_messages_is_refused() -> None:
    with pytest.raises(PushError):
        carriage.parts(bytes(128 * 255 + 1), 0)


@pytest.mark.parametrize(
    ("words", "named"), [("a\0b", "0000"), ("\ud800", "D800"), ("\x1b", "001B")]
)
def test_what_xml_cannot_carry_is_refused_with_the_character(words: str, named: str) -> None:
    with pytest.raises(PushError, match=f"U\\+{named}"):
        encode(replace(NEWS, text=words))


@given(st.binary(max_size=300))
@example(b"\x02\x05\x6a\x00\x45\xc6\x0c\x83\xff\xff\xff\xff\xff\xff")
@example(b"\x02\x00\x00\x6a\x05SI\x00" + b"\x45" * 60)
@example(b"\x02\x05\x6a\x00" + b"\x45" * 200)
@example(octets("wbxml_si_all_attrs")[:-1])
@example(octets("wbxml_si_all_attrs") + b"\0")
@example(b"\x02\x05\x6a\x00\x45\xc6\x0a\xc3\x04\xff\xff\xff\xff\x01\x01\x01")
@example(b"\x02\x05\x6a\x00\x45\xc6\x0a\xc3\x04\x20\x24\x99\x99\x01\x01\x01")
@example(b"\x02\x05\x6a\x00\x45\xc6\x0b\x02\x8f\xff\xff\xff\x7f\x01\x01\x01")
def test_any_octets_make_a_document_or_a_push_error(hostile: bytes) -> None:
    for read in (decode, carriage.unpush, lambda it: decode(octets("wbxml_si_zh")[:7] + it)):
        with suppress(PushError):
            read(hostile)


@given(st.data())
def test_a_push_with_octets_changed_makes_a_document_or_a_push_error(data: st.DataObject) -> None:
    changed = bytearray(octets("wbxml_si_all_attrs"))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with suppress(PushError):
        decode(bytes(changed))


def test_a_text_that_is_named_again_and_again_does_not_grow_without_end() -> None:
    table = b"x" * 20_000 + b"\0"
    bomb = b"\x02\x05\x6a" + b"\x81\x9c\x21" + table + b"\x45\x46" + b"\x83\x00" * 20_000
    with pytest.raises(PushError, match="too long"):
        decode(bomb + b"\x01\x01")


def test_the_string_table_and_entities_are_read() -> None:
    body = b"\x03\x05\x6a\x08http://\0\x45\xc6\x0b\x83\x00\x03x\0\x01\x83\x04\x02\x41\x01\x01"
    assert decode(body) == Indication("://A", "http://x")
