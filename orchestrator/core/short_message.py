"""Text as SMS carries it: the GSM 7-bit default alphabet, UCS-2, and long messages in parts.

Sources: GSM 03.38 §6.2.1 (alphabet and extension table); GSM 03.40 §9.2.3.24.1 and .8
(concatenation with 8- and 16-bit references); national tables are in `core.alphabets`. SMPP's
`data_coding` 0 carries one septet per octet (unpacked), as Kannel and most carriers have it.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from msgspec import Struct

from orchestrator.core.alphabets import BASE, ESCAPE, EXTENSION, WAYS, Tables
from orchestrator.core.errors import OutreachError

GSM7 = 0
"""`data_coding` of the carrier's default alphabet."""
UCS2 = 8
"""`data_coding` of UTF-16, big endian (SMPP 3.4 §5.2.19)."""

MAX_PARTS = 255
"""The part counter of a concatenation header is one octet."""

_ENCODING: dict[int, int | bytes] = {
    **{ord(char): septet for septet, char in enumerate(BASE) if septet != ESCAPE},
    **{ord(char): bytes((ESCAPE, septet)) for char, septet in EXTENSION.items()},
}
_SLOW = 0x80
"""Marks, in the table for plain ASCII, what is not one septet."""
_ASCII = bytes(
    septet if isinstance(septet := _ENCODING.get(code, _SLOW), int) else _SLOW
    for code in range(256)
)
_UNESCAPED = BASE.replace("\x1b", " ") + "\ufffd" * 128
_ESCAPED = {septet: char for char, septet in EXTENSION.items()}

MAX_OCTETS = 140
"""Of one short message on the air, its user data header included."""

_GSM7_WHOLE, _UCS2_WHOLE = 160, 140


class TextError(OutreachError):
    """The text cannot be sent as SMS at all; the message says why."""


class Coded(Struct, frozen=True):
    """A text ready for `short_message`: one entry per part. With `headed`, each begins with a user
    data header (then `esm_class` needs 0x40); `tables` are those that the headers name."""

    data_coding: int
    parts: tuple[bytes, ...]
    headed: bool = False
    tables: Tables = Tables()

    def bare(self) -> list[bytes]:
        """The parts without their headers."""
        return [part[part[0] + 1 :] for part in self.parts] if self.headed else list(self.parts)


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


def split(
    text: str, reference: int = 0, *, wide: bool = False, languages: Sequence[str] = ()
) -> Coded:
    """The text as the parts that go out, each within 140 octets on the air.

    Up to 160 septets or 70 UTF-16 units are one part; longer texts have 153 or 67 in each, with a
    `wide` (16-bit) reference 152 or 66. An escape pair and a surrogate pair never straddle two
    parts. What would need UTF-16 is written in the national tables of one of `languages` (`tr`,
    `es`, `pt`) where that takes fewer parts. Raises TextError over 255 parts.
    """
    data_coding, octets = encode(text)
    if data_coding == GSM7:
        if len(octets) <= _GSM7_WHOLE:
            return Coded(GSM7, (octets,))
        pieces = _cut_septets(octets, _septets(7 if wide else 6))
    elif len(octets) <= _UCS2_WHOLE:
        return Coded(UCS2, (octets,))
    else:
        pieces = _cut_units(octets, 132 if wide else 134)
        if languages and (found := _national(text, reference, wide, languages, len(pieces))):
            return found
    return Coded(data_coding, _headed(pieces, reference, wide), headed=True)


