"""National language tables of the GSM 7-bit alphabet: Turkish, Spanish, Portuguese, and those of
`core.indic`.

Source: 3GPP TS 23.038 §6.2.1.2 and annex A (tables), TS 23.040 §9.2.3.24.15 and .16 (the header
elements that name them). A *locking* table takes the place of the alphabet, a *single* one that of
the extension table: one character after each escape.
"""

from __future__ import annotations

import codecs

from msgspec import Struct

from orchestrator.core import indic

SINGLE_SHIFT, LOCKING_SHIFT = 0x24, 0x25
"""Information element identifiers, each with one octet: the language."""

ESCAPE = 0x1B

BASE = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet by septet (GSM 03.38 §6.2.1)."""
EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
"""What an escape may come before (GSM 03.38 §6.2.1.1). Each single table holds it too, but for the
euro sign of Telugu's."""

_SPOKEN = "tr es pt bn gu hi kn ml or pa ta te ur"
CODES = {name: code for code, name in enumerate(_SPOKEN.split(), 1)} | {"as": 4}
"""National Language Identifiers (3GPP TS 23.038 §6.2.1.2.4) of the languages that we write."""

_LOCKING = {
    1: (
        "@£$¥€éùıòÇ\nĞğ\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bŞşßÉ !\"#¤%&'()*+,-./0123456789:;<=>?İ"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§çabcdefghijklmnopqrstuvwxyzäöñüà"
    ),
    3: (
        "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ !\"#º%&'()*+,-./0123456789:;<=>?Í"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZÃÕÚÜ§~abcdefghijklmnopqrstuvwxyzãõ`üà"
    ),
    **indic.LOCKING,
}


def _at(chars: str, septets: str) -> dict[str, int]:
    return dict(zip(chars, bytes.fromhex(septets), strict=True))


_SINGLE = {
    1: _at("ĞİŞçğış", "47 49 53 63 67 69 73"),
    2: _at("çÁÍÓÚáíóú", "09 41 49 4f 55 61 69 6f 75"),
    3: _at("êçÔôÁáΦΓΩΠΨΣΘÊ", "05 09 0b 0c 0e 0f 12 13 15 16 17 18 19 1f")
    | _at("ÀÍÓÚÃÕÂíóúãõâ", "41 49 4f 55 5b 5c 61 69 6f 75 7b 7c 7f"),
}


class Tables(Struct, frozen=True):
    """Which tables a text is written in: the languages' codes, 0 for the default alphabet's."""

    locking: int = 0
    single: int = 0

    @property
    def header(self) -> bytes:
        """The information elements that name them."""
        locking = bytes((LOCKING_SHIFT, 1, self.locking)) if self.locking else b""
        return bytes((SINGLE_SHIFT, 1, self.single)) + locking if self.single else locking

    def encode(self, text: str) -> bytes | None:
        """The text in septets, one per octet; None if the tables do not hold it."""
        try:
            return codecs.charmap_encode(text, "strict", _ENCODING[self])[0]
        except UnicodeEncodeError:
            return None

    def decode(self, septets: bytes) -> str:
        """What the septets say. Tables of languages that we do not know are the default's, and an
        escape before what no table has is the character alone (3GPP TS 23.038 §6.2.1.1)."""
        main = _LOCKING.get(self.locking, BASE)
        shifted = _SHIFTED.get(self.single, _SHIFTED[0])
        chars: list[str] = []
        rest = iter(septets)
        for septet in rest:
            if septet == ESCAPE:
                septet = next(rest, 0x20)
                chars.append(shifted.get(septet) or _main(main, septet))
            else:
                chars.append(_main(main, septet))
        return "".join(chars)


def _main(table: str, septet: int) -> str:
    return " " if septet == ESCAPE else table[septet] if septet < 0x80 else "\ufffd"


_SHIFTED = {
    **{
        code: {septet: char for char, septet in {**EXTENSION, **own}.items()}
        for code, own in {0: {}, **_SINGLE}.items()
    },
    **indic.SINGLE,
}


def _mapping(tables: Tables) -> dict[int, int | bytes]:
    single = _SHIFTED[tables.single]
    return {
        **{ord(char): bytes((ESCAPE, septet)) for septet, char in single.items()},
        **{
            ord(char): septet
            for septet, char in enumerate(_LOCKING.get(tables.locking, BASE))
            if septet != ESCAPE and char != indic.UNDEFINED
        },
    }


WAYS = {
    language: tuple(
        Tables(locking, single)
        for locking, single in ((0, code), (code, 0), (code, code))
        if locking in (0, *_LOCKING)
    )
    for language, code in CODES.items()
}
"""How a text of each language may be written."""

_ENCODING = {tables: _mapping(tables) for tables in (Tables(), *sum(WAYS.values(), ()))}
