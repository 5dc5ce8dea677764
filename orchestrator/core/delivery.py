"""What passes between the engine's messages and a channel: out, and what comes back."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from orchestrator.core.model import Content

Result = Literal["accepted", "rejected", "unknown", "unsent"]
"""`unknown`: it may have been sent (no answer). `unsent`: provably not sent, safe to try again."""

Retry = Literal["never", "later"]


class Outgoing(Struct, frozen=True, gc=False):
    """One message as a channel gets it. `valid_until`: the carrier may drop it afterwards.
    `series` is the journey and step that sent it: of one series the newest matters, where a channel
    can take back what it brought before. Empty for the bot's answers."""

    message_id: int
    subscriber_id: int
    address: str
    content: Content
    sender: str = ""
    valid_until: datetime | None = None
    contact_class: str = ""
    series: str = ""


class Outcome(Struct, frozen=True, gc=False):
    """What became of one `Outgoing`. `code` is the carrier's (`ESME_RINVDSTADR`), `reason` ours,
    for people; `carrier_id` is what later receipts will name. `retry` matters for `rejected` and
    `unsent`; an `unknown` follows its contact class. `parts` counts SMS segments."""

    message_id: int
    result: Result
    carrier_id: str = ""
    code: str = ""
    reason: str = ""
    retry: Retry = "never"
    parts: int = 1


class Reply(Struct, frozen=True, gc=False):
    """A text, button or command that came in. `source_id` is unique per channel: the same one
    twice is one reply. `text` may hold anything a person can type."""

    channel: str
    address: str
    text: str
    source_id: str
    to: str = ""


class Receipt(Struct, frozen=True, gc=False):
    """What a carrier says of a message later."""

    channel: str
    carrier_id: str
    state: Literal["delivered", "undelivered", "expired", "rejected"]
    code: str = ""


class Late(Struct, frozen=True, gc=False):
    """What a carrier says of a message whose outcome was `unknown`: it took it after all, and
    receipts will call it `carrier_id`."""

    subscriber_id: int
    message_id: int
    carrier_id: str


class Presence(Struct, frozen=True, gc=False):
    """Whether an address can be written to from now on, as its carrier says: `here` is false once
    they have blocked us there or left, and true when they are back."""

    channel: str
    address: str
    here: bool


class Spoken(Struct, frozen=True, gc=False):
    """One side's words in a conversation. `id` is the message's, or the reply's source id."""

    id: str
    by: Literal["us", "them"]
    content: Content
    at: datetime
    delivered: bool = False


class Held(Struct, frozen=True, gc=False):
    """A message that went out before, as its channel asks the carrier about it. `carrier_id` is
    empty if no answer named one."""

    message: Outgoing
    carrier_id: str = ""


Word = Literal[
    "held",
    "delivered",
    "undelivered",
    "expired",
    "rejected",
    "recalled",
    "withdrawn",
    "refused",
    "missing",
    "silent",
    "cannot",
]
"""`held`: the carrier has it, and has not brought it yet. `recalled`: it does not bring it any
more. `withdrawn`: the phone was told to drop it; nobody says whether it did. `refused`: the carrier
does not take it back. `missing`: it knows of no such message, or no longer. `silent`: no answer.
`cannot`: this channel has no way to ask."""


class Fate(Struct, frozen=True, gc=False):
    """What a carrier says of one `Held` when it is asked. `code` is the carrier's, `reason` ours,
    for people. `carrier_id`: by which it knows the message, if that is another."""

    message_id: int
    word: Word
    code: str = ""
    reason: str = ""
    carrier_id: str = ""
