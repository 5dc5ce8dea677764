"""May this go now? The contact policy, decided purely: go, later, or never, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Literal

from msgspec import Struct

from orchestrator.core import calendar
from orchestrator.core.grammar import WEEKDAYS, WeekdayNumber, Window
from orchestrator.core.model import Consent, Sent, Subscriber

EVERYTHING = "everything"
"""The purpose under which an opt-out from all of it is recorded."""

Reason = Literal[
    "opted_out",
    "no_consent",
    "unknown_zone",
    "never_open",
    "same_message",
    "outside_hours",
    "per_day",
    "other_journey",
]


class ContactClass(Struct, frozen=True):
    """The rules for one kind of message. An absent rule does not bind.

    `consent`: `opt_in` needs a recorded yes for `purpose`; `opt_out` is allowed until refused;
    `answer` is for answers to what the subscriber just wrote, and passes always.
    `per_day` counts local calendar days over all classes but `answer`. `same_message` and
    `other_journey` are spans since the last one. `uncertain` says what to do when a carrier never
    answered: `hold` (at most once) or `resend` (at least once).
    """

    purpose: str
    consent: Literal["opt_in", "opt_out", "answer"] = "opt_in"
    hours: Window | None = None
    weekdays: frozenset[WeekdayNumber] = frozenset(range(len(WEEKDAYS)))
    per_day: int | None = None
    same_message: timedelta | None = None
    other_journey: timedelta | None = None
    uncertain: Literal["hold", "resend"] = "hold"
    valid: timedelta = timedelta(days=1)


class Go(Struct, frozen=True):
    """It may go now."""


class Later(Struct, frozen=True):
    """Not before `until`; it is asked again then."""

    until: datetime
    reason: Reason


class Never(Struct, frozen=True):
    """Not at all; the journey goes on without it."""

    reason: Reason


GO = Go()

Verdict = Go | Later | Never


class ContactPolicy(Struct, frozen=True):
    """Every class by name, and how far back a decision must look."""

    classes: Mapping[str, ContactClass]

    @property
    def memory(self) -> timedelta:
        """How much contact history the rules need."""
        spans = [timedelta(days=2)]
        for rules in self.classes.values():
            spans += [span for span in (rules.same_message, rules.other_journey) if span]
        return max(spans)

    def counted(self, recent: Iterable[Sent]) -> list[Sent]:
        """The lines of a contact history that the rules count: those of journeys, except answers
        to what the subscriber wrote."""
        return [
            sent
            for sent in recent
            if sent.journey
            and (
                (rules := self.classes.get(sent.contact_class)) is None or rules.consent != "answer"
            )
        ]


def refusal(rules: ContactClass, subscriber: Subscriber) -> Reason | None:
    """Why this person may not be written to for this purpose at all, or None."""
    return refused(rules, subscriber.consents)


def refused(rules: ContactClass, consents: Mapping[str, Consent]) -> Reason | None:
    """Why somebody of these consents may not be written to for this purpose, or None."""
    if rules.consent == "answer":
        return None
    everything = consents.get(EVERYTHING)
    if everything is not None and not everything.granted:
        return "opted_out"
    given = consents.get(rules.purpose)
    if given is not None:
        return None if given.granted else "opted_out"
    return "no_consent" if rules.consent == "opt_in" else None


def may_go(
    rules: ContactClass,
    subscriber: Subscriber,
    counted: Sequence[Sent],
    template: str,
    journey: str,
    now: datetime,
) -> Verdict:
    """Whether a message of this class may go now. `counted`: see `ContactPolicy.counted`.

    The rules are asked in order of finality: consent, then what was sent before, then the clock.
    An unknown time zone blocks wherever a rule needs local time.
    """
    if rules.consent == "answer":
        return GO
    if reason := refusal(rules, subscriber):
        return Never(reason)
    if rules.same_message is not None:
        since = now - rules.same_message
        if any(sent.template == template and sent.at > since for sent in counted):
            return Never("same_message")
    until = now
    reason_later: Reason = "outside_hours"
    if rules.other_journey is not None:
        others = [s.at for s in counted if s.journey != journey]
        if others and max(others) + rules.other_journey > now:
            until, reason_later = max(others) + rules.other_journey, "other_journey"
    if rules.hours is None and rules.per_day is None:
        return Later(until, reason_later) if until > now else GO
    tz = calendar.zone(subscriber.timezone)
    if tz is None:
        return Never("unknown_zone")
    if rules.per_day is not None and until == now:
        today = calendar.day_start(now, tz)
        if sum(sent.at >= today for sent in counted) >= rules.per_day:
            until, reason_later = calendar.next_at(now, time(), tz), "per_day"
    if rules.hours is not None:
        opening = calendar.next_open(until, rules.hours, rules.weekdays, tz)
        if opening is None:
            return Never("never_open")
        until = opening
    return Later(until, reason_later) if until > now else GO
