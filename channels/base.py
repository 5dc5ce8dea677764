"""The contract every channel keeps. A channel turns messages into a carrier's protocol and back;
it knows nothing of journeys, PostgreSQL or the bot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from orchestrator.core.delivery import Outcome, Outgoing, Receipt, Reply

__all__ = ["Capabilities", "Channel", "Health", "Inbox", "Outcome", "Outgoing", "Receipt", "Reply"]

Health = Literal["up", "connecting", "down"]


class Capabilities(Struct, frozen=True):
    """What a channel can do. `max_text` counts characters of one message, all parts together."""

    max_text: int
    two_way: bool
    receipts: bool
    buttons: bool = False
    media: bool = False


class Inbox(Struct, frozen=True):
    """Where a channel hands in what came from outside. Each call returns only once everything is
    stored: a channel answers its carrier after that, and answers with an error if it raises."""

    replies: Callable[[Sequence[Reply]], Awaitable[None]]
    receipts: Callable[[Sequence[Receipt]], Awaitable[None]]


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
