"""What an MMS centre says to telephones: that a message is there to be fetched, and where.

Sources: OMA-TS-MMS-ENC-V1_2 §6.2 (M-Notification.ind) and §7.3 (headers and their numbers),
WAP-230 (WSP) §8.4.2 (values), the OMNA register of content types (0x3E) and of applications (4).
"""

from __future__ import annotations

from msgspec import Struct

from orchestrator.core.errors import OutreachError

_TYPE, _TRANSACTION, _VERSION = b"\x8c", b"\x98", b"\x8d"
_FROM, _SUBJECT, _CLASS, _SIZE, _EXPIRY, _LOCATION = (
    *(b"\x89", b"\x96", b"\x8a", b"\x8e", b"\x88", b"\x83"),
)
_NOTIFICATION = b"\x82"
_VERSION_1_2 = b"\x92"
_PERSONAL = b"\x80"
_PRESENT, _RELATIVE = b"\x80", b"\x81"
_UTF_8 = b"\xea"
_PUSH = b"\x01\x06"
_HEAD = b"\xbe\xaf\x84"
"""Content type application/vnd.wap.mms-message, for the application mms.ua."""


class Mm1Error(OutreachError):
    """This is no notification that a phone could read."""


class Notification(Struct, frozen=True):
    """A message of that many octets can be fetched at `location` for `lasts_s` seconds."""

    transaction: str
    sender: str
    subject: str
    octets: int
    lasts_s: int
    location: str


def encode(notice: Notification) -> bytes:
    """The notification, as a WSP push brings it."""
    sender = _PRESENT + _text(f"{notice.sender}/TYPE=PLMN")
    lasts = _RELATIVE + _integer(notice.lasts_s)
    body = (
        *(_TYPE, _NOTIFICATION, _TRANSACTION, _text(notice.transaction), _VERSION, _VERSION_1_2),
        *(_FROM, _sized(sender), _SUBJECT, _words(notice.subject), _CLASS, _PERSONAL),
        *(_SIZE, _integer(notice.octets), _EXPIRY, _sized(lasts)),
        *(_LOCATION, _text(notice.location)),
    )
    return _PUSH + bytes((len(_HEAD),)) + _HEAD + b"".join(body)


def location(pushed: bytes) -> str:
    """Where the message of a notification lies, as its phone reads it. Raises Mm1Error."""
    head, body = pushed[: 3 + len(_HEAD)], pushed[3 + len(_HEAD) :]
    if head != _PUSH + bytes((len(_HEAD),)) + _HEAD or body[:2] != _TYPE + _NOTIFICATION:
        raise Mm1Error("what came is no notification")
    at = body.rfind(_LOCATION)
    found = body[at + 1 :]
    if at < 0 or not found.endswith(b"\0"):
        raise Mm1Error("the notification does not say where its message is")
    return found[:-1].decode("ascii", "replace")


def _text(words: str) -> bytes:
    """A text-string: ASCII, and its end."""
    return words.encode("ascii", "replace") + b"\0"


def _words(words: str) -> bytes:
    """An encoded-string-value: as it is, or with its charset."""
    if words.isascii():
        return _text(words)
    return _sized(_UTF_8 + words.encode() + b"\0")


def _sized(value: bytes) -> bytes:
    """The value after its length."""
    if len(value) <= 30:
        return bytes((len(value),)) + value
    more, last = divmod(len(value), 0x80)
    length = bytes((more | 0x80, last)) if more else bytes((last,))
    return b"\x1f" + length + value


def _integer(value: int) -> bytes:
    """A long-integer: how many octets, and they."""
    octets = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes((len(octets),)) + octets
