"""What a telephone shows, whichever network it is on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from msgspec import Struct

from orchestrator.core.model import Button


class Heard(Protocol):
    """A message that arrived on a phone."""

    @property
    def text(self) -> str: ...
    @property
    def sender(self) -> str: ...
    @property
    def at(self) -> datetime: ...


class Spoken(Protocol):
    """A message that a phone sent; acknowledged once the other side has it."""

    @property
    def text(self) -> str: ...
    @property
    def to(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def acknowledged_at(self) -> datetime | None: ...


class Phone(Protocol):
    """A simulated telephone, or a simulated visitor of the web chat."""

    @property
    def number(self) -> str: ...
    @property
    def on(self) -> bool: ...
    @property
    def arrived(self) -> Sequence[Heard]: ...
    @property
    def said(self) -> Sequence[Spoken]: ...

    def say(self, words: str, to: str) -> Any: ...

    def switch_on(self) -> None: ...

    def switch_off(self) -> None: ...


class Bubble(Struct, frozen=True, omit_defaults=True):
    """One message on a screen. `parts`: how many SMS it took, 0 where that means nothing.
    `picture` is the name of the one that it shows."""

    by: str
    text: str
    at: datetime
    parts: int = 0
    acknowledged: bool = False
    href: str = ""
    buttons: tuple[Button, ...] = ()
    subject: str = ""
    picture: str = ""


class Shown(Struct, frozen=True):
    """One phone. `rank` orders phones by their latest change; `said` counts what was said on it;
    `other` is whom it would write to."""

    number: str
    rank: int
    on: bool
    said: int
    other: str
    lines: list[Bubble]


def conversation(phone: Phone, most: int | None) -> list[Bubble]:
    """The latest `most` bubbles of a phone, or all it remembers, oldest first."""
    heard = list(phone.arrived)[-(most or 0) :]
    spoken = list(phone.said)[-(most or 0) :]
    lines = [
        Bubble(
            "us",
            it.text,
            it.at,
            parts=getattr(it, "parts", 0),
            href=getattr(it, "href", ""),
            buttons=getattr(it, "buttons", ()),
            subject=getattr(it, "subject", ""),
            picture=getattr(getattr(it, "picture", None), "name", ""),
        )
        for it in heard
    ]
    lines += [
        Bubble("you", it.text, it.at, acknowledged=it.acknowledged_at is not None) for it in spoken
    ]
    lines.sort(key=_at)
    return lines[-(most or 0) :]


def picture_of(phone: Phone, name: str) -> tuple[str, bytes] | None:
    """Type and octets of a picture that the phone shows, or None."""
    for it in phone.arrived:
        shot = getattr(it, "picture", None)
        if shot is not None and shot.name == name:
            return shot.mime, shot.octets
    return None


def last_at(phone: Phone) -> datetime:
    """When something last happened on this phone; long ago, if never."""
    lines = conversation(phone, 1)
    return lines[0].at if lines else datetime(1970, 1, 1, tzinfo=UTC)


def _at(bubble: Bubble) -> datetime:
    return bubble.at
