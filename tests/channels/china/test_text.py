"""Texts as Msg_Fmt 0, 8 and 15, whole and in parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.china import text
from orchestrator.core.short_message import TextError, decode


def said(coded: text.Coded) -> str:
    """What a phone shows."""
    parts = [it[6:] if len(coded.parts) > 1 else it for it in coded.parts]
    return decode(text.on_the_air(coded.data_coding), b"".join(parts))


@pytest.mark.parametrize(
    ("words", "chinese", "msg_fmt", "octets"),
    [
        ("Hello @ $ ~", "ucs2", 0, b"Hello @ $ ~"),
        ("Hello @ $ ~", "gbk", 0, b"Hello @ $ ~"),
        ("您好", "ucs2", 8, bytes.fromhex("60a8597d")),
        ("您好", "gbk", 15, bytes.fromhex("c4fabac3")),
        ("您好😀", "gbk", 8, "您好😀".encode("utf-16-be")),
        ("é", "ucs2", 8, b"\0\xe9"),
        ("a\0b", "ucs2", 8, b"\0a\0\0\0b"),
    ],
)
def test_a_short_text_goes_as_it_is(words: str, chinese: str, msg_fmt: int, octets: bytes) -> None:
    coded = text.split(words, 1, chinese, 159)  # type: ignore[arg-type]
    assert (coded.data_coding, coded.parts) == (msg_fmt, (octets,))


@pytest.mark.parametrize(
    ("words", "chinese", "most_ascii", "lengths"),
    [
        ("x" * 159, "ucs2", 159, [159]),
        ("x" * 160, "ucs2", 159, [159, 13]),
        ("x" * 140, "ucs2", 140, [140]),
        ("x" * 141, "ucs2", 140, [140, 13]),
        ("您" * 70, "ucs2", 140, [140]),
        ("您" * 71, "ucs2", 140, [140, 14]),
        ("您" * 70, "gbk", 140, [140]),
        ("x" + "您" * 70, "gbk", 140, [139, 14]),
        ("😀" * 36, "ucs2", 140, [138, 18]),
    ],
)
def test_a_long_text_goes_in_parts_of_140_octets(
    words: str, chinese: str, most_ascii: int, lengths: list[int]
) -> None:
    coded = text.split(words, 0x2A, chinese, most_ascii)  # type: ignore[arg-type]
    assert [len(part) for part in coded.parts] == lengths
    if len(lengths) > 1:
        assert coded.parts[0][:6] == bytes((5, 0, 3, 0x2A, len(lengths), 1))
        assert coded.parts[1][:6] == bytes((5, 0, 3, 0x2A, len(lengths), 2))
    assert said(coded) == words


@pytest.mark.parametrize("words", ["\x1b", "\ud800", "您" * 20_000])
def test_what_no_phone_could_show_is_refused(words: str) -> None:
    with pytest.raises(TextError):
        text.split(words, 1, "ucs2", 140)


@given(st.text(max_size=400).filter(lambda it: "\x1b" not in it and "\0" not in it))
@pytest.mark.parametrize("chinese", ["ucs2", "gbk"])
def test_every_text_is_shown_as_it_was_written(chinese: str, words: str) -> None:
    try:
        words.encode("utf-16-be")
    except UnicodeEncodeError:
        return
    coded = text.split(words, 1, chinese, 140)  # type: ignore[arg-type]
    assert all(len(part) <= 140 for part in coded.parts)
    assert said(coded) == words
