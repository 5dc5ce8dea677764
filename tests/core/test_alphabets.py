"""National language tables: Turkish, Hindi, Urdu and others in septets."""

from __future__ import annotations

import gsm0338
import pytest
from gsmcodecs.charmaps import GSMCHARMAPS
from hypothesis import given
from hypothesis import strategies as st

from channels.sms import pdu
from channels.sms.reassembly import Reassembly, unwrap
from orchestrator.core import alphabets, indic, short_message
from orchestrator.core.alphabets import Tables

SPANISH = gsm0338.Codec(single_shift_decode_map=gsm0338.SINGLE_SHIFT_CHARACTER_SET_SPANISH)
ALL = ("tr", "es", "pt")

# Characters, their table and their septets, by 3GPP TS 23.038 annex A.2 and A.3.
KNOWN = [
    ("Şş", Tables(single=1), "1b531b73"),
    ("Ğİğı", Tables(single=1), "1b471b491b671b69"),
    ("Şşİçı€", Tables(locking=1), "1c1d40600704"),
    ("ãõçâ", Tables(single=3), "1b7b1b7c1b091b7f"),
    ("ãõçâ∞ªº", Tables(locking=3), "7b7c091d151224"),
    ("áÁ", Tables(single=3), "1b0f1b0e"),
    ("áÁ", Tables(single=2), "1b611b41"),
]


@pytest.mark.parametrize(("words", "tables", "septets"), KNOWN)
def test_characters_stand_where_the_specification_has_them(
    words: str, tables: Tables, septets: str
) -> None:
    assert tables.encode(words) == bytes.fromhex(septets)
    assert tables.decode(bytes.fromhex(septets)) == words


def test_every_table_has_its_128_places_and_an_escape_among_them() -> None:
    for table in (alphabets.BASE, *alphabets._LOCKING.values()):
        held = table.replace(indic.UNDEFINED, "")
        assert len(table) == 128
        assert len(held) == len(set(held))
        assert table[alphabets.ESCAPE] == "\x1b"


SLIPS = {
    **{(code, "locking", 0x2C): ("'", ",") for code in range(4, 14)},
    (7, "locking", 0x24): ("\u0caa", "\u0ca1"),
}
"""Where gsmcodecs 1.0.0 says otherwise, and what we say: see `core.indic`."""


@pytest.mark.parametrize("code", range(14))
def test_every_septet_of_every_table_is_what_gsmcodecs_reads_in_the_specification(
    code: int,
) -> None:
    theirs = GSMCHARMAPS[code]
    main = alphabets._LOCKING.get(code, alphabets.BASE)
    shifted = alphabets._SHIFTED[code]
    for septet in range(128):
        if septet == alphabets.ESCAPE:
            continue
        if "locking" in theirs:
            known = theirs["locking"]["decode"].get(septet)
            said = indic.UNDEFINED if known is None else chr(known)
            other, ours = SLIPS.get((code, "locking", septet), (said, said))
            assert (said, main[septet]) == (other, ours), hex(septet)
        known = theirs["singleShift"]["decode"].get(septet)
        assert shifted.get(septet) == (None if known is None else chr(known)), hex(septet)


@given(st.text(st.sampled_from("".join(SPANISH._encoding_map).replace("\x1b", "")), max_size=300))
def test_spanish_is_written_and_read_as_gsm0338_does(words: str) -> None:
    octets = SPANISH.encode(words)[0]
    assert Tables(single=2).encode(words) == octets
    assert Tables(single=2).decode(octets) == words


@given(
    st.sampled_from([tables for ways in alphabets.WAYS.values() for tables in ways]).flatmap(
        lambda tables: st.tuples(
            st.just(tables),
            st.text(
                st.sampled_from([chr(code) for code in alphabets._ENCODING[tables]]), max_size=400
            ),
        )
    )
)
def test_what_a_table_writes_it_reads(case: tuple[Tables, str]) -> None:
    tables, words = case
    octets = tables.encode(words)
    assert octets is not None
    assert tables.decode(octets) == words


