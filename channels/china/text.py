"""Text as these protocols carry it: Msg_Fmt 0 ASCII, 8 UCS-2, 15 GBK; long messages in parts.

Sources: CMPP 3.0 §8.4.3.1, SMGP 3.0.3 §6.2.16, SGIP §4.2.3.3.1; GSM 03.40 §9.2.3.24.1.
"""

from __future__ import annotations

from typing import Literal

from orchestrator.core.short_message import MAX_PARTS, Coded, TextError

ASCII, BINARY, UCS2, GBK = 0, 4, 8, 15

Chinese = Literal["ucs2", "gbk"]

_WHOLE, _PART = 140, 134
_AIR = {ASCII: 15}
_LEADING = range(0x81, 0xFF)


def split(text: str, reference: int, chinese: Chinese, most_ascii: int) -> Coded:
    """The text as the contents that go out, with the Msg_Fmt they all have.

    What is not plain ASCII goes as UCS-2, or as GBK if that is wished and holds it. One message
    takes 140 octets, `most_ascii` in ASCII; longer texts go in parts, each beginning with a user
    data header, and no character straddles two. Raises TextError for what no phone could show.
    """
    if "\x1b" in text:
        raise TextError(
            "the text has the control character U+001B (escape)",
            "Take it out: a phone would swallow the character after it.",
        )
    coding, octets = _encode(text, chinese)
    if len(octets) <= (most_ascii if coding == ASCII else _WHOLE):
        return Coded(coding, (octets,))
    size = min(153, most_ascii - 6) if coding == ASCII else _PART
    pieces = _cut(octets, coding, size)
    total = len(pieces)
    if total > MAX_PARTS:
        raise TextError(
            f"the text needs {total} SMS parts; the most there can be is {MAX_PARTS}",
            "Shorten the text, or put the long form behind a link.",
        )
    header = bytes((5, 0, 3, reference & 0xFF, total))
    parts = [header + bytes((number,)) + piece for number, piece in enumerate(pieces, 1)]
    return Coded(coding, tuple(parts))


def on_the_air(msg_fmt: int) -> int:
    """The data_coding under which `short_message.decode` reads contents of this Msg_Fmt. GB18030
    holds ASCII, and gateways are not strict about which of them they send."""
    return _AIR.get(msg_fmt, msg_fmt)


def _encode(text: str, chinese: Chinese) -> tuple[int, bytes]:
    if text.isascii() and text.replace("\n", "").replace("\r", "").isprintable():
        return ASCII, text.encode()
    if chinese == "gbk":
        try:
            return GBK, text.encode("gbk")
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


def _cut(octets: bytes, coding: int, size: int) -> list[bytes]:
    pieces, start, end = [], 0, len(octets)
    while start < end:
        stop = min(start + size, end)
        if stop < end and coding == UCS2 and 0xD8 <= octets[stop - 2] <= 0xDB:
            stop -= 2
        elif stop < end and coding == GBK:
            stop = _whole_characters(octets, start, stop)
        pieces.append(octets[start:stop])
        start = stop
    return pieces


def _whole_characters(octets: bytes, start: int, stop: int) -> int:
    """Where the last character that ends within these octets of GBK ends."""
    at = start
    while True:
        after = at + (2 if octets[at] in _LEADING else 1)
        if after > stop:
            return at
        if after == stop:
            return stop
        at = after
