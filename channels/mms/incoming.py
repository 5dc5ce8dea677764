"""What an MMS centre tells us: read, proven, and what it means."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from ipaddress import ip_address, ip_network

from aiohttp import web
from msgspec import Struct

from channels.mms import mm7, parcel
from channels.mms.letters import Delivery, Letter, Mm7Error, Report
from channels.mms.parcel import ParcelError, Part
from channels.mms.settings import MmsSettings
from channels.sms import addresses
from channels.sms.receipt import FinalState
from orchestrator.core.delivery import Receipt, Reply

MOST_OCTETS = 1024 * 1024
"""Of one callback: a message with its pictures."""
MOST_TEXT = 5_000

_STATES: dict[str, FinalState] = {
    "retrieved": "delivered",
    "expired": "expired",
    "rejected": "rejected",
    "unreachable": "undelivered",
}
"""By the word that is found in MMStatus: some centres write `Third:User Retrieved`. Forwarded,
Deferred, Indeterminate and Unrecognised say nothing final."""


class Heard(Struct, frozen=True):
    """One callback: its letter, and the parts that came with it."""

    letter: Letter
    parts: tuple[Part, ...] = ()


def heard(content_type: str, body: bytes) -> Heard:
    """The callback in a request. Raises Mm7Error."""
    try:
        first, *others = parcel.unpack(content_type, body)
    except ParcelError as error:
        raise Mm7Error(error.message) from None
    return Heard(mm7.read(first.octets), tuple(others))


def receipt_of(channel: str, it: Report) -> Receipt | None:
    """What became of a message, if that is final. Whoever read it or threw it away has it."""
    if it.read:
        code = "read" if it.status.lower().startswith("read") else "deleted"
        return Receipt(channel, it.message_id, "delivered", code)
    status = it.status.lower()
    for word, state in _STATES.items():
        if word in status:
            code = "" if state == "delivered" else f"MM7 {word.capitalize()}"
            return Receipt(channel, it.message_id, state, code)
    return None


def reply_of(channel: str, heard: Heard, it: Delivery, country: str) -> Reply:
    """What somebody wrote: the words of the text parts; without any, the subject; without that,
    what kinds of parts came. A centre that brings a message again keeps its TransactionID, but it
    may count anew some day: what was said is in the source id as well."""
    words = [part.text().strip() for part in heard.parts if part.kind == "text/plain"]
    text = "\n".join(filter(None, words)) or it.subject
    if not text:
        text = " ".join(f"[{part.kind}]" for part in heard.parts if part.kind != "application/smil")
    transaction = heard.letter.transaction or it.linked_id
    if not transaction:
        raise Mm7Error("the message has neither a transaction nor an id")
    said = sha256("\0".join((it.sender, it.at, text)).encode("utf-8", "replace")).hexdigest()
    sender = addresses.subscriber(0, it.sender, country)
    return Reply(channel, sender, text[:MOST_TEXT], f"{transaction}:{said[:16]}", it.to)


def proven(settings: MmsSettings, key: str, request: web.Request) -> bool:
    """Whether the call shows what was agreed."""
    match settings.proof:
        case "key":
            return _same(request.query.get("key", ""), key)
        case "basic":
            account = f"{settings.callback_username}:{settings.callback_password}".encode()
            basic = f"Basic {base64.b64encode(account).decode()}"
            return _same(request.headers.get("Authorization", ""), basic)
        case "source":
            try:
                remote = ip_address(request.remote or "")
            except ValueError:
                return False
            return any(remote in ip_network(source) for source in settings.sources)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
