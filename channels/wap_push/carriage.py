"""A push document in short messages: its WSP headers, and the port that telephones listen on.

Sources: WAP-230 (WSP) §8.2.4.1 and tables 34, 39, 40; WAP-259 (WDP) §6.5 and GSM 03.40
§9.2.3.24.4 (ports) and .1 (parts). The octets are those of the gateway of Kannel 1.4.5.
"""

from __future__ import annotations

from channels.wap_push.dialects import DIALECTS, Dialect
from channels.wap_push.tree import PushError

PUSH_PORT = 2948
"""Where telephones take pushes without a connection (WAP-189)."""
FROM_PORT = 9200
MAX_PARTS = 255

_PUSH = 0x06
_TRANSACTION = 0x01
_CONTENT_LENGTH = 0x8D
_ENCODING_VERSION_1_3 = b"\xc3\x93"
_PORTS = b"\x05\x04" + PUSH_PORT.to_bytes(2, "big") + FROM_PORT.to_bytes(2, "big")
_USER_DATA = 140
_LENGTH_QUOTE = 0x1F


def push(dialect: Dialect, body: bytes) -> bytes:
    """The WSP push of a document, without a session."""
    length = len(body)
    digits = bytes((length | 0x80,)) if length < 0x80 else _long(length)
    headers = bytes((_CONTENT_LENGTH,)) + digits + _ENCODING_VERSION_1_3
    kind = bytes((dialect.short,))
    return bytes((_TRANSACTION, _PUSH, len(kind + headers))) + kind + headers + body


def parts(pushed: bytes, reference: int) -> tuple[bytes, ...]:
    """The user data of each short message, its header first. Raises PushError over 255 of them."""
    if len(pushed) <= _USER_DATA - 1 - len(_PORTS):
        return (bytes((len(_PORTS),)) + _PORTS + pushed,)
    room = _USER_DATA - 1 - len(_PORTS) - 5
    pieces = [pushed[at : at + room] for at in range(0, len(pushed), room)]
    if len(pieces) > MAX_PARTS:
        raise PushError("the push does not fit into 255 short messages")
    header = bytes((len(_PORTS) + 5,)) + _PORTS + bytes((0x00, 0x03, reference & 0xFF, len(pieces)))
    return tuple(header + bytes((number,)) + piece for number, piece in enumerate(pieces, 1))


def port(header: bytes) -> int:
    """The port that a user data header (without its length) names; 0 if it names none."""
    at = 0
    while at + 2 <= len(header):
        kind, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if kind == 0x05 and len(value) == 4:
            return int.from_bytes(value[:2], "big")
        at += 2 + length
    return 0


def unpush(octets: bytes) -> bytes:
    """The document in a WSP push, of a type that is known here. Raises PushError."""
    if len(octets) < 4 or octets[1] != _PUSH:
        raise PushError("what came to the port is no push")
    length, at = 0, 2
    while True:
        if at >= len(octets) or at > 6:
            raise PushError("the push is cut short")
        length = length << 7 | octets[at] & 0x7F
        at += 1
        if not octets[at - 1] & 0x80:
            break
    if not 0 < length <= len(octets) - at:
        raise PushError("the push is cut short")
    kind = _content_type(octets[at : at + length])
    for dialect in DIALECTS:
        if kind in (bytes((dialect.short,)), dialect.mime.encode()):
            return octets[at + length :]
    raise PushError("the push is of a type that is not known here")


def _content_type(headers: bytes) -> bytes:
    """The content type at the head of these headers, without its parameters: one octet, or a name
    (WAP-230 §8.4.2.24)."""
    first = headers[0]
    if first <= _LENGTH_QUOTE:
        begins = 1
        if first == _LENGTH_QUOTE:
            while begins < len(headers) and headers[begins] & 0x80:
                begins += 1
            begins += 1
        headers = headers[begins:]
    if headers[:1] >= b"\x80":
        return headers[:1]
    return headers.partition(b"\0")[0]


def _long(value: int) -> bytes:
    """A long integer (WAP-230 §8.4.2.1): how many octets, and they."""
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes((len(octets),)) + octets