def arrives(coded: short_message.Coded) -> str:
    """What a phone makes of these parts."""
    kept: Reassembly[None] = Reassembly()
    for part in coded.parts:
        message = pdu.SubmitSm(
            esm_class=pdu.HAS_HEADER if coded.headed else 0,
            data_coding=coded.data_coding,
            short_message=part,
        )
        fragment, coding, octets = unwrap(message)
        if fragment is None:
            return short_message.decode(coding, octets)
        whole = kept.add(message, fragment, coding, octets, None, 0.0)
        if whole is not None:
            return whole.text
    raise AssertionError("parts are missing")


@given(
    st.text(st.sampled_from("abc ğüşıöçĞŞİÖÇ áéíóúñÁÉ ãõâêôçÃÕ{}€中\n"), min_size=1, max_size=500),
    st.booleans(),
)
def test_any_text_arrives_whole_in_no_more_parts_than_without(words: str, wide: bool) -> None:
    coded = short_message.split(words, 7, wide=wide, languages=ALL)
    plain = short_message.split(words, 7, wide=wide)
    assert arrives(coded) == words
    assert len(coded.parts) <= len(plain.parts)
    if coded.tables == Tables():
        assert coded == plain
    else:
        assert len(coded.parts) < len(plain.parts)
        for part in coded.parts:
            header = part[0] + 1
            assert header * 8 + (len(part) - header) * 7 <= short_message.MAX_OCTETS * 8


def test_a_language_is_chosen_only_where_it_takes_fewer_parts() -> None:
    short, long = "çünkü", "çünkü şimdi değil " * 6
    assert short_message.split(short, languages=ALL).data_coding == short_message.UCS2
    coded = short_message.split(long, languages=ALL)
    assert (coded.data_coding, len(coded.parts), len(short_message.split(long).parts)) == (0, 1, 2)
    assert coded.tables == Tables(locking=1)
    assert coded.parts[0][:4] == bytes.fromhex("03250101")
    assert short_message.split(long, languages=("es",)).data_coding == short_message.UCS2


def test_a_long_text_names_its_table_in_every_part() -> None:
    coded = short_message.split("mañana será otro día; " * 20, 0x2A, languages=("es",))
    assert coded.tables == Tables(single=2)
    total = len(coded.parts)
    for number, part in enumerate(coded.parts, 1):
        assert part[:9] == bytes((8, 0, 3, 0x2A, total, number, 0x24, 1, 2))


def test_a_text_that_needs_no_table_is_as_ever() -> None:
    for words in ("hello", "a" * 400, "Ç@£", "中文" * 80):
        assert short_message.split(words, languages=ALL) == short_message.split(words)


def test_tables_of_languages_we_do_not_know_are_read_as_the_default() -> None:
    message = pdu.DeliverSm(esm_class=0x40, short_message=bytes.fromhex("0625010e24010e") + b"hi")
    fragment, coding, octets = unwrap(message)
    assert fragment is None
    assert short_message.decode(coding, octets) == "hi"


HINDI = "नमस्ते प्रिया! आपके खाते में 50 अंक जुड़ गए हैं। शेष राशि जानने के लिए BAL लिखें, "
URDU = "السلام علیکم! آپ کے کھاتے میں ایک سو روپے جمع ہو چکے ہیں، تفصیل کے لیے جواب دیں۔ "


@pytest.mark.parametrize(("words", "language", "parts"), [(HINDI, "hi", 1), (URDU, "ur", 1)])
def test_a_text_of_india_takes_one_part_where_it_took_two(
    words: str, language: str, parts: int
) -> None:
    coded = short_message.split(words, languages=(language,))
    assert (len(coded.parts), len(short_message.split(words).parts)) == (parts, 2)
    assert coded.tables.locking == alphabets.CODES[language]
    assert arrives(coded) == words


def test_what_a_table_does_not_hold_is_not_written_in_it() -> None:
    assert Tables(locking=11).encode("\ufffd") is None
    assert Tables(locking=11).decode(b"\x09") == "\ufffd"
    assert Tables(single=12).encode("€") is None
    assert Tables(6, 6).encode("A है") == bytes.fromhex("1b41204d5a")


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200))
def test_whatever_the_header_says_is_read(locking: int, single: int, octets: bytes) -> None:
    assert "\0" not in short_message.decode(
        short_message.coding(0, Tables(locking, single)), octets
    )
