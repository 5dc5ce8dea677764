"""What happened to a subscriber: the inputs of `decide`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

Joined = Literal["", "done", "wrong", "taken", "often"]
"""`done`: the address is theirs now. `wrong`: there is no such code, or no longer. `taken`: two
people we know cannot become one. `often`: too many wrong ones; it was not looked at."""


class SubscriberEvent(Struct, frozen=True):
    """Something happened out there, or was emitted by a journey: may enter, move or end journeys,
    reach goals and earn points. `source_id` makes what it earns happen once."""

    name: str
    at: datetime
    properties: Mapping[str, Any]
    source_id: str


class Entered(Struct, frozen=True):
    """A segment, or a journey's `enroll`, brings the subscriber into `journey`."""

    journey: str
    at: datetime


class Triggered(Struct, frozen=True):
    """A trigger fired: entry `number` of `journey`, at `at`, of the event `name` at `began`. What
    its conditions ask of the subscriber, and its hours, are still to be judged."""

    journey: str
    number: int
    name: str
    began: datetime
    at: datetime
    properties: Mapping[str, Any]
    source_id: str


class TimerDue(Struct, frozen=True):
    """Time has come for every enrollment whose `due_at` has passed."""


class ReplyReceived(Struct, frozen=True):
    """A reply, already found not to be the bot's to answer. `channel` is where it came in.
    `joined`: what became of the code in it that joins this address to a person."""

    text: str
    channel: str
    address: str
    at: datetime
    source_id: str
    joined: Joined = ""


class MessageFailed(Struct, frozen=True):
    """A carrier gave up on a message: it moves on to the next channel of its `via`, once."""

    message_id: int
    template: str
    contact_class: str
    journey: str
    run: int
    step: str
    via: tuple[str, ...]
    state: Literal["rejected", "undelivered", "expired"]
    at: datetime


Event = SubscriberEvent | Triggered | Entered | TimerDue | ReplyReceived | MessageFailed
