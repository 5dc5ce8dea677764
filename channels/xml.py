"""XML that came from outside, read so that it can do nothing but be read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lxml import etree

from orchestrator.core.errors import OutreachError


class XmlError(OutreachError):
    """What came is no XML that is taken here; the message says why, without its content."""


def parse(octets: bytes, doctypes: Collection[str] = (), *, max_octets: int = 256 * 1024) -> Any:
    """The root of the document as an lxml element, without comments and instructions.

    A document type may only be named, by a public identifier that begins as one of `doctypes` does:
    it is not fetched, and may declare nothing itself, so that there are no entities. Raises
    XmlError.
    """
    if len(octets) > max_octets:
        raise XmlError("the document is too long")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(octets, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        raise XmlError("what came is no XML") from None
    if root is None:
        raise XmlError("what came is no XML")
    info = root.getroottree().docinfo
    if info.doctype:
        named = info.public_id or ""
        if not any(named.startswith(it) for it in doctypes):
            raise XmlError("the document is of another type")
        dtd = info.internalDTD
        if dtd is not None and (list(dtd.iterentities()) or list(dtd.iterelements())):
            raise XmlError("the document declares what it should only name")
    return root
