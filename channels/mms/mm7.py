"""Letters of MM7 (TS 23.140 §7.4) as SOAP: written and read.

A carrier's MMS centre and the simulated one share this module. What comes is read by local names,
in any namespace and any order, because carriers' dialects differ in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from channels.mms.letters import (
    LONGEST_ID,
    LONGEST_WORDS,
    Answer,
    Cancel,
    Delivery,
    Fault,
    Letter,
    Mm7Error,
    Report,
    Said,
    Submit,
    Who,
)
from channels.xml import XmlError, parse

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_LEAST_DIGITS = 9
"""Of a telephone number without `+`; fewer are a short code."""


def write(letter: Letter) -> bytes:
    """The envelope as octets. ValueError for characters that XML cannot carry."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"env": SOAP})
    if letter.transaction:
        head = etree.SubElement(envelope, f"{{{SOAP}}}Header")
        tag = f"{{{letter.namespace}}}TransactionID"
        transaction = etree.SubElement(head, tag, nsmap={"mm7": letter.namespace})
        transaction.set(f"{{{SOAP}}}mustUnderstand", "1")
        transaction.text = letter.transaction
    body = etree.SubElement(envelope, f"{{{SOAP}}}Body")
    _Writer(letter).put(body, letter.said)
    # Written here, because lxml quotes it with apostrophes, which not every centre reads.
    octets: bytes = etree.tostring(envelope, encoding="UTF-8", xml_declaration=False)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + octets


class _Writer:
    def __init__(self, letter: Letter) -> None:
        self._namespace = letter.namespace
        self._version = letter.version

    def put(self, body: Any, said: Said) -> None:
        match said:
            case Submit():
                self._submit(self._root(body, "SubmitReq"), said)
            case Cancel():
                root = self._root(body, "CancelReq")
                self._who(root, said.who)
                self._say(root, "MessageID", said.message_id)
            case Answer():
                root = self._root(body, said.kind)
                self._status(root, said.code, said.words)
                self._say(root, "MessageID", said.message_id)
            case Report():
                self._report(body, said)
            case Delivery():
                self._delivery(self._root(body, "DeliverReq"), said)
            case Fault():
                self._fault(body, said)

    def _submit(self, root: Any, it: Submit) -> None:
        """In the order of the schema, which parsers insist on."""
        self._who(root, it.who)
        self._say(self._add(self._add(root, "Recipients"), "To"), "Number", it.to)
        self._say(root, "ServiceCode", it.service_code)
        self._say(root, "LinkedID", it.linked_id)
        self._say(root, "MessageClass", it.message_class)
        self._say(root, "ExpiryDate", moment(it.expires))
        self._say(root, "DeliveryReport", _truth(it.delivery_report))
        self._say(root, "ReadReply", _truth(it.read_reply))
        self._say(root, "Priority", it.priority)
        self._say(root, "Subject", it.subject)
        self._say(root, "ChargedParty", it.charged_party)
        self._say(root, "ChargedPartyID", it.charged_party_id)
        self._say(root, "DistributionIndicator", _truth(it.distribution))
        if it.href:
            content = self._add(root, "Content")
            content.set("href", it.href)
            content.set("allowAdaptations", _truth(it.adapt))

    def _report(self, body: Any, it: Report) -> None:
        root = self._root(body, "ReadReplyReq" if it.read else "DeliveryReportReq")
        self._say(root, "MessageID", it.message_id)
        self._say(self._add(root, "Recipient"), "Number", it.recipient)
        self._say(self._add(root, "Sender"), _kind_of(it.sender), it.sender)
        self._say(root, "TimeStamp" if it.read else "Date", it.at)
        self._say(root, "MMStatus", it.status)
        self._say(root, "StatusText", it.words)

    def _delivery(self, root: Any, it: Delivery) -> None:
        self._say(root, "MMSRelayServerID", it.relay_id)
        self._say(root, "LinkedID", it.linked_id)
        self._say(self._add(root, "Sender"), _kind_of(it.sender), it.sender)
        if it.to:
            to = self._add(self._add(root, "Recipients"), "To")
            self._say(to, _kind_of(it.to), it.to)
        self._say(root, "TimeStamp", it.at)
        self._say(root, "Subject", it.subject)
        if it.href:
            self._add(root, "Content").set("href", it.href)

    def _fault(self, body: Any, it: Fault) -> None:
        fault = etree.SubElement(body, f"{{{SOAP}}}Fault")
        etree.SubElement(fault, "faultcode").text = f"env:{'Client' if it.ours else 'Server'}"
        etree.SubElement(fault, "faultstring").text = it.words
        if it.code:
            root = self._root(etree.SubElement(fault, "detail"), "VASPErrorRsp")
            self._status(root, it.code, it.words)

    def _root(self, parent: Any, name: str) -> Any:
        tag = f"{{{self._namespace}}}{name}"
        root = etree.SubElement(parent, tag, nsmap={None: self._namespace})
        self._say(root, "MM7Version", self._version)
        return root

    def _who(self, root: Any, it: Who) -> None:
        who = self._add(root, "SenderIdentification")
        self._say(who, "VASPID", it.vasp_id)
        self._say(who, "VASID", it.vas_id)
        if it.sender and it.plain:
            self._say(who, "SenderAddress", it.sender)
        elif it.sender:
            self._say(self._add(who, "SenderAddress"), _kind_of(it.sender), it.sender)

    def _status(self, root: Any, code: int, words: str) -> None:
        status = self._add(root, "Status")
        self._say(status, "StatusCode", str(code))
        self._say(status, "StatusText", words)

    def _add(self, parent: Any, name: str) -> Any:
        return etree.SubElement(parent, f"{{{self._namespace}}}{name}")

    def _say(self, parent: Any, name: str, words: str) -> Any:
        """The element, if there is something to say in it."""
        if not words:
            return None
        element = self._add(parent, name)
        element.text = words
        return element


