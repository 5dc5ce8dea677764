"""Events as those outside report them, by HTTP, by Redis or from a file, how lines are read, and
what became of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

MOST_KEPT = 100_000
"""Characters that are kept of a report that cannot be taken: with fewer, it could never be."""

Word = Annotated[str, Meta(min_length=1, max_length=200)]
Time = Annotated[datetime, Meta(tz=True, description="With its offset; from 1970 to 2999.")]
Number = (
    Annotated[
        str,
        Meta(
            min_length=6,
            max_length=16,
            description="With its country: +8613800138000",
            # Looked for below: here it would take as long as all the rest.
            extra_json_schema={"pattern": r"^\+?[1-9][0-9]{5,14}$"},
        ),
    ]
    | Annotated[int, Meta(ge=10**5, lt=10**15, description="The same without the plus.")]
    | Annotated[float, Meta(ge=10**5, lt=10**15)]
)

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class Timed(Struct, frozen=True):
    """Its `at` is in UTC, and one that calendars and PostgreSQL can go on from."""

    def __post_init__(self) -> None:
        settle(self, self.at)  # type: ignore[attr-defined]


def settle(it: Struct, at: datetime | None) -> None:
    """The `at` of a struct is in UTC. Raises ValueError for one that nobody can go on from."""
    if at is None:
        return
    if not _EARLIEST <= at < _LATEST:
        raise ValueError("Expected a time from 1970 to 2999, in field `at`")
    if at.tzinfo is not UTC:
        msgspec.structs.force_setattr(it, "at", at.astimezone(UTC))


class EventShape(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Something happened to the subscriber of key `subscriber`, or to whoever has the telephone
    `number`: at `at`, or now. The same `source_id` twice is one event."""

    name: Word
    source_id: Word
    subscriber: Word | UnsetType = UNSET
    number: Number | UnsetType = UNSET
    at: Time | None = None
    properties: dict[str, Any] = {}

    @property
    def telephone(self) -> str:
        """The number as addresses hold it, or ''."""
        return "" if self.number is UNSET else f"+{int(self.number)}"


class CheckedShape(EventShape, frozen=True, gc=False):
    """One that was looked at as it was read: it says whom it is about, in one way, and when in a
    way that calendars and PostgreSQL can go on from. Raises ValueError if not."""

    def __post_init__(self) -> None:
        number, at = self.number, self.at
        if (self.subscriber is UNSET) is (number is UNSET):
            raise ValueError("Expected one of `subscriber` and `number`, in field `subscriber`")
        if type(number) is str:
            digits = number.removeprefix("+")
            fine = 6 <= len(digits) <= 15 and digits.isascii() and digits.isdecimal()
            if not fine or digits[0] == "0":
                raise ValueError("Expected a number with its country, in field `number`")
        elif type(number) is float:  # in JSON, 8613800138000.0 is a whole number too
            if not number.is_integer():
                raise ValueError("Expected a whole number, in field `number`")
            msgspec.structs.force_setattr(self, "number", int(number))
        if at is not None and not (at.tzinfo is UTC and 1970 <= at.year < 3000):
            settle(self, at)


class Broken(Struct, frozen=True):
    """A report that cannot be taken: its position, from 0, what it said, and why not. `source_id`
    and `who` (`+8613…`, or `=` and a key) are '' if it cannot be told."""

    position: int
    body: str
    reason: str
    name: str = ""
    source_id: str = ""
    who: str = ""


class Taken(Struct, frozen=True):
    """What became of a batch. How many were `stored`, or `known` by their source ids; `queued` for
    a matcher, since a trigger may need them (stored ones may be queued too); `unmatched`: no
    trigger needs them, and they are of a type of which nothing else is kept. `strangers` and
    `set_aside` are positions in the batch: those whose subscriber is unknown, and those that are
    not as their type is declared."""

    stored: int
    known: int
    strangers: tuple[int, ...]
    queued: int = 0
    unmatched: int = 0
    set_aside: tuple[int, ...] = ()

    @property
    def outcomes(self) -> dict[str, int]:
        """How many came to what."""
        return {
            "stored": self.stored,
            "known": self.known,
            "queued": self.queued,
            "unmatched": self.unmatched,
            "stranger": len(self.strangers),
            "set_aside": len(self.set_aside),
        }


_decode = msgspec.json.Decoder(CheckedShape).decode
_decode_list = msgspec.json.Decoder(list[EventShape]).decode
_decode_lines = msgspec.json.Decoder(EventShape).decode_lines

_numbers = re.compile(r"(?:\+?+[1-9][0-9]{5,14}+,)*+").fullmatch
"""Of many numbers, each with a comma after it: whether all are telephone numbers."""

