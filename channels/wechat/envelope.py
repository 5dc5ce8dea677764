"""The XML of callbacks and passive replies: one level of named texts."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from orchestrator.core.delivery import Presence, Reply


class MalformedError(Exception):
    """These octets are no callback."""


def read(octets: bytes) -> dict[str, str]:
    """The texts below `<xml>`, by name. Raises MalformedError for what is none, and for whatever
    defines entities or a document type."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(octets, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise MalformedError("no XML") from None
    if root.getroottree().docinfo.doctype or root.tag != "xml":
        raise MalformedError("no <xml>")
    return {child.tag: child.text or "" for child in root if isinstance(child.tag, str)}


def write(fields: Mapping[str, str]) -> bytes:
    """These texts below `<xml>`; characters that XML cannot hold are left out."""
    root = etree.Element("xml")
    for name, text in fields.items():
        etree.SubElement(root, name).text = "".join(filter(_writable, text))
    written: bytes = etree.tostring(root, encoding="utf-8")
    return written


def heard(fields: Mapping[str, str], channel: str) -> Reply | None:
    """What a person said by this callback; None for what is nobody's word. Raises MalformedError
    if it does not say who, or which message it is."""
    sender, kind = fields.get("FromUserName", ""), fields.get("MsgType", "")
    if not sender or not kind:
        raise MalformedError("from nobody")
    source_id = fields.get("MsgId", "")
    text: str | None
    if kind == "event":
        text = _event(fields)
        when = fields.get("CreateTime", "")
        source_id = f"{sender}/{when}/{fields.get('Event', '')}/{fields.get('EventKey', '')}"
    elif kind == "text":
        # Somebody pressed a line of a menu that stood in a message.
        text = fields.get("bizmsgmenuid") or fields.get("Content", "")
    else:
        text = fields.get("Recognition", "")  # what WeChat understood of a voice; else nothing
    if not source_id:
        raise MalformedError("no id")
    if text is None:
        return None
    return Reply(channel, sender, text, source_id[:200], fields.get("ToUserName", ""))


def presence(fields: Mapping[str, str], channel: str) -> Presence | None:
    """Whether somebody has left the account by this callback; who follows it says so by a reply."""
    if fields.get("MsgType") == "event" and fields.get("Event", "").lower() == "unsubscribe":
        return Presence(channel, fields.get("FromUserName", ""), False)
    return None


def _event(fields: Mapping[str, str]) -> str | None:
    key = fields.get("EventKey", "")
    match fields.get("Event", "").lower():
        case "subscribe" | "scan":
            # A QR code with a scene is a link that says what it holds.
            return f"/start {key.removeprefix('qrscene_')}".strip()
        case "click":
            return key
        case _:
            return None


def _writable(character: str) -> bool:
    return character in "\t\n\r" or (
        character >= " "
        and not "\ud800" <= character <= "\udfff"
        and character not in "\ufffe\uffff"
    )
