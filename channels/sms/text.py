"""Text as SMS carries it: the GSM 7-bit default alphabet, UCS-2, and long messages in parts.

Sources: GSM 03.38 §6.2.1 (alphabet and extension table); GSM 03.40 §9.2.3.24.1 and .8
(concatenation with 8- and 16-bit references). In SMPP `data_coding` 0 carries one septet per octet
(unpacked), which is what Kannel and most carriers do.
"""

from __future__ import annotations

import codecs

from msgspec import Struct

from orchestrator.core.errors import OutreachError

GSM7 = 0
"""`data_coding` of the carrier's default alphabet."""
UCS2 = 8
"""`data_coding` of UTF-16, big endian (SMPP 3.4 §5.2.19)."""

MAX_PARTS = 255
"""The part counter of a concatenation header is one octet."""

_BASE = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
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
_ESCAPE = 0x1B

_ENCODING: dict[int, int | bytes] = {
    **{ord(char): septet for septet, char in enumerate(_BASE) if septet != _ESCAPE},
    **{ord(char): bytes((_ESCAPE, septet)) for char, septet in _EXTENSION.items()},
}
_SLOW = 0x80
"""Marks, in the table for plain ASCII, what is not one septet."""
_ASCII = bytes(
    septet if isinstance(septet := _ENCODING.get(code, _SLOW), int) else _SLOW
    for code in range(256)
)
_UNESCAPED = _BASE.replace("\x1b", " ") + "\ufffd" * 128
_ESCAPED = {septet: char for char, septet in _EXTENSION.items()}

MAX_OCTETS = 140
"""Of one short message on the air, its user data header included."""

_GSM7_WHOLE, _GSM7_PART = 160, 153
_UCS2_WHOLE, _UCS2_PART = 140, 134


class TextError(OutreachError):
    """The text cannot be sent as SMS at all; the message says why."""


class Coded(Struct, frozen=True):
    """A text ready for `short_message`: one entry per part, each with its user data header when
    there are several (then `esm_class` needs 0x40)."""

    data_coding: int
    parts: tuple[bytes, ...]


def encode(text: str) -> tuple[int, bytes]:
    """The text in the smallest coding that holds it: GSM 7-bit (unpacked) or UCS-2.

    Raises TextError for U+001B, which a phone would read as an escape, and for lone surrogates,
    which are not text.
    """
    if text.isascii():
        septets = text.encode().translate(_ASCII)
        if _SLOW not in septets:
            return GSM7, septets
        if "\x1b" in text:
            raise _refused_escape()
    elif "\x1b" in text:
        raise _refused_escape()
    try:
        return GSM7, codecs.charmap_encode(text, "strict", _ENCODING)[0]
    except UnicodeEncodeError:
        pass
    try:
        return UCS2, text.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise TextError(
            f"the text has half of a surrogate pair at position {error.start}",
            "Send whole characters: this usually comes from cutting a text in the middle of an "
            "emoji.",
        ) from None


def split(text: str, reference: int = 0) -> Coded:
    """The text as the parts that go out, each within 140 octets on the air.

    Up to 160 septets or 70 UTF-16 units are one part; longer texts have 153 or 67 in each. An
    escape pair and a surrogate pair never straddle two parts. Raises TextError over 255 parts.
    """
    data_coding, octets = encode(text)
    if len(octets) <= (_GSM7_WHOLE if data_coding == GSM7 else _UCS2_WHOLE):
        return Coded(data_coding, (octets,))
    pieces = _cut_septets(octets) if data_coding == GSM7 else _cut_units(octets)
    total = len(pieces)
    if total > MAX_PARTS:
        raise TextError(
            f"the text needs {total} SMS parts; the most there can be is {MAX_PARTS}",
            "Shorten the text, or put the long form behind a link.",
        )
    header = bytes((5, 0, 3, reference & 0xFF, total))
    return Coded(
        data_coding,
        tuple(header + bytes((number,)) + piece for number, piece in enumerate(pieces, 1)),
    )


def decode(data_coding: int, octets: bytes) -> str:
    """What these octets (without user data header) say. Never raises: what cannot be read becomes
    U+FFFD, and so does U+0000, which no store takes.

    `data_coding` as in SMPP 3.4 §5.2.19, and 15 as carriers in China use it; 0xF0–0xFF and
    0x00–0x3F groups follow GSM 03.38 §4.
    """
    name = _CODECS.get(data_coding)
    if name is None and data_coding >= 0x10:
        alphabet = data_coding & 0x0C if data_coding < 0xF0 else data_coding & 0x04
        name = {0x00: "gsm7", 0x08: "utf-16-be"}.get(alphabet)
    if name == "gsm7":
        return _from_septets(octets)
    text = octets.decode(name or "latin-1", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


_CODECS = {
    0: "gsm7",
    1: "ascii",
    3: "latin-1",
    5: "shift_jis",
    6: "iso8859-5",
    7: "iso8859-8",
    8: "utf-16-be",
    14: "euc_kr",
    15: "gb18030",
}


def _refused_escape() -> TextError:
    return TextError(
        "the text has the control character U+001B (escape)",
        "Take it out: a phone would swallow the character after it.",
    )


def _cut_septets(octets: bytes) -> list[bytes]:
    pieces, start, end = [], 0, len(octets)
    while start < end:
        stop = start + _GSM7_PART
        if stop < end and octets[stop - 1] == _ESCAPE:
            stop -= 1
        pieces.append(octets[start:stop])
        start = stop
    return pieces


def _cut_units(octets: bytes) -> list[bytes]:
    pieces, start, end = [], 0, len(octets)
    while start < end:
        stop = start + _UCS2_PART
        if stop < end and 0xD8 <= octets[stop - 2] <= 0xDB:
            stop -= 2
        pieces.append(octets[start:stop])
        start = stop
    return pieces


def _from_septets(octets: bytes) -> str:
    if _ESCAPE not in octets:
        return codecs.charmap_decode(octets, "strict", _UNESCAPED)[0]
    chars = []
    rest = iter(octets)
    for octet in rest:
        if octet == _ESCAPE:
            octet = next(rest, 0x20)
            # GSM 03.38 §6.2.1.1: an unknown extension shows as the character of the main table.
            chars.append(_ESCAPED.get(octet) or _UNESCAPED[octet])
        else:
            chars.append(_UNESCAPED[octet])
    return "".join(chars)
