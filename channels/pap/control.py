"""The control entities of PAP: what is asked of a gateway, and what it says (WAP-164, WAP-247).

The gateway of a carrier and the simulated one share this module; Kannel's is the independent check.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from lxml import etree
from msgspec import Struct

from channels.xml import XmlError, parse
from orchestrator.core.errors import OutreachError

Version = Literal["1.0", "2.0"]
State = Literal[
    "rejected",
    "pending",
    "delivered",
    "undeliverable",
    "expired",
    "aborted",
    "timeout",
    "cancelled",
    "unknown",
]

DOCTYPES = ("-//WAPFORUM//DTD PAP ", "-//OMA//DTD PAP ")
LONGEST_ID = 255
LONGEST_WORDS = 200
"""Of a description that is kept."""

_STATES: tuple[State, ...] = (
    "rejected",
    "pending",
    "delivered",
    "undeliverable",
    "expired",
    "aborted",
    "timeout",
    "cancelled",
    "unknown",
)


class PapError(OutreachError):
    """What came is no control entity of PAP."""


class Order(Struct, frozen=True):
    """A push-message: bring the content to `address` before `before`, and tell `notify` of it."""

    push_id: str
    address: str
    before: datetime | None = None
    notify: str = ""
    source: str = ""
    progress: bool = False
    delivery: str = ""
    priority: str = ""


class Cancellation(Struct, frozen=True):
    """A cancel-message: do not bring it to `address` any more."""

    push_id: str
    address: str


class Query(Struct, frozen=True):
    """A statusquery-message: what has become of it?"""

    push_id: str
    address: str = ""


class Answer(Struct, frozen=True):
    """What a gateway says at once: a push-response, cancel-response or badmessage-response."""

    code: int
    words: str = ""
    push_id: str = ""


class Result(Struct, frozen=True):
    """What became of a push: a resultnotification-message or a statusquery-response."""

    push_id: str
    state: State
    code: int
    words: str = ""
    address: str = ""


Entity = Order | Cancellation | Query | Answer | Result


def order(it: Order, version: Version) -> bytes:
    """The push-message as octets."""
    message = etree.Element("push-message", {"push-id": it.push_id})
    _say(message, "deliver-before-timestamp", written(it.before))
    _say(message, "source-reference", it.source)
    _say(message, "progress-notes-requested", "true" if it.progress else "")
    _say(message, "ppg-notify-requested-to", it.notify)
    etree.SubElement(message, "address", {"address-value": it.address})
    if it.delivery or it.priority:
        quality = etree.SubElement(message, "quality-of-service")
        _say(quality, "priority", it.priority)
        _say(quality, "delivery-method", it.delivery)
    return pap(message, version)


def cancellation(it: Cancellation, version: Version) -> bytes:
    """The cancel-message as octets."""
    message = etree.Element("cancel-message", {"push-id": it.push_id})
    etree.SubElement(message, "address", {"address-value": it.address})
    return pap(message, version)


def query(it: Query, version: Version) -> bytes:
    """The statusquery-message as octets."""
    message = etree.Element("statusquery-message", {"push-id": it.push_id})
    if it.address:
        etree.SubElement(message, "address", {"address-value": it.address})
    return pap(message, version)


def noted(push_id: str, code: int, words: str, version: Version) -> bytes:
    """The resultnotification-response: that a notification was taken, or not."""
    attributes = {"push-id": push_id, "code": str(code), "desc": words}
    return pap(etree.Element("resultnotification-response", attributes), version)


def bad(code: int, words: str, version: Version) -> bytes:
    """The badmessage-response: what came was no message."""
    attributes = {"code": str(code), "desc": words, "bad-message-fragment": ""}
    return pap(etree.Element("badmessage-response", attributes), version)


def pap(message: Any, version: Version) -> bytes:
    """A whole document around the message."""
    root = etree.Element("pap")
    root.append(message)
    doctype = (
        f'<!DOCTYPE pap PUBLIC "-//WAPFORUM//DTD PAP {version}//EN" '
        f'"http://www.wapforum.org/DTD/pap_{version}.dtd">'
    )
    octets: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, doctype=doctype)
    return octets


def read(octets: bytes) -> Entity:
    """The entity in these octets. Raises PapError."""
    try:
        root = parse(octets, DOCTYPES)
    except XmlError as error:
        raise PapError(error.message) from None
    if root.tag != "pap":
        raise PapError("what came is not PAP")
    for child in root:
        reader = _READERS.get(child.tag)
        if reader is not None:
            entity: Entity = reader(child)
            return entity
    raise PapError("the PAP that came says nothing that is known here")


def _order(it: Any) -> Order:
    quality = it.find("quality-of-service")
    return Order(
        _push_id(it),
        _address(it),
        moment(it.get("deliver-before-timestamp", "")),
        it.get("ppg-notify-requested-to", ""),
        it.get("source-reference", ""),
        it.get("progress-notes-requested") == "true",
        "" if quality is None else quality.get("delivery-method", ""),
        "" if quality is None else quality.get("priority", ""),
    )


def _cancellation(it: Any) -> Cancellation:
    return Cancellation(_push_id(it), _address(it))


def _query(it: Any) -> Query:
    return Query(_push_id(it), _address(it))


def _response(it: Any) -> Answer:
    """A response whose code stands in its result, or in itself."""
    results = (it.find("response-result"), it.find("cancel-result"))
    said = next((found for found in results if found is not None), it)
    return Answer(_code(said), said.get("desc", "")[:LONGEST_WORDS], it.get("push-id", ""))


def _queried(it: Any) -> Entity:
    found = it.find("statusquery-result")
    return _response(it) if found is None else _result(found, _push_id(it))


def _result(it: Any, push_id: str = "") -> Result:
    word = it.get("message-state", "")
    for state in _STATES:
        if state == word:
            words = it.get("desc", "")[:LONGEST_WORDS]
            return Result(push_id or _push_id(it), state, _code(it), words, _address(it))
    raise PapError("the result names no state")


_READERS: dict[str, Any] = {
    "push-message": _order,
    "cancel-message": _cancellation,
    "statusquery-message": _query,
    "push-response": _response,
    "cancel-response": _response,
    "badmessage-response": _response,
    "resultnotification-response": _response,
    "statusquery-response": _queried,
    "resultnotification-message": _result,
}


def written(at: datetime | None) -> str:
    """A moment as PAP writes it; empty for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else ""


def moment(written_at: str) -> datetime | None:
    """The moment that was written, None if there is none. Raises PapError."""
    if not written_at:
        return None
    try:
        return datetime.strptime(written_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise PapError("the moment that came is none") from None


def _say(element: Any, name: str, value: str) -> None:
    if value:
        element.set(name, value)


def _push_id(it: Any) -> str:
    push_id: str = it.get("push-id", "")
    if not 0 < len(push_id) <= LONGEST_ID:
        raise PapError("what came names no push")
    return push_id


def _address(it: Any) -> str:
    found = it.find("address")
    return "" if found is None else str(found.get("address-value", ""))


def _code(it: Any) -> int:
    code = it.get("code", "")
    if not (code.isascii() and code.isdigit() and len(code) <= 5):
        raise PapError("the answer has no code")
    return int(code)
