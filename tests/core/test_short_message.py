"""Text in SMS: reference bytes, the edges, and two independent libraries as oracles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gsm0338
import pytest
import smsutil
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.core import short_message

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "channels" / "vectors.json").read_text()
)

GSM = "".join(
    chr(code) for code in range(0x20AD) if code != 0x1B and smsutil.is_valid_gsm(chr(code))
)
ORACLE = gsm0338.Codec()


def lengths(words: str) -> list[int]:
    coded = short_message.split(words)
    return [len(part) - (6 if len(coded.parts) > 1 else 0) for part in coded.parts]


def test_extension_characters_are_escape_pairs_as_kannel_sends_them() -> None:
    vector = VECTORS["gsm7_ext_single"]
    assert short_message.encode(vector["text"]) == (
        short_message.GSM7,
        bytes.fromhex(vector["hex"]),
    )


def test_two_parts_have_the_header_that_kannel_gives_them() -> None:
    vector = VECTORS["gsm7_concat_2"]
    coded = short_message.split(vector["text"], reference=1)
    assert coded.data_coding == short_message.GSM7
    assert [part.hex() for part in coded.parts] == vector["hex"]


def test_an_escape_pair_moves_to_the_next_part_whole_as_in_kannel() -> None:
    vector = VECTORS["gsm7_ext_not_split"]
    coded = short_message.split(vector["text"], reference=2)
    assert lengths(vector["text"]) == vector["segments_payload_len"]
    assert coded.parts[1].hex() == vector["part2_hex"]


def test_chinese_is_utf_16_as_kannel_sends_it() -> None:
    vector = VECTORS["ucs2_single"]
    assert short_message.encode(vector["text"]) == (
        short_message.UCS2,
        bytes.fromhex(vector["hex"]),
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", [0]),
        ("a" * 160, [160]),
        ("a" * 161, [153, 8]),
        ("a" * 158 + "€", [160]),
        ("a" * 159 + "€", [153, 8]),
        ("€" * 80, [160]),
        ("€" * 81, [152, 10]),
        ("a" * 152 + "€" + "b" * 20, [152, 22]),
        ("中" * 70, [140]),
        ("中" * 71, [134, 8]),
        ("中" * 66 + "😀" + "中" * 4, [132, 12]),
        ("中" * 67 * 2, [134, 134]),
        ("ç", [2]),
        ("`", [2]),
        ("Ç", [1]),
        ("\f", [2]),
        ("\n\r", [2]),
    ],
)
def test_parts_are_as_long_as_the_air_allows(words: str, expected: list[int]) -> None:
    assert lengths(words) == expected


@pytest.mark.parametrize("words", ["\x1b", "hello \x1b[31m", "您好\x1b", "\ud83d", "中\udc00文"])
def test_an_escape_character_and_half_an_emoji_are_refused_with_the_reason(words: str) -> None:
    with pytest.raises(short_message.TextError) as refused:
        short_message.split(words)
    assert refused.value.hint


def test_255_parts_go_out_and_256_are_refused() -> None:
    assert len(short_message.split("a" * 153 * 255).parts) == 255
    with pytest.raises(short_message.TextError, match="256 SMS parts"):
        short_message.split("a" * (153 * 255 + 1))


def test_a_thousand_emojis_are_all_whole() -> None:
    coded = short_message.split("😀" * 1000)
    payloads = [part[6:] for part in coded.parts]
    assert all(len(payload) <= 134 for payload in payloads)
    assert "".join(short_message.decode(8, payload) for payload in payloads) == "😀" * 1000


@given(st.text(st.sampled_from(GSM), min_size=1, max_size=700))
@example("€" * 400)
def test_gsm_text_is_coded_and_cut_as_the_oracles_do(words: str) -> None:
    data_coding, octets = short_message.encode(words)
    assert data_coding == short_message.GSM7
    assert octets == ORACLE.encode(words)[0] == smsutil.encode(words)
    assert short_message.decode(0, octets) == words
    parts = smsutil.split(words).parts
    assert lengths(words) == [part.bytes for part in parts]


@given(st.text(min_size=1, max_size=300))
@example("中" * 66 + "😀" * 30)
def test_any_text_is_coded_and_cut_as_smsutil_does(words: str) -> None:
    try:
        coded = short_message.split(words)
    except short_message.TextError:
        assert "\x1b" in words or any(0xD800 <= ord(char) <= 0xDFFF for char in words)
        return
    split = smsutil.split(words)
    assert (coded.data_coding == short_message.GSM7) == (split.encoding == "gsm0338")
    assert lengths(words) == [part.bytes for part in split.parts]
    header = 6 if len(coded.parts) > 1 else 0
    joined = "".join(short_message.decode(coded.data_coding, part[header:]) for part in coded.parts)
    assert joined == words.replace("\0", "\ufffd")


@given(st.integers(0, 255), st.binary(max_size=300))
def test_whatever_comes_in_is_read_as_something_a_store_takes(coding: int, octets: bytes) -> None:
    words = short_message.decode(coding, octets)
    assert "\0" not in words
    words.encode()


@pytest.mark.parametrize(
    ("coding", "octets", "words"),
    [
        (0, b"\x1b\x65\x00", "€@"),
        (0, b"\x1b", " "),
        (0, b"\x1bA", "A"),
        (0, b"\xff", "\ufffd"),
        (1, b"a@", "a@"),
        (3, b"\xe7", "ç"),
        (8, "您好".encode("utf-16-be"), "您好"),
        (0xF0, b"\x00", "@"),
        (0x18, "好".encode("utf-16-be"), "好"),
        (8, b"\xd8\x3d", "\ufffd"),
    ],
)
def test_data_codings_are_read_as_the_specification_says(
    coding: int, octets: bytes, words: str
) -> None:
    assert short_message.decode(coding, octets) == words