def read(octets: bytes) -> Letter:
    """The letter in these octets. Raises Mm7Error."""
    try:
        root = parse(octets)
    except XmlError as error:
        raise Mm7Error(error.message) from None
    body = _child(root, "Body") if _name(root) == "Envelope" else None
    if body is None:
        raise Mm7Error("what came is no SOAP envelope")
    for element in body:
        name = _name(element)
        reader = _READERS.get(name)
        if reader is not None or name.endswith("Rsp"):
            said = reader(element) if reader is not None else _answer(element)
            head = _child(root, "Header")
            transaction = _text(head, "TransactionID") if head is not None else ""
            namespace = _namespace(element)
            version = _text(element, "MM7Version")
            return Letter(said, transaction[:LONGEST_ID], namespace, version[:20])
    raise Mm7Error("what came says nothing that is known here")


def _read_submit(it: Any) -> Submit:
    content = _child(it, "Content")
    return Submit(
        who=_read_who(it),
        to=_address(_child(it, "Recipients")),
        service_code=_text(it, "ServiceCode"),
        linked_id=_text(it, "LinkedID"),
        message_class=_text(it, "MessageClass"),
        expires=_moment(_text(it, "ExpiryDate")),
        delivery_report=_text(it, "DeliveryReport").lower() == "true",
        read_reply=_text(it, "ReadReply").lower() == "true",
        priority=_text(it, "Priority"),
        subject=_text(it, "Subject"),
        charged_party=_text(it, "ChargedParty"),
        charged_party_id=_text(it, "ChargedPartyID"),
        distribution=_text(it, "DistributionIndicator").lower() != "false",
        href=content.get("href", "") if content is not None else "",
        adapt=content is None or content.get("allowAdaptations") != "false",
    )


def _read_cancel(it: Any) -> Cancel:
    return Cancel(_read_who(it), _id(it))


def _answer(it: Any) -> Answer:
    code = _code(it)
    if code == 0:
        raise Mm7Error("the answer has no status")
    words = _text(_child(it, "Status"), "StatusText") or _text(it, "StatusText")
    return Answer(_name(it), code, words[:LONGEST_WORDS], _text(it, "MessageID")[:LONGEST_ID])


