"""Long messages put together again from their parts, within bounded memory and time.

Parts are known by a user data header with an 8- or 16-bit reference (GSM 03.40 §9.2.3.24.1, .8) or
by the sar_* optional parameters (SMPP 3.4 §5.3.2.22–24).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Literal, TypeVar

from msgspec import Struct

from channels.sms import pdu
from orchestrator.core import short_message
from orchestrator.core.alphabets import LOCKING_SHIFT, SINGLE_SHIFT, Tables

_CONCAT_8, _CONCAT_16 = 0x00, 0x08
_MAX_PART_OCTETS = 254
"""One part is 140 octets on the air, 160 unpacked; what is longer is no part, and waits nowhere."""

Mark = TypeVar("Mark")
Key = tuple[str, str, int, int, int]
"""Who wrote, to whom, which reference, of how many parts, the type of the writer's number."""


class Fragment(Struct, frozen=True):
    """Part `number` of `total` (from 1) of the message that `reference` names."""

    reference: int
    total: int
    number: int


def unwrap(
    message: pdu.SubmitSm | pdu.DeliverSm,
) -> tuple[Fragment | None, int, bytes]:
    """Which part of a long message this is, if any, its coding as `short_message.decode` takes it,
    and its text in octets."""
    payload, coding = message.payload, message.data_coding
    short = len(payload) <= _MAX_PART_OCTETS
    if message.esm_class & pdu.HAS_HEADER and payload:
        end = payload[0] + 1
        fragment, tables = _in_header(payload[1:end])
        if fragment is None and message.tlvs:
            fragment = _in_tlvs(message)
        return fragment if short else None, short_message.coding(coding, tables), payload[end:]
    if message.tlvs and short:
        return _in_tlvs(message), coding, payload
    return None, coding, payload


def _in_header(header: bytes) -> tuple[Fragment | None, Tables]:
    fragment, locking, single = None, 0, 0
    at = 0
    while at + 2 <= len(header):
        kind, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if kind == _CONCAT_8 and len(value) == 3:
            fragment = fragment or _fragment(value[0], value[1], value[2])
        elif kind == _CONCAT_16 and len(value) == 4:
            wide = value[0] << 8 | value[1] | 0x10000
            fragment = fragment or _fragment(wide, value[2], value[3])
        elif kind == SINGLE_SHIFT and len(value) == 1:
            single = value[0]
        elif kind == LOCKING_SHIFT and len(value) == 1:
            locking = value[0]
        at += 2 + length
    return fragment, Tables(locking, single)


def _in_tlvs(message: pdu.SubmitSm | pdu.DeliverSm) -> Fragment | None:
    reference = message.tlv(pdu.SAR_REFERENCE)
    total, number = message.tlv(pdu.SAR_TOTAL), message.tlv(pdu.SAR_NUMBER)
    if not (reference and total and number):
        return None
    return _fragment(int.from_bytes(reference[:4], "big") | 0x20000, total[-1], number[-1])


def _fragment(reference: int, total: int, number: int) -> Fragment | None:
    """GSM 03.40: a header with impossible numbers is ignored; one part is no long message."""
    return Fragment(reference, total, number) if 1 <= number <= total and total > 1 else None


class Assembled(Struct, Generic[Mark], frozen=True):
    """A long message as it stands: `marks` are what was handed in with its parts, `octets` its text
    before it was read. `whole` is false when parts never came."""

    key: Key
    text: str
    marks: tuple[Mark, ...]
    parts: int
    whole: bool
    octets: bytes


