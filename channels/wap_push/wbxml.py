"""WBXML 1.2: push documents as octets, and back (WAP-154 §5).

What is written has no string table, and takes the longest token there is. What is read may have
one. Whatever else comes ends in a PushError.
"""

from __future__ import annotations

import re

from channels.wap_push.dialects import DIALECTS, Dialect, Start
from channels.wap_push.tree import Element, PushError

MAX_OCTETS = 64 * 1024
"""Of a document that is read."""

_VERSION = 0x02
_UTF8 = 0x6A
_SWITCH, _END, _ENTITY, _STR_I = 0x00, 0x01, 0x02, 0x03
_STR_T, _OPAQUE = 0x83, 0xC3
_HAS_ATTRIBUTES, _HAS_CONTENT = 0x80, 0x40
_DEEPEST = 16
_MOST_ELEMENTS = 500
_CHARSETS = {0x03: "ascii", 0x04: "latin-1", 0x6A: "utf-8", 0: "utf-8"}
_MOMENT = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
# What XML 1.0 has no place for (§2.2), and so no push document.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def encode(dialect: Dialect, root: Element) -> bytes:
    """The document in WBXML 1.2. Raises PushError for what the dialect has no token for, for dates
    that are none, and for characters that XML cannot carry."""
    return bytes((_VERSION, dialect.public_id, _UTF8, 0)) + b"".join(_Writer(dialect).element(root))


def decode(octets: bytes) -> tuple[Dialect, Element]:
    """The document and its type. Raises PushError."""
    if len(octets) > MAX_OCTETS:
        raise PushError("the push document is too long")
    reader = _Reader(octets)
    try:
        found = reader.document()
    except IndexError:
        raise PushError("the push document is cut short") from None
    except (UnicodeError, ValueError, OverflowError):
        raise PushError("the push document holds what is no text") from None
    return found


def checked(text: str) -> str:
    """The text, if a document can carry it. Raises PushError."""
    if found := _NO_TEXT.search(text):
        raise PushError(f"no push document can carry the character U+{ord(found[0]):04X}")
    return text


class _Writer:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._page = 0

    def element(self, it: Element) -> list[bytes]:
        tag = self._dialect.tags.get(it.name)
        if tag is None:
            raise PushError(f"there is no token for <{it.name}>")
        tag |= _HAS_ATTRIBUTES if it.attributes else 0
        out = [bytes((tag | (_HAS_CONTENT if it.children else 0),))]
        for name, value in it.attributes:
            out += self._attribute(name, value)
        if it.attributes:
            out.append(b"\x01")
        for child in it.children:
            out += [_inline(child)] if isinstance(child, str) else self.element(child)
        if it.children:
            out.append(b"\x01")
        return out

    def _attribute(self, name: str, value: str) -> list[bytes]:
        for start in self._dialect.starts_of.get(name, ()):
            if value.startswith(start.prefix) and _leads_on(start, value):
                break
        else:
            raise PushError(f"there is no token for {name}")
        out = []
        if start.page != self._page:
            self._page = start.page
            out.append(bytes((_SWITCH, start.page)))
        out.append(bytes((start.token,)))
        rest = value[len(start.prefix) :]
        if name in self._dialect.dates:
            digits = _bcd(rest)
            out.append(bytes((_OPAQUE, len(digits))) + digits)
        elif rest:
            out += self._value(rest)
        return out

    def _value(self, value: str) -> list[bytes]:
        tokens = self._dialect.values
        if not tokens:
            return [_inline(value)]
        pieces = re.split(f"({'|'.join(map(re.escape, tokens))})", value)
        return [bytes((tokens[it],)) if it in tokens else _inline(it) for it in pieces if it]


def _leads_on(start: Start, value: str) -> bool:
    """A token of an enumeration is for all of the value; those of addresses are for its head."""
    return value == start.prefix or not start.prefix or start.prefix.endswith((".", "/"))


def _inline(text: str) -> bytes:
    return b"\x03%b\0" % checked(text).encode()


def _bcd(moment: str) -> bytes:
    """`2024-01-05T10:30:00Z` as its digits, trailing zero octets dropped (WAP-167 §8.2.2)."""
    found = _MOMENT.fullmatch(moment)
    if found is None:
        raise PushError("a moment in a push document is written 2024-01-05T10:30:00Z")
    return bytes.fromhex("".join(found.groups())).rstrip(b"\0")


