"""A simulated telephone: shows what arrived, and answers by itself or when told to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from time import monotonic
from typing import Protocol

from msgspec import Struct

from channels.sms import pdu, text
from channels.sms.reassembly import Assembled, Fragment, Reassembly, unwrap


class Arrived(Struct, frozen=True):
    """One message as the phone shows it, its parts put together."""

    text: str
    sender: str
    at: datetime
    parts: int


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
    `on` is false the network keeps what is for it.
    """

    def __init__(self, number: str, mast: Mast, *, remembered: int = 200) -> None:
        self.number = number
        self.arrived: deque[Arrived] = deque(maxlen=remembered)
        self.said: deque[Said] = deque(maxlen=remembered)
        self.script: Script | None = None
        self._mast = mast
        self._on = True
        self._parts: Reassembly[None] | None = None

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

    def receive(self, message: pdu.SubmitSm) -> Arrived | None:
        """What this short message makes the phone show; None while parts of it are missing. As on
        a real one, a long message that comes twice is shown twice."""
        at = self._mast.now()
        fragment, octets = unwrap(message)
        if fragment is None:
            words, parts = text.decode(message.data_coding, octets), 1
        else:
            # Parts are waited for by real time, however fast the network's clock runs.
            whole = self._assemble(message, fragment, octets, monotonic())
            if whole is None:
                return None
            words, parts = whole.text, whole.parts
        sender = message.source_addr
        arrived = Arrived(
            words, "+" + sender if message.source_addr_ton == 1 else sender, at, parts
        )
        self.arrived.append(arrived)
        return arrived

    def _assemble(
        self, message: pdu.SubmitSm, fragment: Fragment, octets: bytes, now_s: float
    ) -> Assembled[None] | None:
        if self._parts is None:
            self._parts = Reassembly(max_messages=20)
        self._parts.expire(now_s)
        return self._parts.add(message, fragment, octets, None, now_s)


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
