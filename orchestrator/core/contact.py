"""The contact policy as authors wrote it: its classes, their rules, and whose consent they need.
What it says of one message is in `verdict.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal, NewType

from msgspec import Struct

from orchestrator.core.calendar import HolidayPack
from orchestrator.core.grammar import WEEKDAYS, WHOLE_DAY, WeekdayNumber, Window
from orchestrator.core.model import Consent, Sent, Subscriber

ListName = NewType("ListName", str)
"""A list of numbers that `outreach list load` loads."""

EVERYTHING = "everything"
"""The purpose under which an opt-out from all of it is recorded."""

EVERY_DAY = frozenset(range(len(WEEKDAYS)))

CAMPAIGN_MEMORY = timedelta(days=366)
"""How far back the messages of one run of a journey are counted."""

NO_LISTS: Mapping[str, datetime] = {}

_EVER = datetime.min.replace(tzinfo=UTC)

Reason = Literal[
    "opted_out",
    "no_consent",
    "on_list",
    "same_message",
    "per_campaign",
    "unknown_zone",
    "never_open",
    "holidays_expired",
    "list_stale",
    "other_journey",
    "gap",
    "per_week",
    "per_day",
    "holiday",
    "avoided",
    "outside_hours",
]
"""The word of each rule. Behind `on_list:` and `list_stale:` stands which list."""


class ContactClass(Struct, frozen=True, dict=True):
    """The rules for one kind of message. An absent rule does not bind.

    `purpose` is what consents and refusals are recorded for. Messages go within `hours`, local
    time, on `weekdays`; for `valid` the carrier may try to deliver one.
    `consent`: `opt_in` needs a recorded yes for `purpose`; `opt_out` is allowed until refused;
    `answer` is for answers to what the subscriber just wrote, and passes always. `stop`: with
    `person` a STOP ends it, with `purpose` only the refusal of its own purpose.
    `per_day` and `per_week` count local calendar days, and weeks from Monday, and `gap` is the
    least time since the last message: all three over all classes but `answer`. `per_campaign`
    counts the messages of one run of the journey. `same_message` and `other_journey` are spans
    since the last one; of other journeys those of the same `purpose` count. `avoid` are times of
    day within the hours; with `holidays: avoid` public holidays are none of its days. What waited
    for a day or an hour goes, spread over subscribers, within `spread` after it. Nobody gets it
    who stands on a list of `not_on`, which must not be older than `fresh`. What may not go at once
    waits until it may; with `not_now: drop` it does not go at all, as the moment it is about has
    passed. `uncertain` says what to do when a carrier never answered: `hold` (at most once) or
    `resend` (at least once).
    """

    purpose: str
    consent: Literal["opt_in", "opt_out", "answer"] = "opt_in"
    stop: Literal["person", "purpose"] = "person"
    hours: Window | None = None
    weekdays: frozenset[WeekdayNumber] = EVERY_DAY
    avoid: tuple[Window, ...] = ()
    holidays: Literal["avoid"] | None = None
    spread: timedelta | None = None
    not_on: tuple[ListName, ...] = ()
    fresh: timedelta | None = None
    per_day: int | None = None
    per_week: int | None = None
    per_campaign: int | None = None
    gap: timedelta | None = None
    same_message: timedelta | None = None
    other_journey: timedelta | None = None
    not_now: Literal["wait", "drop"] = "wait"
    uncertain: Literal["hold", "resend"] = "hold"
    valid: timedelta = timedelta(days=1)

    @cached_property
    def window(self) -> Window | None:
        """Its hours; the whole day if only its days bind; None if no time of day does."""
        if self.hours is not None:
            return self.hours
        bound = self.avoid or self.holidays or len(self.weekdays) < len(EVERY_DAY)
        return WHOLE_DAY if bound else None


GONE = ContactClass(purpose="")
"""In place of a class that is no more: nobody consents to what has no purpose."""


class Around(Struct, frozen=True, gc=False):
    """What the rules look at besides the person, what they were sent, and the clock.

    The run of the journey began at `entered_at`; the journey itself avoids the times `avoid`.
    `strangers` are the classes of other purposes; `holidays` is the pack that holds where the
    subscriber lives. `lists` says when each list of numbers was loaded, `listed` on which of them
    the subscriber stands.
    """

    entered_at: datetime = _EVER
    avoid: tuple[Window, ...] = ()
    strangers: Collection[str] = ()
    holidays: HolidayPack | None = None
    lists: Mapping[str, datetime] = {}
    listed: frozenset[str] = frozenset()


NOTHING_AROUND = Around()


class ContactPolicy(Struct, frozen=True, dict=True):
    """Every class and every pack of holidays by name, and how far back a decision must look."""

    classes: Mapping[str, ContactClass]
    holidays: Mapping[str, HolidayPack] = {}

    def rules(self, contact_class: str) -> ContactClass:
        """The rules of a class; of one that is gone, those by which nothing goes."""
        return self.classes.get(contact_class, GONE)

    @cached_property
    def memory(self) -> timedelta:
        """How much contact history the rules need."""
        spans = [timedelta(days=2)]
        for rules in self.classes.values():
            spans += [span for span in (rules.same_message, rules.other_journey, rules.gap) if span]
            if rules.per_week is not None:
                spans.append(timedelta(days=8))
            if rules.per_campaign is not None:
                spans.append(CAMPAIGN_MEMORY)
        return max(spans)

    @cached_property
    def lists(self) -> frozenset[str]:
        """Every list of numbers that a class names."""
        return frozenset(name for rules in self.classes.values() for name in rules.not_on)

    @cached_property
    def listing(self) -> tuple[tuple[str, str], ...]:
        """Each class that asks for consent, with each list that it names."""
        return tuple(
            (name, word)
            for name, rules in self.classes.items()
            if rules.consent != "answer"
            for word in rules.not_on
        )

    @cached_property
    def _answers(self) -> frozenset[str]:
        """The classes whose messages are answers."""
        return frozenset(name for name, it in self.classes.items() if it.consent == "answer")

    @cached_property
    def _strangers(self) -> Mapping[str, frozenset[str]]:
        """For each class, those known to be of another purpose."""
        return {
            name: frozenset(
                other for other, it in self.classes.items() if it.purpose != rules.purpose
            )
            for name, rules in self.classes.items()
        }

    def counted(self, recent: Iterable[Sent]) -> list[Sent]:
        """The lines of a contact history that the rules count: those of journeys, except answers
        to what the subscriber wrote."""
        answers = self._answers
        return [sent for sent in recent if sent.journey and sent.contact_class not in answers]

    @cached_property
    def _packs(self) -> Mapping[str | None, HolidayPack]:
        """The pack of each zone; that of all others is under None."""
        return {zone: pack for pack in self.holidays.values() for zone in pack.zones or (None,)}

    def around(
        self,
        contact_class: str,
        subscriber: Subscriber,
        entered_at: datetime,
        avoid: tuple[Window, ...] = (),
        lists: Mapping[str, datetime] = NO_LISTS,
        listed: frozenset[str] = frozenset(),
    ) -> Around:
        """What a message of this class, of a journey's run, meets."""
        pack = None
        if self.rules(contact_class).holidays is not None:
            pack = self._packs.get(subscriber.timezone) or self._packs.get(None)
        strangers = self._strangers.get(contact_class, frozenset())
        return Around(entered_at, avoid, strangers, pack, lists, listed)


def refusal(rules: ContactClass, subscriber: Subscriber) -> Reason | None:
    """Why this person may not be written to for this purpose at all, or None."""
    return refused(rules, subscriber.consents)


def refused(rules: ContactClass, consents: Mapping[str, Consent]) -> Reason | None:
    """Why somebody of these consents may not be written to for this purpose, or None."""
    if rules.consent == "answer":
        return None
    everything = consents.get(EVERYTHING)
    if everything is not None and not everything.granted and rules.stop == "person":
        return "opted_out"
    given = consents.get(rules.purpose)
    if given is not None:
        return None if given.granted else "opted_out"
    return "no_consent" if rules.consent == "opt_in" else None
