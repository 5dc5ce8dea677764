"""Delivery receipts: what a carrier says of a message later, from text and optional parameters.

The text form is SMPP 3.4 appendix B (`id:… sub:… dlvrd:… submit date:… done date:… stat:DELIVRD
err:000 text:…`), the optional parameters are §5.3.2.12, §5.3.2.31 and §5.3.2.35. Carriers disagree
on whether the text writes a message id in decimal or in hexadecimal; `ReceiptIds` brings it back to
the form in which the message was accepted. What else they disagree on is in the table of
`tests/channels/sms/test_dialects.py`.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from channels.sms import pdu
from orchestrator.core import short_message

FinalState = Literal["delivered", "undelivered", "expired", "rejected"]

MAX_ID_CHARACTERS = 255
"""Of a message id. SMPP 3.4 §5.2.23 allows 64; what is longer is cut alike wherever it stands."""

_MAX_WORD_CHARACTERS = 20
_TYPE_BITS = 0x3C
_INTERMEDIATE = 0x20

_USUAL = re.compile(
    r"id:(\S+) sub:\S+ dlvrd:\S+ submit date:\S+ done date:\S+ stat:([A-Z]+) err:(\w+)"
)
"""The text as the specification gives it: three times as quick to find as its dialects."""
_WORDS = re.compile(r"\btext:", re.IGNORECASE)
"""Before the message's own words, which may hold anything."""
_ID = re.compile(r"\bid:\s*(?!sub:|stat:)(\S+)", re.IGNORECASE)
_STAT = re.compile(r"\bstat:\s*(?!err:)([a-z]{2}:\w+|\w+)", re.IGNORECASE)
_ERR = re.compile(r"\berr:\s*([\w-]+)", re.IGNORECASE)
_BY_WORD: dict[str, FinalState] = {
    "DELIV": "delivered",
    "0": "delivered",
    "EXPIR": "expired",
    "DELET": "undelivered",
    "UNDEL": "undelivered",
    "FAILE": "undelivered",
    "REJEC": "rejected",
}
"""By the first five letters: carriers write DELIVRD, DELIVERED … ENROUTE, ACCEPTD and UNKNOWN are
not final: nothing more is known of the message than before."""
_BY_NUMBER: dict[int, tuple[FinalState, str]] = {
    2: ("delivered", "DELIVRD"),
    3: ("expired", "EXPIRED"),
    4: ("undelivered", "DELETED"),
    5: ("undelivered", "UNDELIV"),
    8: ("rejected", "REJECTD"),
}


class CarrierReceipt(Struct, frozen=True):
    """What one receipt says. `exact`: the id stood in an optional parameter, where it has the form
    in which the message was accepted."""

    message_id: str
    exact: bool
    state: FinalState
    code: str


def is_receipt(message: pdu.DeliverSm) -> bool:
    """True for receipts and intermediate notifications, false for what a person sent.

    Text alone never makes a receipt: anybody can type `id:1 stat:DELIVRD`.
    """
    kind = message.esm_class & _TYPE_BITS
    if kind:
        return True
    return (
        bool(message.tlvs)
        and message.tlv(pdu.RECEIPTED_MESSAGE_ID) is not None
        and (message.tlv(pdu.MESSAGE_STATE) is not None)
    )


def read(message: pdu.DeliverSm) -> CarrierReceipt | None:
    """The receipt's content; None when it names no message or no final state."""
    if message.esm_class & _TYPE_BITS == _INTERMEDIATE:
        return None
    # Most write ASCII, whatever data_coding says; the few others are tried after that.
    words = message.payload.replace(b"\0", b"\x7f").decode("latin-1")  # no store takes a NUL
    found = _USUAL.match(words)
    if found is not None:
        message_id, word, error = found.groups()
    else:
        message_id, word, error = _pieces(words)
        if not message_id:
            message_id, word, error = _pieces(
                short_message.decode(message.data_coding, message.payload)
            )
    state = _BY_WORD.get(word[:5].upper())
    if ":" in word:
        state = "undelivered"  # a code of CMPP's, such as MK:0010, at carriers who speak both
    code = word[:_MAX_WORD_CHARACTERS].upper()
    exact = False
    for tag, value in message.tlvs:
        if tag == pdu.RECEIPTED_MESSAGE_ID:
            message_id, exact = value.partition(b"\0")[0].decode("latin-1"), True
        elif tag == pdu.MESSAGE_STATE and value:
            state, code = _BY_NUMBER.get(value[-1], (None, ""))
        elif tag == pdu.NETWORK_ERROR_CODE and len(value) == 3 and not error.strip("0"):
            error = str(int.from_bytes(value[1:], "big"))
    if state is None or not message_id:
        return None
    if error.strip("0"):
        code = f"{code}/{error[:_MAX_WORD_CHARACTERS]}"
    return CarrierReceipt(message_id[:MAX_ID_CHARACTERS], exact, state, code)


