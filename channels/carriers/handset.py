"""A simulated telephone: shows what arrived, and answers by itself or when told to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from time import monotonic
from typing import Protocol

from msgspec import Struct

from channels.carriers import mm1
from channels.sms import pdu
from channels.sms.reassembly import Assembled, Fragment, Reassembly, unwrap
from channels.wap_push import carriage
from channels.wap_push.documents import Bookmarks, Document, Indication, Loading, decode
from channels.wap_push.tree import PushError
from orchestrator.core import short_message


class Shot(Struct, frozen=True):
    """A picture as the phone shows it; `name` is another for every other picture."""

    mime: str
    octets: bytes
    name: str

    def __repr__(self) -> str:
        return f"Shot({self.mime} {len(self.octets)})"


class Arrived(Struct, frozen=True):
    """One message as the phone shows it, its parts put together; `href` is the link of a push,
    `subject` and `picture` are those of a multimedia message."""

    text: str
    sender: str
    at: datetime
    parts: int
    href: str = ""
    subject: str = ""
    picture: Shot | None = None


class Said(Struct):
    """One message that the phone sent; `acknowledged_at` is set once the other side has it."""

    text: str
    to: str
    at: datetime
    acknowledged_at: datetime | None = None


class Mast(Protocol):
    """What a phone needs of its network."""

    def now(self) -> datetime: ...

    def carry(self, handset: Handset, said: Said) -> None: ...

    def reachable(self, handset: Handset) -> None: ...


class Handset:
    """The phone of one number. `arrived` and `said` keep the latest messages, oldest first.

    `script` is called with each message that arrived; it may wait, and answer with `say`. While
    `on` is false the network keeps what is for it. A phone that does not take pushes
    (`takes_pushes`) makes them undeliverable.
    """

    def __init__(self, number: str, mast: Mast, *, remembered: int = 200) -> None:
        self.number = number
        self.arrived: deque[Arrived] = deque(maxlen=remembered)
        self.said: deque[Said] = deque(maxlen=remembered)
        self.script: Script | None = None
        self.takes_pushes = True
        self._mast = mast
        self._on = True
        self._parts: Reassembly[None] | None = None
        self._pushes: Pushes | None = None

    @property
    def on(self) -> bool:
        """Switched on, and in reach of the network."""
        return self._on

    def switch_off(self) -> None:
        """Nothing arrives from now on."""
        self._on = False

    def switch_on(self) -> None:
        """What the network kept arrives now."""
        self._on = True
        self._mast.reachable(self)

    def say(self, words: str, to: str) -> Said:
        """The words are on their way to the short code or number `to`.

        They reach whoever is bound there as soon as somebody is, and again until acknowledged.
        """
        said = Said(words, to, self._mast.now())
        self._mast.carry(self, said)
        self.said.append(said)
        return said

    def takes(self, message: pdu.SubmitSm) -> bool:
        """Whether the phone can do anything with this short message."""
        return self.takes_pushes or not _to_push_port(message)

    def receive(self, message: pdu.SubmitSm) -> Arrived | None:
        """What this short message makes the phone show; None while parts of it are missing, or if
        it is a push that shows nothing. As on a real one, a long message that comes twice is shown
        twice."""
        at = self._mast.now()
        fragment, coding, octets = unwrap(message)
        if fragment is None:
            words, parts = short_message.decode(coding, octets), 1
        else:
            # Parts are waited for by real time, however fast the network's clock runs.
            whole = self._assemble(message, fragment, coding, octets, monotonic())
            if whole is None:
                return None
            words, parts, octets = whole.text, whole.parts, whole.octets
        sender = message.source_addr
        sender = "+" + sender if message.source_addr_ton == 1 else sender
        if _to_push_port(message):
            try:
                document = decode(carriage.unpush(octets))
            except PushError:
                return None  # As on a real one: nobody sees what cannot be read.
            return self.receive_push(document, sender, parts)
        arrived = Arrived(words, sender, at, parts)
        self.arrived.append(arrived)
        return arrived

    def receive_push(self, document: Document, sender: str, parts: int = 0) -> Arrived | None:
        """What this document makes the phone show. A notice takes the place of that which it
        replaces; one that was deleted, is older than what is there, or is over shows nothing."""
        now = self._mast.now()
        if self._pushes is None:
            self._pushes = Pushes()
        arrived = self._pushes.shown(document, sender, now, parts)
        for gone in self._pushes.gone(now):
            if gone in self.arrived:
                self.arrived.remove(gone)
        if arrived is not None:
            self.arrived.append(arrived)
        return arrived

    def notified(self, pushed: bytes) -> str:
        """Where the phone fetches the message that this notification names. Raises Mm1Error."""
        return mm1.location(pushed)

    def receive_mms(self, subject: str, words: str, picture: Shot | None, sender: str) -> Arrived:
        """What the multimedia message makes the phone show."""
        arrived = Arrived(words, sender, self._mast.now(), 0, "", subject, picture)
        self.arrived.append(arrived)
        return arrived

    def _assemble(
        self, message: pdu.SubmitSm, fragment: Fragment, coding: int, octets: bytes, now_s: float
    ) -> Assembled[None] | None:
        if self._parts is None:
            self._parts = Reassembly(max_messages=20)
        self._parts.expire(now_s)
        return self._parts.add(message, fragment, coding, octets, None, now_s)


class Pushes:
    """The notices that a phone keeps, by name (WAP-167 §6)."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Indication, Arrived]] = {}
        self._gone: list[Arrived] = []

    def shown(self, document: Document, sender: str, now: datetime, parts: int) -> Arrived | None:
        """What stands on the screen because of this document, if anything does."""
        if isinstance(document, Loading):
            return Arrived("", sender, now, parts, document.href)
        if isinstance(document, Bookmarks):
            words = ", ".join(mark.name for mark in document.marks)
            return Arrived(words, sender, now, parts, document.marks[0].href)
        name = document.si_id or document.href
        if not self._replaced(name, document):
            return None
        over = document.expires is not None and document.expires <= now
        if over or document.action in ("delete", "signal-none"):
            return None
        arrived = Arrived(document.text, sender, now, parts, document.href)
        self._kept[name] = (document, arrived)
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return arrived

    def gone(self, now: datetime) -> list[Arrived]:
        """What is no longer to be seen since the last call: replaced, deleted or over."""
        for name, (document, arrived) in list(self._kept.items()):
            if document.expires is not None and document.expires <= now:
                del self._kept[name]
                self._gone.append(arrived)
        gone, self._gone = self._gone, []
        return gone

    def _replaced(self, name: str, document: Indication) -> bool:
        """The notice of this name made room, unless it is the newer one."""
        if name not in self._kept:
            return True
        kept, arrived = self._kept[name]
        if kept.created and document.created and document.created < kept.created:
            return False
        del self._kept[name]
        self._gone.append(arrived)
        return True


_MOST_KEPT = 50


def _to_push_port(message: pdu.SubmitSm) -> bool:
    payload = message.payload
    if not (message.esm_class & pdu.HAS_HEADER and payload):
        return False
    return carriage.port(payload[1 : payload[0] + 1]) == carriage.PUSH_PORT


Script = Callable[[Handset, Arrived], Awaitable[None]]


def answering(rules: Sequence[tuple[str, str]]) -> Script:
    """A script that answers the sender: each rule is a pattern to find and the words to say."""
    compiled = [(re.compile(pattern), words) for pattern, words in rules]

    async def answer(handset: Handset, arrived: Arrived) -> None:
        for pattern, words in compiled:
            if pattern.search(arrived.text):
                handset.say(words, arrived.sender)
                return

    return answer
