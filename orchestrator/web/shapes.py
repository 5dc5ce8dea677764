"""What callers of the API send, and what exactly is wrong with it when it cannot be taken."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct
from msgspec.json import Decoder

from orchestrator.runtime.reports import CheckedShape, Time, Timed, Word, holds_nul
from orchestrator.web.problem import Flaw, ProblemError

MAX_ITEMS = 1_000
"""Per request."""

_MOST_FLAWS = 20
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_FIELD = re.compile(r"field `(.+?)`")


class ConsentShape(Timed, frozen=True, forbid_unknown_fields=True):
    """Whether we may write for a purpose, since when, and how we know."""

    granted: bool
    at: Time
    how: str = ""
    wording: str = ""


class SubscriberShape(Struct, frozen=True, forbid_unknown_fields=True):
    """A subscriber as the caller knows them. What is not said stays as it is."""

    key: Word
    locale: Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")] | None = None
    timezone: Word | None = None
    attributes: dict[str, Any] = {}
    tags: tuple[Word, ...] = ()
    addresses: Mapping[Word, Word] = {}
    consents: Mapping[Word, ConsentShape] = {}


Shape = TypeVar("Shape", CheckedShape, SubscriberShape)
One = TypeVar("One", bound=Struct)

_ONES: Mapping[type, Decoder[Any]] = {it: Decoder(it) for it in (CheckedShape, SubscriberShape)}
_LISTS: Mapping[type, Decoder[Any]] = {
    it: Decoder(list[it])  # type: ignore[valid-type]
    for it in (CheckedShape, SubscriberShape)
}


def read_batch(body: bytes, shape: type[Shape]) -> list[Shape]:
    """The items of a body that holds one or a list of them; whole or not at all.

    Raises ProblemError: 400 if it is no JSON, 413 if there are too many, 422 with every flaw.
    """
    several = body.lstrip()[:1] == b"["
    # The quick way, for what is right; NUL, which PostgreSQL cannot hold, is looked for below.
    if not holds_nul(body):
        try:
            read = _LISTS[shape].decode(body) if several else [_ONES[shape].decode(body)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            refuse_many(read)
            return read
    try:
        # Whatever is no JSON fails here, also where it is one item.
        if several:
            raws = msgspec.json.decode(body, type=list[Raw])
        else:
            raws = [msgspec.json.decode(body, type=Raw)]
        refuse_many(raws)
        return _examined(raws, shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, "The body is not JSON", str(error)) from None
    except RecursionError:
        raise ProblemError(400, "The body is nested too deep") from None


def read_one(body: bytes, shape: type[One]) -> One:
    """The one thing that a body holds. Raises ProblemError: 400 if it is no JSON, 422 with what is
    wrong."""
    try:
        if holds_nul(body):
            raise ProblemError(422, "Not valid", "It holds a NUL character (\\u0000).")
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise ProblemError(422, "Not valid", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, "The body is not JSON", str(error)) from None


def refuse_many(items: Sequence[object]) -> None:
    """Raises ProblemError (413) if these are too many for one request."""
    if len(items) > MAX_ITEMS:
        raise ProblemError(
            413, f"{len(items)} items at once", f"Send at most {MAX_ITEMS} per request."
        )


def _examined(raws: list[Raw], shape: type[Shape]) -> list[Shape]:
    items: list[Shape] = []
    flaws: list[Flaw] = []
    for index, raw in enumerate(raws):
        try:
            item = msgspec.json.decode(raw, type=shape)
        except msgspec.ValidationError as error:
            flaws.append(_flaw(index, str(error)))
            continue
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            flaws.append(Flaw(index, "", str(error)))
            continue
        if field := _holding_nul(item):
            flaws.append(Flaw(index, field, "It holds a NUL character (\\u0000)."))
        items.append(item)
    if flaws:
        title = f"{len(flaws)} of {len(raws)} cannot be taken" if len(raws) > 1 else "Not valid"
        raise ProblemError(422, title, "Nothing of it was stored.", flaws=flaws[:_MOST_FLAWS])
    return items


def _flaw(index: int, message: str) -> Flaw:
    """msgspec's words, with the field told apart from them."""
    path = _PATH.search(message)
    detail = _PATH.sub("", message)
    field = path[1] if path else ""
    if named := _FIELD.search(detail):
        field = f"{field}.{named[1]}" if field else named[1]
    return Flaw(index, field, detail)


def _holding_nul(item: Struct) -> str:
    """The name of the first field with a NUL character somewhere in it, or nothing."""
    for name, value in msgspec.structs.asdict(item).items():
        if value is not UNSET and _has_nul(msgspec.to_builtins(value)):
            return name
    return ""


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(it) for key, it in value.items())
    if isinstance(value, list | tuple):
        return any(_has_nul(it) for it in value)
    return False