def _report(it: Any) -> Report:
    status = _text(it, "MMStatus")
    if not status:
        raise Mm7Error("the report names no status")
    return Report(
        _id(it),
        status[:LONGEST_WORDS],
        _address(_child(it, "Recipient", "Recipients")),
        _address(_child(it, "Sender")),
        _text(it, "Date", "TimeStamp")[:40],
        _text(it, "StatusText")[:LONGEST_WORDS],
        _name(it) == "ReadReplyReq",
    )


def _delivery(it: Any) -> Delivery:
    sender = _address(_child(it, "Sender"))
    if not sender:
        raise Mm7Error("the message names no sender")
    content = _child(it, "Content")
    return Delivery(
        sender,
        _address(_child(it, "Recipients", "Recipient")),
        _text(it, "LinkedID")[:LONGEST_ID],
        _text(it, "Subject"),
        _text(it, "TimeStamp")[:40],
        _text(it, "MMSRelayServerID")[:LONGEST_ID],
        content.get("href", "")[:LONGEST_ID] if content is not None else "",
    )


def _fault(it: Any) -> Fault:
    """In SOAP 1.1, or in 1.2, where `Client` is called `Sender`."""
    blamed = _text(it, "faultcode", "Code").lower()
    ours = "client" in blamed or "sender" in blamed
    return Fault(_code(it), ours, _text(it, "faultstring", "Reason")[:LONGEST_WORDS])


_READERS: Mapping[str, Callable[[Any], Said]] = {
    "SubmitReq": _read_submit,
    "CancelReq": _read_cancel,
    "DeliveryReportReq": _report,
    "ReadReplyReq": _report,
    "DeliverReq": _delivery,
    "Fault": _fault,
}


def moment(at: datetime | None) -> str:
    """A moment as MM7 writes it; empty for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else ""


def _moment(written: str) -> datetime | None:
    """The moment that was written, None if it is none: a centre may say a duration instead."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _kind_of(address: str) -> str:
    """The element for an address (addressType): a number, a short code, or mail-like."""
    if "@" in address:
        return "RFC2822Address"
    digits = address.removeprefix("+")
    long = digits != address or len(digits) >= _LEAST_DIGITS
    return "Number" if digits.isdigit() and long else "ShortCode"


def _read_who(it: Any) -> Who:
    found = _child(it, "SenderIdentification")
    if found is None:
        return Who()
    sender = _child(found, "SenderAddress")
    plain = sender is not None and len(sender) == 0
    return Who(_text(found, "VASPID"), _text(found, "VASID"), _address(sender), plain)


def _name(element: Any) -> str:
    """Its local name. lxml's own reading of it refuses prefixes that stand for nothing."""
    return str(element.tag).rpartition("}")[2].rpartition(":")[2]


def _namespace(element: Any) -> str:
    """The namespace it is in, if one can be written in an answer."""
    namespace = str(element.tag).rpartition("}")[0].removeprefix("{")
    try:
        etree.Element(f"{{{namespace}}}a", nsmap={"a": namespace} if namespace else None)
    except ValueError:
        return ""
    return namespace


def _child(element: Any, *names: str) -> Any:
    """The first child of one of these local names, or None."""
    for child in element if element is not None else ():
        if _name(child) in names:
            return child
    return None


def _text(element: Any, *names: str) -> str:
    child = _child(element, *names)
    return "" if child is None else "".join(child.itertext()).strip()


def _address(element: Any) -> str:
    """The first address in the element, without what MMS puts behind a number."""
    for words in element.itertext() if element is not None else ():
        if address := words.strip():
            return str(address.partition("/TYPE=")[0])[:LONGEST_ID]
    return ""


def _id(it: Any) -> str:
    message_id = _text(it, "MessageID")
    if not 0 < len(message_id) <= LONGEST_ID:
        raise Mm7Error("what came names no message")
    return message_id


def _code(it: Any) -> int:
    """The StatusCode in it, however deep; 0 if there is none."""
    for element in it.iter():
        if _name(element) != "StatusCode":
            continue
        code = (element.text or "").strip()
        if code.isascii() and code.isdigit() and len(code) <= 5:
            return int(code)
    return 0
