"""SOAP with attachments, and the message in it: multipart/related (RFC 2387), read and written."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Literal

from msgspec import Struct

from orchestrator.core.errors import OutreachError

MOST_PARTS = 60
_MOST_NESTED = 8
Transfer = Literal["binary", "base64"]


class ParcelError(OutreachError):
    """What came is no multipart that is taken here."""


class Part(Struct, frozen=True):
    """One part. `mime` may have parameters; `content_id` is without its angle brackets, `name` the
    part's own, as a presentation refers to it."""

    mime: str
    octets: bytes
    content_id: str = ""
    name: str = ""

    @property
    def kind(self) -> str:
        """The type without parameters."""
        return self.mime.partition(";")[0].strip().lower()

    def text(self) -> str:
        """Its octets as a text, by its charset if that is known."""
        charset = self.mime.lower().partition("charset=")[2].partition(";")[0].strip("\"' ")
        if charset in ("gb2312", "gbk"):
            charset = "gb18030"
        try:
            return self.octets.decode(charset or "utf-8", "replace")
        except (LookupError, ValueError):
            return self.octets.decode("utf-8", "replace")


def pack(parts: Sequence[Part], boundary: str, transfer: Transfer = "binary") -> bytes:
    """The body that holds the parts. A part that is a multipart itself goes as it is."""
    pieces: list[bytes] = []
    for it in parts:
        coded = transfer == "base64" and not it.mime.startswith(("multipart/", "text/xml"))
        head = f"--{boundary}\r\nContent-Type: {it.mime}\r\n"
        if not it.mime.startswith("multipart/"):
            plain = "8bit" if it.mime.startswith("text/xml") else "binary"
            head += f"Content-Transfer-Encoding: {'base64' if coded else plain}\r\n"
        if it.content_id:
            head += f"Content-ID: <{it.content_id}>\r\n"
        if it.name:
            head += f"Content-Location: {it.name}\r\n"
        pieces += [
            head.encode() + b"\r\n",
            base64.encodebytes(it.octets).replace(b"\n", b"\r\n") if coded else it.octets,
            b"\r\n",
        ]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces)


def related(boundary: str, kind: str, start: str) -> str:
    """The content type of such a body: `start` names the part to begin with, of type `kind`."""
    return f'multipart/related; boundary="{boundary}"; type="{kind}"; start="<{start}>"'


def unpack(content_type: str, body: bytes) -> list[Part]:
    """Every part that is no multipart itself, the one to begin with first. A body that is no
    multipart is its only part. Raises ParcelError."""
    if not content_type.lower().lstrip().startswith("multipart/"):
        return [Part(content_type, body)]
    if (lower := body.lower()).count(b"multipart/") + lower.count(b"message/") > _MOST_NESTED:
        raise ParcelError("the message holds too many messages")  # Their depth would cost seconds.
    try:
        head = b"Content-Type: %b\r\n\r\n" % content_type.encode("latin-1")
        whole = BytesParser(policy=HTTP).parsebytes(head + body)
        leaves = [it for it in whole.walk() if not it.is_multipart()]
        if len(leaves) > MOST_PARTS:
            raise ParcelError(f"the message has more than {MOST_PARTS} parts")
        parts = [_part(it) for it in leaves]
        start = str(whole.get_param("start", "")).strip().strip("<>")
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        raise ParcelError("the message is no multipart") from None
    if not parts or whole.defects:
        raise ParcelError("the message is no multipart")
    parts.sort(key=lambda it: not (start and it.content_id == start))
    return parts


def _part(it: Message) -> Part:
    payload = it.get_payload(decode=True)
    if not isinstance(payload, bytes):
        raise ParcelError("a part of the message cannot be read")
    charset = it.get_content_charset()
    mime = it.get_content_type() + (f"; charset={charset}" if charset else "")
    own_id = str(it.get("Content-ID", "")).strip().strip("<>")[:200]
    return Part(mime, payload, own_id, str(it.get("Content-Location", "")).strip()[:200])
