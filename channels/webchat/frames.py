"""What passes between a page and the channel: JSON objects, told apart by `type`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from orchestrator.core.delivery import Outgoing, Spoken
from orchestrator.core.model import Button

MAX_TEXT = 2_000
"""Characters that a person may type in one go. A page says so before it sends."""

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]

Reason = Literal["malformed", "empty", "too_long", "too_fast", "try_again"]


class Image(Struct, frozen=True):
    """A picture in a bubble: where it is, from the page's own parts on, and its pixels."""

    src: str
    width: int
    height: int


class Line(Struct, frozen=True, omit_defaults=True):
    """One bubble. `by` is who said it: `us`, or `you` at the page. `id` is the message id, or the
    reply's source id. `acknowledged`: some page has shown it before. `shows` names the picture that
    the message has, `image` is it; a page is told the latter."""

    id: str
    by: Literal["us", "you"]
    text: str
    at: datetime
    href: str = ""
    buttons: tuple[Button, ...] = ()
    acknowledged: bool = False
    image: Image | None = None
    shows: str = ""

    @classmethod
    def of(cls, message: Outgoing, at: datetime) -> Line:
        """The bubble of a message."""
        said = message.content
        text = said.text if not said.subject else f"{said.subject}\n{said.text}".rstrip()
        return cls(
            str(message.message_id), "us", text, at, said.href, said.buttons, shows=said.image
        )

    @classmethod
    def spoken(cls, it: Spoken) -> Line:
        """The bubble of what was said before."""
        said = it.content
        by: Literal["us", "you"] = "us" if it.by == "us" else "you"
        text = f"{said.subject}\n{said.text}".strip()
        return cls(it.id, by, text, it.at, said.href, said.buttons, it.delivered, shows=said.image)


class Say(Struct, frozen=True, tag="say"):
    """The page: a person said `text`. `id` is the page's own, the same when it is said again."""

    id: Annotated[str, Meta(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    text: str


class Seen(Struct, frozen=True, tag="seen"):
    """The page: these messages are on the screen."""

    ids: Annotated[list[Id], Meta(max_length=500)]


class Lines(Struct, frozen=True, tag="lines"):
    """To the page: show these, oldest first. `whole`: they are the history, up to now."""

    lines: list[Line]
    whole: bool = False


class Stored(Struct, frozen=True, tag="stored"):
    """To the page: what it said as `id` is safe with us, since `at`."""

    id: str
    at: datetime


class Refused(Struct, frozen=True, tag="refused"):
    """To the page: it was not taken. Saying it again helps for `too_fast` and `try_again`."""

    reason: Reason
    id: str = ""
    limit: int = MAX_TEXT


decode = msgspec.json.Decoder(Say | Seen).decode
encode = msgspec.json.Encoder().encode
