"""May this go now? The contact policy, decided purely: go, later, or never, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

from msgspec import Struct

from orchestrator.core import calendar
from orchestrator.core.grammar import MIDNIGHT, WEEKDAYS, WHOLE_DAY, WeekdayNumber, Window
from orchestrator.core.model import Consent, Sent, Subscriber

EVERYTHING = "everything"
"""The purpose under which an opt-out from all of it is recorded."""

EVERY_DAY = frozenset(range(len(WEEKDAYS)))

CAMPAIGN_MEMORY = timedelta(days=366)
"""How far back the messages of one run of a journey are counted."""

_EVER = datetime.min.replace(tzinfo=UTC)

Reason = Literal[
    "opted_out",
    "no_consent",
    "same_message",
    "per_campaign",
    "unknown_zone",
    "never_open",
    "other_journey",
    "gap",
    "per_week",
    "per_day",
    "outside_hours",
]


class ContactClass(Struct, frozen=True):
    """The rules for one kind of message. An absent rule does not bind.

    `consent`: `opt_in` needs a recorded yes for `purpose`; `opt_out` is allowed until refused;
    `answer` is for answers to what the subscriber just wrote, and passes always.
    `per_day` and `per_week` count local calendar days, and weeks from Monday, and `gap` is the
    least time since the last message: all three over all classes but `answer`. `per_campaign`
    counts the messages of one run of the journey. `same_message` and `other_journey` are spans
    since the last one; of other journeys those of the same `purpose` count. `uncertain` says what
    to do when a carrier never answered: `hold` (at most once) or `resend` (at least once).
    """

    purpose: str
    consent: Literal["opt_in", "opt_out", "answer"] = "opt_in"
    hours: Window | None = None
    weekdays: frozenset[WeekdayNumber] = EVERY_DAY
    per_day: int | None = None
    per_week: int | None = None
    per_campaign: int | None = None
    gap: timedelta | None = None
    same_message: timedelta | None = None
    other_journey: timedelta | None = None
    uncertain: Literal["hold", "resend"] = "hold"
    valid: timedelta = timedelta(days=1)

    @property
    def window(self) -> Window | None:
        """Its hours; the whole day if only its weekdays bind; None if no time of day does."""
        if self.hours is None and len(self.weekdays) < len(EVERY_DAY):
            return WHOLE_DAY
        return self.hours


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


class ContactPolicy(Struct, frozen=True, dict=True):
    """Every class by name, and how far back a decision must look."""

    classes: Mapping[str, ContactClass]

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

    def verdict(
        self,
        contact_class: str,
        subscriber: Subscriber,
        recent: Iterable[Sent],
        template: str,
        journey: str,
        now: datetime,
        entered_at: datetime,
    ) -> Verdict:
        """Whether this message of this class may go now; `entered_at` is when its run of the
        journey began."""
        rules = self.classes[contact_class]
        return may_go(
            rules,
            subscriber,
            self.counted(recent),
            template,
            journey,
            now,
            entered_at=entered_at,
            strangers=self._strangers[contact_class],
        )


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
    *,
    entered_at: datetime = _EVER,
    strangers: Collection[str] = (),
) -> Verdict:
    """Whether a message of this class may go now. `counted`: see `ContactPolicy.counted`. The run
    of the journey began at `entered_at`; `strangers` are the classes of other purposes.

    The rules are asked in order of finality: consent, then what was sent before, then the clock.
    Of several that put it off, the one that does so for longest is named. An unknown time zone
    blocks wherever a rule needs local time.
    """
    if rules.consent == "answer":
        return GO
    if reason := refusal(rules, subscriber):
        return Never(reason)
    if rules.same_message is not None:
        since = now - rules.same_message
        if any(sent.template == template and sent.at > since for sent in counted):
            return Never("same_message")
    if rules.per_campaign is not None:
        began = entered_at.replace(microsecond=entered_at.microsecond // 1000 * 1000)
        if sum(s.journey == journey and s.at >= began for s in counted) >= rules.per_campaign:
            return Never("per_campaign")
    until, reason = _spans(rules, counted, journey, now, strangers)
    window = rules.window
    if window is None and rules.per_day is None and rules.per_week is None:
        return Later(until, reason) if until > now else GO
    tz = calendar.zone(subscriber.timezone)
    if tz is None:
        return Never("unknown_zone")
    if rules.per_week is not None and len(counted) >= rules.per_week:
        week = calendar.week_start(now, tz)
        ends = calendar.next_at(now, MIDNIGHT, tz, weekday=0)
        if ends > until and sum(sent.at >= week for sent in counted) >= rules.per_week:
            until, reason = ends, "per_week"
    if rules.per_day is not None and len(counted) >= rules.per_day:
        today = calendar.day_start(now, tz)
        ends = calendar.next_at(now, MIDNIGHT, tz)
        if ends > until and sum(sent.at >= today for sent in counted) >= rules.per_day:
            until, reason = ends, "per_day"
    if window is not None:
        opening = calendar.next_open(until, window, rules.weekdays, tz)
        if opening is None:
            return Never("never_open")
        until = opening
    return Later(until, reason) if until > now else GO


def _spans(
    rules: ContactClass,
    counted: Sequence[Sent],
    journey: str,
    now: datetime,
    strangers: Collection[str],
) -> tuple[datetime, Reason]:
    """Until when what was sent before keeps this one back, and by which rule; `now` if nothing
    does."""
    until: datetime = now
    reason: Reason = "outside_hours"
    if rules.other_journey is not None and counted:
        others = [
            s.at for s in counted if s.journey != journey and s.contact_class not in strangers
        ]
        if others and (ends := max(others) + rules.other_journey) > until:
            until, reason = ends, "other_journey"
    if rules.gap is not None and counted:
        ends = max(s.at for s in counted) + rules.gap
        if ends > until:
            until, reason = ends, "gap"
    return until, reason
