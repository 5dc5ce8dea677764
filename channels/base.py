"""The contract every channel keeps. A channel turns messages into a carrier's protocol and back;
it knows nothing of journeys, PostgreSQL or the bot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from msgspec import Struct

from orchestrator.core.delivery import (
    Fate,
    Held,
    Late,
    Outcome,
    Outgoing,
    Presence,
    Receipt,
    Reply,
    Spoken,
)
from orchestrator.core.media import Media, MediaError

if TYPE_CHECKING:
    from aiohttp import web

__all__ = [
    "Announcing",
    "Bearer",
    "Called",
    "Capabilities",
    "Channel",
    "Fate",
    "Health",
    "Held",
    "Inbox",
    "Kind",
    "Late",
    "Lined",
    "Means",
    "Media",
    "MediaError",
    "Outcome",
    "Outgoing",
    "Prepared",
    "Presence",
    "Querying",
    "Recalling",
    "Receipt",
    "Reply",
    "Rider",
]

Health = Literal["up", "connecting", "down"]
Place = Literal["gateway", "web"]


class Capabilities(Struct, frozen=True):
    """What a channel can do. `max_text` counts characters of one message, all parts together.
    `window`: so many messages may be under way at once, so that it is not idle with more."""

    max_text: int
    two_way: bool
    receipts: bool
    buttons: bool = False
    media: bool = False
    window: int = 100


async def _nobody_asks(late: Sequence[Late]) -> None:
    """Forgotten."""


async def _nobody_looks(told: Sequence[Presence]) -> None:
    """Forgotten."""


class Inbox(Struct, frozen=True):
    """Where a channel hands in what came from outside. Each call returns only once everything is
    stored: a channel answers its carrier after that, and answers with an error if it raises.
    `late` may be called once the outcome that it corrects is recorded. `presence` says who left an
    address or is back; whoever writes from it is back without that."""

    replies: Callable[[Sequence[Reply]], Awaitable[None]]
    receipts: Callable[[Sequence[Receipt]], Awaitable[None]]
    late: Callable[[Sequence[Late]], Awaitable[None]] = _nobody_asks
    presence: Callable[[Sequence[Presence]], Awaitable[None]] = _nobody_looks


class Channel(Protocol):
    """One way to reach people.

    `send` returns one outcome per message, in any order, and never raises for a message's sake:
    a failed send is a value. `start` returns at once and connects in the background; while not
    connected, `send` gives `unsent`. `stop` lets what is under way finish, then disconnects.
    """

    name: str
    capabilities: Capabilities

    async def start(self, inbox: Inbox) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]: ...

    def health(self) -> Health: ...


@runtime_checkable
class Called(Channel, Protocol):
    """A channel whose carrier calls us over HTTP: `routes` are mounted by the web process."""

    def routes(self) -> list[web.RouteDef]: ...


@runtime_checkable
class Announcing(Protocol):
    """A channel whose carrier must be told where it reaches us, by hand: `callbacks` gives the
    addresses to enter at its console, by what they are for."""

    def callbacks(self) -> Mapping[str, str]: ...


@runtime_checkable
class Lined(Protocol):
    """A channel of several connections, which may be up one by one: `lines` says how each is, by a
    name that stays."""

    def lines(self) -> Mapping[str, Health]: ...


class Prepared(Struct, frozen=True, gc=False):
    """A message that is octets already: the user data of one short message or of several, each with
    its header first (so TP-UDHI is set), 8-bit, at most 140 octets. `sender`: instead of the
    bearer's own."""

    message_id: int
    address: str
    parts: tuple[bytes, ...]
    sender: str = ""
    valid_until: datetime | None = None


@runtime_checkable
class Bearer(Channel, Protocol):
    """A channel of short messages that carries what others prepared, in its windows and at its
    pace. Their receipts come in by the bearer's name. `submit` keeps what `Channel.send` promises.
    """

    async def submit(self, batch: Sequence[Prepared]) -> list[Outcome]: ...


@runtime_checkable
class Rider(Protocol):
    """A channel that goes over another: receipts that come in by that one's name may be its."""

    over: str


@runtime_checkable
class Querying(Protocol):
    """A channel whose carrier can be asked what became of messages. One fate per message, in any
    order; like `Channel.send` it never raises for a message's sake, and it may be repeated."""

    async def query(self, batch: Sequence[Held]) -> list[Fate]: ...


@runtime_checkable
class Recalling(Protocol):
    """A channel that can take messages back: from its carrier, who has not brought them yet, or
    from the phone. Promises what `Querying` does."""

    async def recall(self, batch: Sequence[Held]) -> list[Fate]: ...


async def no_media(name: str) -> Media:
    """Where there are no pictures: MediaError for every name."""
    raise MediaError("there is no picture of this name")


class Means(Struct, frozen=True):
    """What an installation lends the channels it builds.

    `secret` keys their hashes; `now` is domain time. `history` gives the last so many lines that
    were spoken on a channel with an address, oldest first. `built` holds the channels that were
    built before, for those that go over another. `media` gives the picture of a name, as
    `Content.image` has it, or raises MediaError. `country` is the calling code of numbers that come
    without one, where a channel's own settings say nothing.
    """

    secret: bytes
    now: Callable[[], datetime]
    history: Callable[[str, str, int], Awaitable[Sequence[Spoken]]]
    built: Mapping[str, Channel] = {}
    media: Callable[[str], Awaitable[Media]] = no_media
    country: str = ""


class Kind(Struct, frozen=True):
    """How the channels of one folder are configured, built and held.

    `settings` is what `channels.yaml` may say of one: its fields are the keys, its docstring
    their description. `build` makes the channel of a name, or raises OutreachError. In `gateway`
    processes one holds the channel at a time; in `web` processes, where carriers can call it over
    HTTP, all do at once; `place` may be for the settings to say. `over` names the channel that it
    goes over, which is built before. `link` gives the address that opens it and has the person say
    these words, where there is such a thing; it raises OutreachError.
    """

    settings: type[Struct]
    build: Callable[[str, Any, Means], Channel]
    place: Place | Callable[[Any], Place]
    over: Callable[[Any], str] | None = None
    link: Callable[[Any, str], str] | None = None
