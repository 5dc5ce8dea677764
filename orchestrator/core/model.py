"""Frozen values of the domain. All datetimes are aware UTC, all points are integers.

Values are made by the thousand in every turn and refer only to older values, never in a circle:
`gc=False` spares Python's cycle collector from looking at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

SHARDS = 64
"""Subscribers belong to one of so many logical shards (a stable hash of their key)."""

CHAT_CHANNELS = ("webchat", "telegram", "wechat", "whatsapp")
"""Channels that `chat` in a journey's `via` stands for, in order of preference."""

DESK_CHANNELS = ("counter", "calls")
"""Channels whose carrier is a person of ours: at a counter, or with a list of calls to make."""

CHANNEL_WORDS = ("sms", "mms", "wap_push", "chat", *CHAT_CHANNELS, *DESK_CHANNELS)
"""Every word that may stand in `via`."""

_WORDS = {**dict.fromkeys(CHAT_CHANNELS, "chat"), **dict.fromkeys(DESK_CHANNELS, "desk")}


def word_of(channel: str) -> str:
    """The word whose wording a channel uses: `chat` for every chat channel, `desk` for people."""
    return _WORDS.get(channel, channel)


State = Literal[
    "queued",
    "submitting",
    "accepted",
    "rejected",
    "unknown",
    "delivered",
    "undelivered",
    "expired",
    "suppressed",
]
"""Of a message. Never a step back. `suppressed`: dropped at the claim, e.g. after an opt-out."""

Status = Literal["active", "control", "finished", "left"]
"""Of an enrollment. `control`: held out, sent nothing, measured; it stays so to the end."""


PushAction = Literal[
    "signal-none",
    "signal-low",
    "signal-medium",
    "signal-high",
    "execute-low",
    "execute-high",
    "cache",
    "bookmark",
    "homepage",
]
"""What a phone does with a push: show it more or less loudly, open its link, or keep that."""


class Consent(Struct, frozen=True, gc=False, omit_defaults=True):
    """Whether we may write for one purpose, since when, and how we know."""

    granted: bool
    at: datetime
    how: str = ""
    wording: str = ""


class Subscriber(Struct, frozen=True, gc=False):
    """A person. `key` is the operator's own id; `addresses` maps a channel to where it reaches
    them (`{"sms": "+8613800138000"}`); `consents` maps a purpose to its record."""

    id: int
    key: str
    shard: int
    locale: str
    timezone: str | None
    attributes: Mapping[str, Any]
    tags: frozenset[str]
    addresses: Mapping[str, str]
    consents: Mapping[str, Consent]
    created_at: datetime

    def reach(self, word: str) -> tuple[str, str] | None:
        """The channel and address that a `via` word means for this person, or None. Who is handed
        over to a person of ours is known by their telephone number."""
        addresses = self.addresses
        if word == "chat":
            for name in CHAT_CHANNELS:
                if address := addresses.get(name):
                    return name, address
            return None
        if not (address := addresses.get(word)) and word in DESK_CHANNELS:
            address = addresses.get("sms")
        return (word, address) if address else None


class Waiting(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a started step waits for. `since`: only what happens later counts. `until` is the
    enrollment's `due_at`."""

    kind: Literal["reply", "event", "time"]
    since: datetime
    tries: int = 0


class Enrollment(Struct, frozen=True, gc=False):
    """One subscriber in one journey version, standing at one step.

    `due_at` is when a turn must look again (None: only an event can move it). `waiting` is set
    once the step at hand has started and waits. `ran_at` is when the last step with an `at` ran;
    `run` counts entries into this journey from 1.
    """

    journey: str
    version: str
    run: int
    status: Status
    step: str | None
    due_at: datetime | None
    entered_at: datetime
    waiting: Waiting | None = None
    ran_at: datetime | None = None
    ran_step: str | None = None
    goal_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None

    @property
    def open(self) -> bool:
        """Still to be measured or moved."""
        return self.ended_at is None


class Button(Struct, frozen=True, gc=False):
    """A labelled reply: pressing it says `reply`."""

    label: str
    reply: str


class Content(Struct, frozen=True, gc=False, omit_defaults=True):
    """The words of one message on one channel, rendered. Channels use the fields they know.
    `action`: what a phone does with a push, where the channel's own default is not meant.
    `links` are the addresses in it that are to be tracked, see `core.links`."""

    text: str = ""
    subject: str = ""
    href: str = ""
    image: str = ""
    buttons: tuple[Button, ...] = ()
    action: str = ""
    links: tuple[str, ...] = ()


class Message(Struct, frozen=True, gc=False):
    """One thing sent to one subscriber on one channel. `via` holds the channel words still to try
    if this one fails; `contact_class` names its class in the contact policy. `journey`, `run` and
    `step` are empty for the bot's answers. It must have been submitted before `valid_until`, when
    the subscriber's hours end or the message is stale."""

    template: str
    contact_class: str
    channel: str
    address: str
    content: Content
    via: tuple[str, ...] = ()
    journey: str = ""
    run: int = 0
    step: str = ""
    valid_until: datetime | None = None


class Sent(Struct, frozen=True, gc=False):
    """One line of a subscriber's contact history, as the contact policy needs it: the message `id`
    (0 in the turn that queues it), and when it went or, having failed, is to go."""

    at: datetime
    template: str
    journey: str
    contact_class: str
    id: int = 0


class Conversation(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the bot remembers of a dialogue between two replies; forgotten after `until`.

    `since` is when its question was asked (None: no question is open). `unsure` are the instants
    of its last answers to what it did not understand, so that two machines do not talk for ever.
    """

    topic: str
    until: datetime
    choices: tuple[str, ...] = ()
    since: datetime | None = None
    unsure: tuple[datetime, ...] = ()