class _Partial(Generic[Mark]):
    def __init__(self, now: float) -> None:
        self.since = now
        self.parts: dict[int, tuple[int, bytes]] = {}
        self.marks: list[Mark] = []

    def assembled(self, key: Key) -> Assembled[Mark]:
        in_order = [self.parts[number] for number in sorted(self.parts)]
        codings = {coding for coding, _ in in_order}
        joined = b"".join([octets for _, octets in in_order])
        if len(codings) == 1:
            words = short_message.decode(codings.pop(), joined)
        else:
            words = "".join([short_message.decode(coding, octets) for coding, octets in in_order])
        whole = len(self.parts) == key[3]
        return Assembled(key, words, tuple(self.marks), len(in_order), whole, joined)


class Reassembly(Generic[Mark]):
    """Keeps parts until their message is whole, at most `max_messages` and `max_age_s` long.

    What never becomes whole comes out of `expire` with what there is: half a reply is worth more
    than none. A part of a message that was whole a moment ago is a repetition, and is dropped.
    """

    def __init__(self, *, max_messages: int = 1000, max_age_s: float = 120.0) -> None:
        self._max_messages = max_messages
        self._max_age_s = max_age_s
        self._partials: OrderedDict[Key, _Partial[Mark]] = OrderedDict()
        self._finished: OrderedDict[Key, float] = OrderedDict()
        self._stored: set[Key] = set()

    def __len__(self) -> int:
        return len(self._partials)

    def add(
        self,
        message: pdu.SubmitSm | pdu.DeliverSm,
        fragment: Fragment,
        coding: int,
        octets: bytes,
        mark: Mark,
        now: float,
    ) -> Assembled[Mark] | None:
        """The long message, if this part was the last one missing. Ask `finished` first."""
        key = _key(message, fragment)
        partial = self._partials.get(key)
        if partial is None:
            partial = self._partials[key] = _Partial(now)
        partial.parts[fragment.number] = (coding, octets)
        partial.marks.append(mark)
        if len(partial.parts) < fragment.total:
            return None
        del self._partials[key]
        self._finished[key] = now
        self._finished.move_to_end(key)
        self._stored.discard(key)
        return partial.assembled(key)

    def finished(
        self, message: pdu.SubmitSm | pdu.DeliverSm, fragment: Fragment, now: float
    ) -> Literal["no", "storing", "stored"]:
        """Whether this part's message was whole within `max_age_s`: then it is a repetition."""
        key = _key(message, fragment)
        finished_at = self._finished.get(key)
        if finished_at is None or now - finished_at >= self._max_age_s:
            return "no"
        return "stored" if key in self._stored else "storing"

    def settle(self, key: Key, stored: bool) -> None:
        """The whole message is stored; or it is not, and all its parts are expected again."""
        if stored:
            self._stored.add(key)
        else:
            self._finished.pop(key, None)

    def waiting(self, since: float) -> list[Mark]:
        """The marks of parts that wait since before then; each comes out once."""
        released: list[Mark] = []
        for partial in self._partials.values():
            if partial.since > since:
                break
            released.extend(partial.marks)
            partial.marks.clear()
        return released

    def leftovers(self) -> list[Assembled[Mark]]:
        """What there is of messages none of whose parts will be brought again."""
        keys = [key for key, partial in self._partials.items() if not partial.marks]
        return [self._partials.pop(key).assembled(key) for key in keys]

    def expire(self, now: float) -> list[Assembled[Mark]]:
        """What is too old to wait for, or one too many to keep."""
        out = []
        while self._partials:
            key, partial = next(iter(self._partials.items()))
            if now - partial.since < self._max_age_s and len(self._partials) <= self._max_messages:
                break
            del self._partials[key]
            out.append(partial.assembled(key))
        while self._finished:
            key, finished_at = next(iter(self._finished.items()))
            if now - finished_at < self._max_age_s and len(self._finished) <= self._max_messages:
                break
            del self._finished[key]
            self._stored.discard(key)
        return out


def _key(message: pdu.SubmitSm | pdu.DeliverSm, fragment: Fragment) -> Key:
    return (
        message.source_addr,
        message.destination_addr,
        fragment.reference,
        fragment.total,
        message.source_addr_ton,
    )
