"""What can be pushed: a notice with its link, a page to load, bookmarks to keep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeVar

from msgspec import Struct

from channels.wap_push import wbxml
from channels.wap_push.dialects import PROVISIONING, SI, SL, Dialect
from channels.wap_push.tree import Element, PushError

Signal = Literal["signal-none", "signal-low", "signal-medium", "signal-high", "delete"]
Execute = Literal["execute-low", "execute-high", "cache"]

SIGNALS: tuple[Signal, ...] = (
    "signal-none",
    "signal-low",
    "signal-medium",
    "signal-high",
    "delete",
)
EXECUTES: tuple[Execute, ...] = ("execute-low", "execute-high", "cache")

BROWSER = "w2"
"""The application that bookmarks are for, by its registered number (OMA AC w2)."""


class Indication(Struct, frozen=True):
    """Words and a link that the phone shows when the subscriber wants (WAP-167).

    Of several with one `si_id` (without one: one `href`) the phone keeps that with the latest
    `created`; `delete` takes it away, and so does the moment `expires`.
    """

    text: str
    href: str
    action: Signal = "signal-medium"
    si_id: str = ""
    created: datetime | None = None
    expires: datetime | None = None


class Loading(Struct, frozen=True):
    """A link that the phone opens by itself, or puts in its cache (WAP-168)."""

    href: str
    action: Execute = "execute-low"


class Bookmark(Struct, frozen=True):
    """A link that the phone offers to keep (OMA client provisioning, application w2)."""

    name: str
    href: str
    home: bool = False


class Bookmarks(Struct, frozen=True):
    """Bookmarks for the browser, in a folder of its own called `name` if that is given."""

    marks: tuple[Bookmark, ...]
    name: str = ""


Document = Indication | Loading | Bookmarks


def tree(document: Document) -> tuple[Dialect, Element]:
    """The document as its type's elements, attributes in the order of its DTD. An action that is
    the type's default is said all the same: not every phone knows it."""
    if isinstance(document, Indication):
        attributes = (
            ("href", document.href),
            ("si-id", document.si_id),
            ("action", document.action),
            ("created", _written(document.created)),
            ("si-expires", _written(document.expires)),
        )
        given = tuple(pair for pair in attributes if pair[1])
        words = (document.text,) if document.text else ()
        return SI, Element("si", (), (Element("indication", given, words),))
    if isinstance(document, Loading):
        return SL, Element("sl", (("href", document.href), ("action", document.action)))
    marks = [_characteristic("RESOURCE", *_of_mark(it)) for it in document.marks]
    named = [_parm("NAME", document.name)] if document.name else []
    browser = _characteristic("APPLICATION", _parm("APPID", BROWSER), *named, *marks)
    return PROVISIONING, Element("wap-provisioningdoc", (("version", "1.0"),), (browser,))


def read(dialect: Dialect, root: Element) -> Document:
    """The document that these elements are. Raises PushError."""
    if dialect is SL:
        return Loading(
            _href(root.get("href")), _one_of(EXECUTES, root.get("action"), "execute-low")
        )
    if dialect is SI:
        for it in root.all("indication"):
            action = _one_of(SIGNALS, it.get("action"), "signal-medium")
            created, expires = _moment(it.get("created")), _moment(it.get("si-expires"))
            href = it.get("href")
            return Indication(it.text, href, action, it.get("si-id"), created, expires)
        raise PushError("the service indication indicates nothing")
    for application in root.all("characteristic"):
        if _value(application, "APPID") == BROWSER:
            resources = [
                it for it in application.all("characteristic") if it.get("type") == "RESOURCE"
            ]
            marks = tuple(
                Bookmark(_value(it, "NAME"), _href(_value(it, "URI")), _has(it, "STARTPAGE"))
                for it in resources
            )
            if not marks:
                break
            return Bookmarks(marks, _value(application, "NAME"))
    raise PushError("the provisioning document has no bookmarks")


def encode(document: Document) -> tuple[Dialect, bytes]:
    """The document's octets, and its type. Raises PushError."""
    dialect, root = tree(document)
    return dialect, wbxml.encode(dialect, root)


def decode(octets: bytes) -> Document:
    """The document in these octets. Raises PushError."""
    return read(*wbxml.decode(octets))


def _characteristic(kind: str, *children: Element) -> Element:
    return Element("characteristic", (("type", kind),), children)


def _parm(name: str, value: str = "") -> Element:
    return Element("parm", (("name", name), *((("value", value),) if value else ())))


def _of_mark(mark: Bookmark) -> list[Element]:
    parms = [_parm("URI", mark.href)]
    parms += [_parm("NAME", mark.name)] if mark.name else []
    parms += [_parm("STARTPAGE")] if mark.home else []
    return parms


def _has(characteristic: Element, name: str) -> bool:
    return any(it.get("name") == name for it in characteristic.all("parm"))


def _value(characteristic: Element, name: str) -> str:
    found = (it.get("value") for it in characteristic.all("parm") if it.get("name") == name)
    return next(found, "")


def _href(href: str) -> str:
    if not href:
        raise PushError("the push document has no link")
    return href


def _written(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else ""


def _moment(written: str) -> datetime | None:
    if not written:
        return None
    try:
        return datetime.strptime(written, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise PushError("the push document has a date that is none") from None


_Word = TypeVar("_Word", bound=str)


def _one_of(words: tuple[_Word, ...], word: str, default: _Word) -> _Word:
    for it in words:
        if it == word:
            return it
    if word:
        raise PushError("the push document has an action that its type does not")
    return default
