"""A push and its content in one HTTP body: multipart/related (WAP-247 §8.1, RFC 2387)."""

from __future__ import annotations

import secrets
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from lxml import etree
from msgspec import Struct

from channels.pap.control import PapError
from channels.wap_push import wbxml
from channels.wap_push.dialects import PROVISIONING, SI, SL, Dialect
from channels.wap_push.documents import Document, read, tree
from channels.wap_push.tree import Element, PushError
from channels.xml import XmlError, parse

CONTROL = "application/xml"
_MOST_OCTETS = 256 * 1024


class Content(Struct, frozen=True):
    """A document as it goes to a gateway. Notices go as XML, of which the gateway makes octets for
    the phone; bookmarks go as octets, because few gateways know that XML."""

    mime: str
    octets: bytes


def content(document: Document) -> Content:
    """The document as a gateway takes it. Raises PushError."""
    dialect, root = tree(document)
    if dialect is PROVISIONING:
        return Content(dialect.mime, wbxml.encode(dialect, root))
    doctype = f'<!DOCTYPE {dialect.root} PUBLIC "{dialect.doctype}" "{dialect.system}">'
    octets: bytes = etree.tostring(
        _element(root), encoding="UTF-8", xml_declaration=True, doctype=doctype
    )
    return Content(dialect.xml, octets)


def pack(control: bytes, pushed: Content) -> tuple[str, bytes]:
    """The body of the request, and its content type."""
    boundary = secrets.token_hex(16).encode()
    parts = (Content(CONTROL, control), pushed)
    body = b"".join(
        b"--%b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (boundary, it.mime.encode(), it.octets)
        for it in parts
    )
    body += b"--%b--\r\n" % boundary
    return f'multipart/related; boundary={boundary.decode()}; type="{CONTROL}"', body


def unpack(content_type: str, body: bytes) -> tuple[bytes, Document | None]:
    """The control entity, and the document with it, if any. Raises PapError."""
    if len(body) > _MOST_OCTETS:
        raise PapError("the message is too long")
    if not content_type.startswith("multipart/related"):
        return body, None
    try:
        head = b"Content-Type: %b\r\n\r\n" % content_type.encode("latin-1")
        parts = list(BytesParser(policy=HTTP).parsebytes(head + body).iter_parts())
        octets = [part.get_payload(decode=True) for part in parts]
    except (ValueError, LookupError, AttributeError, TypeError):
        raise PapError("the message is no multipart/related") from None
    if len(parts) < 2 or not all(isinstance(it, bytes) for it in octets):
        raise PapError("the message is no multipart/related")
    return bytes(octets[0] or b""), _document(parts[1].get_content_type(), bytes(octets[1] or b""))


def _document(mime: str, octets: bytes) -> Document:
    try:
        for dialect in (SI, SL):
            if mime == dialect.xml:
                return read(dialect, _read(dialect, octets))
        return read(*wbxml.decode(octets))
    except (PushError, XmlError) as error:
        raise PapError(error.message) from None


def _read(dialect: Dialect, octets: bytes) -> Element:
    root = parse(octets, [dialect.doctype.removesuffix("1.0//EN")])

    def copied(it: Any) -> Element:
        children: list[Element | str] = [it.text] if it.text else []
        for child in it:
            children.append(copied(child))
            children += [child.tail] if child.tail else []
        return Element(it.tag, tuple(it.attrib.items()), tuple(children))

    return copied(root)


def _element(it: Element) -> Any:
    made = etree.Element(it.name, {name: wbxml.checked(value) for name, value in it.attributes})
    for child in it.children:
        if isinstance(child, str):
            made.text = wbxml.checked(child)
        else:
            made.append(_element(child))
    return made