def _national(
    text: str, reference: int, wide: bool, languages: Sequence[str], under: int
) -> Coded | None:
    """The text in the tables that take the fewest parts, if those are fewer than `under`."""
    best: tuple[int, int, Tables, list[bytes]] | None = None
    for tables in (tables for language in languages for tables in WAYS[language]):
        septets = tables.encode(text)
        if septets is None:
            continue
        header = 1 + len(tables.header)
        pieces = [septets]
        if len(septets) > _septets(header):
            pieces = _cut_septets(septets, _septets(header + (6 if wide else 5)))
        cost = len(pieces), len(septets) + len(pieces) * header
        if cost[0] < under and (best is None or cost < best[:2]):
            best = (*cost, tables, pieces)
    if best is None:
        return None
    _, _, tables, pieces = best
    parts = _headed(pieces, reference, wide, tables.header)
    return Coded(GSM7, parts, headed=True, tables=tables)


def _headed(
    pieces: Sequence[bytes], reference: int, wide: bool, elements: bytes = b""
) -> tuple[bytes, ...]:
    """Each piece after its user data header: which part it is, if there are several, and these
    information elements."""
    total = len(pieces)
    if total > MAX_PARTS:
        raise TextError(
            f"the text needs {total} SMS parts; the most there can be is {MAX_PARTS}",
            "Shorten the text, or put the long form behind a link.",
        )
    if total == 1:
        return (bytes((len(elements),)) + elements + pieces[0],)
    if wide:
        start = bytes((6 + len(elements), 8, 4, reference >> 8 & 0xFF, reference & 0xFF, total))
    else:
        start = bytes((5 + len(elements), 0, 3, reference & 0xFF, total))
    return tuple(
        start + bytes((number,)) + elements + piece for number, piece in enumerate(pieces, 1)
    )


def _septets(header: int) -> int:
    """How many septets fit beside a user data header of so many octets, its length included."""
    return (MAX_OCTETS - header) * 8 // 7


def decode(data_coding: int, octets: bytes) -> str:
    """What these octets (without user data header) say. Never raises: what cannot be read becomes
    U+FFFD, and so does U+0000, which no store takes.

    `data_coding` as in SMPP 3.4 §5.2.19, and 15 as carriers in China use it; 0xF0–0xFF and
    0x00–0x3F groups follow GSM 03.38 §4. Above its octet it may have national tables, see `coding`.
    """
    tables, data_coding = data_coding >> 8, data_coding & 0xFF
    name = _CODECS.get(data_coding)
    if name is None and data_coding >= 0x10:
        alphabet = data_coding & 0x0C if data_coding < 0xF0 else data_coding & 0x04
        name = {0x00: "gsm7", 0x08: "utf-16-be"}.get(alphabet)
    if name == "gsm7":
        return Tables(tables >> 8, tables & 0xFF).decode(octets) if tables else _septets_say(octets)
    text = octets.decode(name or "latin-1", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def coding(data_coding: int, tables: Tables) -> int:
    """Both in one number, as `decode` takes it."""
    return data_coding | tables.single << 8 | tables.locking << 16


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


def _cut_septets(octets: bytes, most: int) -> list[bytes]:
    pieces, start, end = [], 0, len(octets)
    while start < end:
        stop = start + most
        if stop < end and octets[stop - 1] == ESCAPE:
            stop -= 1
        pieces.append(octets[start:stop])
        start = stop
    return pieces


def _cut_units(octets: bytes, most: int) -> list[bytes]:
    pieces, start, end = [], 0, len(octets)
    while start < end:
        stop = start + most
        if stop < end and 0xD8 <= octets[stop - 2] <= 0xDB:
            stop -= 2
        pieces.append(octets[start:stop])
        start = stop
    return pieces


def _septets_say(octets: bytes) -> str:
    if ESCAPE not in octets:
        return codecs.charmap_decode(octets, "strict", _UNESCAPED)[0]
    chars = []
    rest = iter(octets)
    for octet in rest:
        if octet == ESCAPE:
            octet = next(rest, 0x20)
            # GSM 03.38 §6.2.1.1: an unknown extension shows as the character of the main table.
            chars.append(_ESCAPED.get(octet) or _UNESCAPED[octet])
        else:
            chars.append(_UNESCAPED[octet])
    return "".join(chars)
