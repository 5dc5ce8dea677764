"""What to do: the outputs of `decide`. The store carries them out in one transaction, set-based."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from orchestrator.core.model import Consent, Conversation, Enrollment, Message


class SendMessage(Struct, frozen=True, gc=False):
    """Queue a rendered message."""

    message: Message


class RerouteMessage(Struct, frozen=True, gc=False):
    """The failed message `message_id` moves on to `message`'s channel, address and content, not
    before `not_before`."""

    message_id: int
    message: Message
    not_before: datetime


class Suppress(Struct, frozen=True, gc=False):
    """A message was not sent, and why. `until` is set when it is only put off."""

    journey: str
    step: str
    template: str
    reason: str
    until: datetime | None = None


class MoveTo(Struct, frozen=True, gc=False):
    """The enrollment now stands so: entered, moved, waiting, finished or left."""

    enrollment: Enrollment


class SetConsent(Struct, frozen=True, gc=False):
    purpose: str
    consent: Consent


class SetAttributes(Struct, frozen=True, gc=False):
    """The subscriber's attributes and tags are now these (whole, not a difference)."""

    attributes: Mapping[str, Any]
    tags: frozenset[str]


class SetLocale(Struct, frozen=True, gc=False):
    locale: str


class EmitEvent(Struct, frozen=True, gc=False):
    """Something for a later turn of the same subscriber to look at."""

    name: str
    properties: Mapping[str, Any]
    source_id: str


class SetConversation(Struct, frozen=True, gc=False):
    """The bot's dialogue with this subscriber is now this one, or none."""

    conversation: Conversation | None


LedgerAccount = Literal["available", "held", "issued", "spent", "expired"]
"""`available` and `held` are the member's; the rest are the house's, kept per member."""


class LotChange(Struct, frozen=True, gc=False):
    """`points` are added to (or, if negative, taken from) the lot named `lot`, which is made with
    `expires_at` if it does not exist."""

    lot: str
    points: int
    expires_at: datetime | None = None


class PostEntry(Struct, frozen=True, gc=False):
    """`points` (> 0) move from account `debit` to account `credit`. `key` is unique per member:
    posting it twice is once. `lots` are the changes this makes to what is available."""

    key: str
    debit: LedgerAccount
    credit: LedgerAccount
    points: int
    reason: str
    at: datetime
    lots: tuple[LotChange, ...] = ()


class Reserve(Struct, frozen=True, gc=False):
    """One item of `reward` goes from free to reserved, held for this member as `hold` until
    `expires_at`; the points are moved by a `PostEntry` beside it. `taken` says which lots paid."""

    hold: str
    reward: str
    points: int
    taken: tuple[LotChange, ...]
    at: datetime
    expires_at: datetime


class Redeem(Struct, frozen=True, gc=False):
    """The hold becomes a sale. `code_hash` is the keyed hash of the code the member was given
    (empty: this reward has no code)."""

    hold: str
    reward: str
    code_hash: bytes
    at: datetime


class Release(Struct, frozen=True, gc=False):
    """The hold ends without a sale; its item is free again."""

    hold: str
    reward: str
    at: datetime


class Invite(Struct, frozen=True, gc=False):
    """Until then, whoever says the code with this keyed hash on another channel is this person."""

    code_hash: bytes
    expires_at: datetime


Effect = (
    SendMessage
    | RerouteMessage
    | Suppress
    | MoveTo
    | SetConsent
    | SetAttributes
    | SetLocale
    | EmitEvent
    | SetConversation
    | PostEntry
    | Reserve
    | Redeem
    | Release
    | Invite
)