def final_of(message_state: int) -> tuple[FinalState, str] | None:
    """The final state of this number (§5.2.28) and its word; None if it is not one."""
    return _BY_NUMBER.get(message_state)


def _pieces(words: str) -> tuple[str, str, str]:
    """Message id, state and error, each empty if it is not there, in whatever order they are."""
    head = _WORDS.split(words, maxsplit=1)[0]
    found = (_ID.search(head), _STAT.search(head), _ERR.search(head))
    message_id, word, error = (it.group(1) if it else "" for it in found)
    return message_id, word, error


def _number(written: str, base: int) -> int | None:
    try:
        return int(written, base)
    except ValueError:
        return None


def _respell(read_base: int, form: str) -> Callable[[str], str]:
    def respell(written: str) -> str:
        number = _number(written, read_base)
        return written if number is None else format(number, form)

    return respell


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    _respell(10, "d"),
    _respell(10, "x"),
    _respell(10, "X"),
    _respell(10, "08x"),
    _respell(10, "08X"),
    _respell(16, "d"),
    _respell(16, "010d"),
)
"""How a receipt's id may turn into that of the response, the plainest first."""


_VOTES = 3


class ReceiptIds:
    """Message ids in one form, however responses and receipts write them.

    `same`: both alike. `dec`: receipts are decimal, responses hexadecimal. `hex`: the other way.
    `auto`: each receipt whose id equals a recently accepted one under exactly one reading votes for
    that reading, and three votes without contradiction decide.
    """

    def __init__(
        self, mode: Literal["auto", "same", "dec", "hex"], *, remembered: int = 10_000
    ) -> None:
        self._mode = mode
        self._remembered = remembered
        self._votes: Counter[Callable[[str], str]] = Counter()
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._spell: Callable[[str], str] | None = str if mode == "same" else None
        self._response_base = {"dec": 16, "hex": 10}.get(mode, 0)
        self._receipt_base = {"dec": 10, "hex": 16}.get(mode, 0)

    @property
    def plain(self) -> bool:
        """Ids of responses need no looking at (any more)."""
        return self._spell is not None

    def accepted(self, message_id: str) -> str:
        """The id to keep for a message that was accepted under this one."""
        if self._spell is not None:
            return message_id
        if self._response_base:
            return self._decimal(message_id, self._response_base)
        self._recent[message_id] = None
        if len(self._recent) > self._remembered:
            self._recent.popitem(last=False)
        return message_id

    def receipted(self, receipt: CarrierReceipt) -> str:
        """The kept id that this receipt means."""
        if self._receipt_base:
            base = self._response_base if receipt.exact else self._receipt_base
            return self._decimal(receipt.message_id, base)
        if receipt.exact:
            return receipt.message_id
        return self._spell(receipt.message_id) if self._spell else self._read(receipt.message_id)

    def asked(self, kept: str) -> str:
        """The id by which the carrier knows a message that is kept under this one. Where ids are
        brought into one form, zeros that began it are lost."""
        if self._response_base == 16 and (number := _number(kept, 10)) is not None:
            return format(number, "x")
        return kept

    def _read(self, written: str) -> str:
        """The one reading that was accepted lately, or the id as it stands; counts as a vote."""
        readings: dict[str, Callable[[str], str]] = {}
        for spell in _SPELLINGS:
            readings.setdefault(spell(written), spell)
        matching = [spelled for spelled in readings if spelled in self._recent]
        if len(matching) != 1:
            return written
        if len(readings) > 1:
            self._vote(readings[matching[0]])
        return matching[0]

    def _vote(self, spell: Callable[[str], str]) -> None:
        self._votes[spell] += 1
        others = self._votes.total() - self._votes[spell]
        if self._votes[spell] >= max(_VOTES, _VOTES * others):
            self._spell = spell
            self._recent.clear()

    @staticmethod
    def _decimal(written: str, base: int) -> str:
        number = _number(written, base)
        return written if number is None else str(number)