_AMISS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def quick_list(body: bytes) -> list[EventShape] | None:
    """The reports of a JSON list of them. None if any may not be as it must be, or names nobody by
    a telephone number: then each is to be looked at for itself, at three times the cost."""
    if holds_nul(body):
        return None
    try:
        shapes = _decode_list(body)
    except _AMISS:
        return None
    return shapes if _as_they_must_be(shapes) else None


def quick_lines(lines: bytes) -> list[EventShape] | None:
    """The same of whole NDJSON lines. None also if one is empty or holds more or less than one."""
    if holds_nul(lines):
        return None
    try:
        shapes = _decode_lines(lines)
    except _AMISS:
        return None
    if len(shapes) != count_lines(lines):
        return None
    # msgspec minds no line's end: each must be where a report's is.
    ends = max(0, len(shapes) - 1)
    if lines.count(b"}\n{") != ends and lines.count(b"}\r\n{") != ends:
        return None
    return shapes if _as_they_must_be(shapes) else None


def _as_they_must_be(shapes: Sequence[EventShape]) -> bool:
    """Whether `CheckedShape` would find fault with none of them, for all at once."""
    numbers = [it.number for it in shapes if it.subscriber is UNSET]
    if len(numbers) != len(shapes):
        return False
    try:
        texts = ",".join(numbers)  # type: ignore[arg-type]
    except TypeError:
        return False
    years = {it.at.year for it in shapes if it.at is not None}
    # The first and the last year that are certainly in, wherever on Earth.
    if years and not 1970 < min(years) <= max(years) < 2999:
        return False
    texts += ","
    return not shapes or (_numbers(texts) is not None and texts.count(",") == len(shapes))


def holds_nul(octets: bytes) -> bool:
    """Whether a text may hold NUL, which PostgreSQL cannot."""
    return b"\\" in octets and b"\\u0000" in octets


def read_lines(lines: bytes, first: int = 0) -> tuple[list[tuple[int, EventShape]], list[Broken]]:
    """The reports of whole NDJSON lines, each with its position, counted from `first`; and those
    that cannot be read. Empty lines count and say nothing."""
    if (shapes := quick_lines(lines)) is not None:
        return [*enumerate(shapes, first)], []
    read: list[tuple[int, EventShape]] = []
    broken: list[Broken] = []
    for position, line in enumerate(lines.split(b"\n"), first):
        if not line.strip():
            continue
        found = read_one(line, position)
        if isinstance(found, Broken):
            broken.append(found)
        else:
            read.append((position, found))
    return read, broken


def count_lines(lines: bytes) -> int:
    """How many lines there are; the last one may lack its end."""
    return lines.count(b"\n") + (not lines.endswith(b"\n") if lines else 0)


def read_one(octets: bytes, position: int = 0) -> EventShape | Broken:
    """One report of JSON, or why it is none."""
    try:
        shape = _decode(octets)
    except _AMISS as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        return _guessed(position, octets, reason)
    if holds_nul(octets) and _has_nul(msgspec.to_builtins(shape)):
        return _guessed(position, octets, "It holds a NUL character (\\u0000).")
    return shape


def unfit(it: EventShape, position: int, reason: str) -> Broken:
    """A report that could be read, and cannot be taken for this reason."""
    if it.at is not None:  # so that the same one again is known to be the same
        it = msgspec.structs.replace(it, at=it.at.astimezone(UTC))
    body = msgspec.json.encode(it).decode()
    who = it.telephone or f"={it.subscriber}"
    return Broken(position, body[:MOST_KEPT], reason, it.name, it.source_id, who)


class _Guess(Struct):
    """What can still be told of a report that is not as it must be."""

    name: Any = ""
    source_id: Any = ""
    subscriber: Any = None
    number: Any = None


def _guessed(position: int, octets: bytes, reason: str) -> Broken:
    body = _clean(octets.decode("utf-8", "replace").strip()[:MOST_KEPT])
    try:
        guess = msgspec.json.decode(octets, type=_Guess)
    except _AMISS:
        return Broken(position, body, reason)
    digits = str(guess.number or "").removeprefix("+")
    who = f"+{digits}" if digits.isdecimal() and digits.isascii() else ""
    if not who and isinstance(guess.subscriber, str):
        who = f"={guess.subscriber}"
    name, source_id = (it if isinstance(it, str) else "" for it in (guess.name, guess.source_id))
    return Broken(
        position, body, reason, _clean(name)[:200], _clean(source_id)[:200], _clean(who)[:201]
    )


def _clean(text: str) -> str:
    return text.replace("\0", "")


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(it) for key, it in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