def _moment(digits: bytes) -> str:
    if not 1 <= len(digits) <= 7 or not digits.hex().isdecimal():
        raise PushError("the push document has a date that is none")
    year, rest = (it := digits.hex().ljust(14, "0"))[:4], it[4:]
    month, day, hour, minute, second = (rest[at : at + 2] for at in range(0, 10, 2))
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}Z"


class _Reader:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0
        self._page = 0
        self._elements = 0
        self._spent = 0

    def document(self) -> tuple[Dialect, Element]:
        if self._octet() > 0x03:
            raise PushError("the push document is of a version of WBXML that does not exist")
        public_id = self._number()
        named_at = self._number() if public_id == 0 else None
        charset = _CHARSETS.get(self._number())
        if charset is None:
            raise PushError("the push document is in a character set that is not known here")
        self._charset = charset
        self._table = self._take(self._number())
        self._dialect = self._find(public_id, named_at)
        root = self._element(self._octet(), 0)
        if self._at != len(self._octets):
            raise PushError("something follows the push document")
        if root.name != self._dialect.root:
            raise PushError("the push document does not begin as its type says")
        return self._dialect, root

    def _find(self, public_id: int, named_at: int | None) -> Dialect:
        doctype = self._from_table(named_at) if named_at is not None else None
        for dialect in DIALECTS:
            if dialect.public_id == public_id or dialect.doctype == doctype:
                return dialect
        raise PushError("the push document is of a type that is not known here")

    def _element(self, tag: int, depth: int) -> Element:
        self._elements += 1
        name = self._dialect.tag_of.get(tag & 0x3F)
        if name is None:
            raise PushError("the push document has a tag that its type does not")
        if depth > _DEEPEST or self._elements > _MOST_ELEMENTS:
            raise PushError("the push document goes too deep, or on too long")
        attributes = self._attributes() if tag & _HAS_ATTRIBUTES else ()
        children = self._children(depth) if tag & _HAS_CONTENT else ()
        return Element(name, attributes, children)

    def _attributes(self) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        token = self._octet()
        while token != _END:
            if token == _SWITCH:
                self._page = self._octet()
                token = self._octet()
                continue
            start = self._dialect.start_of.get((self._page, token))
            if start is None:
                raise PushError("the push document has an attribute that its type does not")
            pieces = [start.prefix]
            token = self._octet()
            while token != _END and (piece := self._piece(token, start.name)) is not None:
                pieces.append(piece)
                token = self._octet()
            found.append((start.name, "".join(pieces)))
        return tuple(found)

    def _piece(self, token: int, attribute: str = "") -> str | None:
        """A piece of text; None if this is none, but the next attribute or element."""
        if token == _STR_I:
            return self._inline()
        if token == _STR_T:
            return self._from_table(self._number())
        if token == _ENTITY:
            return chr(self._number())
        if token == _OPAQUE:
            octets = self._take(self._number())
            return _moment(octets) if attribute in self._dialect.dates else self._text(octets)
        return self._dialect.value_of.get(token) if attribute else None

    def _children(self, depth: int) -> tuple[Element | str, ...]:
        found: list[Element | str] = []
        while (token := self._octet()) != _END:
            piece = self._piece(token)
            found.append(self._element(token, depth + 1) if piece is None else piece)
        return tuple(found)

    def _octet(self) -> int:
        self._at += 1
        return self._octets[self._at - 1]

    def _number(self) -> int:
        """A multi-byte integer (WAP-154 §5.1) of at most 32 bits."""
        value = 0
        for _ in range(5):
            octet = self._octet()
            value = value << 7 | octet & 0x7F
            if not octet & 0x80:
                return value
        raise PushError("the push document has a number that does not end")

    def _take(self, octets: int) -> bytes:
        end = self._at + octets
        if end > len(self._octets):
            raise IndexError
        taken, self._at = self._octets[self._at : end], end
        return taken

    def _inline(self) -> str:
        text, self._at = self._ended(self._octets, self._at)
        return text

    def _from_table(self, at: int) -> str:
        return self._ended(self._table, at)[0]

    def _ended(self, octets: bytes, at: int) -> tuple[str, int]:
        """The text that begins there, and where what follows it begins."""
        end = octets.index(0, at)
        return self._text(octets[at:end]), end + 1

    def _text(self, octets: bytes) -> str:
        self._spent += len(octets)
        if self._spent > MAX_OCTETS:  # by naming one text of the table again and again
            raise PushError("the push document is too long")
        return checked(octets.decode(self._charset))
