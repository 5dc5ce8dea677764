"""The document that tells somebody everything an installation holds about them.

The shape is stable: within format `outreach-export/1` keys are only added. Instants are UTC, as
RFC 3339 has them; long ids are texts, so that no reader rounds them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Instant = Annotated[datetime, Meta(tz=True)]


class Person(Struct, frozen=True):
    """Who they are to us: `id` is our number for them, `key` the operator's own; `consents` those
    in force by purpose; `conversation` what the bot remembers until its time is over."""

    id: str
    key: str
    locale: str
    timezone: str | None
    created_at: Instant
    attributes: dict[str, Any]
    tags: list[str]
    addresses: dict[str, str]
    consents: dict[str, Any]
    conversation: dict[str, Any] | None


class Reach(Struct, frozen=True):
    """An address, on its channel; `gone_at` is since when they cannot be reached there."""

    channel: str
    address: str
    gone_at: Instant | None


class Listing(Struct, frozen=True):
    """A list of numbers that an address stands on, and where the list came from."""

    list: str
    address: str
    source: str
    loaded_at: Instant


class ConsentRecord(Struct, frozen=True):
    """A consent given or withdrawn: when, how, and in which words."""

    at: Instant
    purpose: str
    granted: bool
    how: str
    wording: str


class Used(Struct, frozen=True):
    """What was counted of a measure in a month that begins on `month`, and on its `days`."""

    measure: str
    month: date
    total: float
    days: dict[str, float]


class Enrollment(Struct, frozen=True):
    """One run of a journey, in one version of it."""

    journey: str
    version: str
    run: int
    status: str
    step: str | None
    entered_at: Instant
    due_at: Instant | None
    waiting: dict[str, Any] | None
    ran_at: Instant | None
    ran_step: str | None
    goal_at: Instant | None
    ended_at: Instant | None
    reason: str | None
    held: bool
    tries: int


class Version(Struct, frozen=True):
    """A version of a journey: the file it was in, and when it was first applied."""

    version: str
    journey: str
    path: str
    applied_at: Instant


class Message(Struct, frozen=True):
    """A message to them: `at` is when it was decided, `content` its words."""

    id: str
    at: Instant
    template: str
    journey: str
    run: int
    step: str
    contact_class: str
    channel: str
    address: str
    content: dict[str, Any]
    via: list[str]
    state: str
    carrier_id: str | None
    code: str | None
    reason: str | None
    parts: int | None
    may_duplicate: bool
    queued_at: Instant
    goes_at: Instant | None
    valid_until: Instant | None
    ended_at: Instant | None


class Receipt(Struct, frozen=True):
    """What a carrier said later of a message; `message` is empty if it is not matched yet."""

    channel: str
    carrier_id: str | None
    state: str
    code: str | None
    at: Instant
    message: str = ""


class Reply(Struct, frozen=True):
    """What they wrote."""

    id: str
    at: Instant
    channel: str
    address: str
    text: str
    source_id: str


class Event(Struct, frozen=True):
    """What was reported of them, or happened in a journey. One whose turns failed has `tries`;
    after the fifth it was given up."""

    id: str
    at: Instant
    kind: str
    name: str
    properties: dict[str, Any]
    source: str
    source_id: str
    taken_at: Instant | None
    tries: int
    not_before: Instant | None


class NotSent(Struct, frozen=True):
    """A message that did not go, or not before `until`, and why."""

    at: Instant
    journey: str
    step: str
    template: str
    reason: str
    until: Instant | None


class Failure(Struct, frozen=True):
    """A turn of theirs that failed."""

    at: Instant
    what: str
    error: str


class Account(Struct, frozen=True):
    """What they have in points; `awards` counts those of the `day`, by reason."""

    balance_points: int
    held_points: int
    spent_points: int
    expired_points: int
    earned_points: int
    day: date | None
    awards: dict[str, int]
    due_at: Instant | None
    tries: int


class Entry(Struct, frozen=True):
    """Points that moved from `debit` to `credit`."""

    number: int
    key: str
    at: Instant
    debit: str
    credit: str
    points: int
    reason: str


class Lot(Struct, frozen=True):
    """Points earned together that are left, and when they expire."""

    key: str
    points: int
    expires_at: Instant | None


class Purchase(Struct, frozen=True):
    """Something bought, or held to be bought; `taken` says which lots paid."""

    key: str
    reward: str
    points: int
    state: str
    at: Instant
    expires_at: Instant
    ended_at: Instant | None
    taken: list[dict[str, Any]]


class Code(Struct, frozen=True):
    """A code that was given for a purchase (`hold`), and who of us took it, in which request. We do
    not know the code itself."""

    hold: str
    reward: str
    given_at: Instant
    used_at: Instant | None
    used_as: str | None
    used_by: str | None


class Invitation(Struct, frozen=True):
    """A code they were given to join another address, until when it was good, and whether they
    did."""

    expires_at: datetime
    used: bool


class SpokenWith(Struct, frozen=True):
    """What a person of ours was to speak of with them: about which message, who had it, how often
    it was tried, and what came of it."""

    message_id: int
    reserved_by: str | None
    ready_at: datetime
    tries: int
    outcome: str | None
    note: str | None
    ended_at: datetime | None


class AskedOfCarrier(Struct, frozen=True):
    """A message of theirs that its carrier was asked about (`query`), or to give back (`recall`),
    and the word it said to that; None: it has not said any yet."""

    message_id: int
    kind: str
    channel: str
    asked_at: Instant
    answered_at: Instant | None
    word: str | None
    code: str | None
    reason: str | None


class Turn(Struct, frozen=True):
    """A turn of theirs, by the project applied under that number; or, between turns, what was
    known of them from then on (`person`), or where they then stood in a journey."""

    at: Instant
    project_id: int | None
    person: dict[str, Any] | None
    enrollment: dict[str, Any] | None


class TriggerWait(Struct, frozen=True):
    """A trigger that waits for its time, since an event of the feed: `who` it is known by."""

    who: str
    journey: str
    number: int
    name: str
    began: Instant
    due: Instant
    source_id: str
    properties: dict[str, Any]


class TriggerState(Struct, frozen=True):
    """What events of the feed made known, as of when: `{name: [seconds since 1970, value]}`."""

    who: str
    at: Instant
    known: dict[str, Any]


class TriggerFiring(Struct, frozen=True):
    """When a trigger fired last, so that it does not fire again too soon."""

    who: str
    journey: str
    number: int
    at: Instant


class Triggers(Struct, frozen=True):
    """What is kept so that triggers can be judged."""

    waits: list[TriggerWait]
    states: list[TriggerState]
    firings: list[TriggerFiring]


class SetAside(Struct, frozen=True):
    """A report of an event that could not be taken, and why."""

    at: Instant
    source: str
    name: str
    source_id: str
    who: str
    reason: str
    body: str


class Points(Struct, frozen=True):
    """Everything about their points; no `account` if they never had any."""

    account: Account | None
    entries: list[Entry]
    lots: list[Lot]
    purchases: list[Purchase]
    codes: list[Code]


class Act(Struct, frozen=True):
    """What an operator did about them, by its number in the audit log."""

    number: int
    at: Instant
    what: str


class Moment(Struct, frozen=True):
    """A line of their story, which is told whole above."""

    at: Instant
    kind: str
    what: str


class Dossier(Struct, frozen=True, kw_only=True):
    """All that is held about one subscriber, at `exported_at`."""

    format: Literal["outreach-export/1"] = "outreach-export/1"
    exported_at: Instant
    subscriber: Person
    addresses: list[Reach]
    lists: list[Listing]
    consents: list[ConsentRecord]
    usage: list[Used]
    enrollments: list[Enrollment]
    past_enrollments: list[Enrollment]
    versions: list[Version]
    messages: list[Message]
    receipts: list[Receipt]
    replies: list[Reply]
    events: list[Event]
    not_sent: list[NotSent]
    points: Points
    invitations: list[Invitation]
    spoken_with: list[SpokenWith]
    asked_of_carriers: list[AskedOfCarrier]
    triggers: Triggers
    set_aside: list[SetAside]
    turns: list[Turn]
    failures: list[Failure]
    acts: list[Act]
    timeline: list[Moment]
