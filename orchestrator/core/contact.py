"""May this go now? The contact policy, decided purely: go, later, or never, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from orchestrator.core import calendar
from orchestrator.core.calendar import HolidayPack
from orchestrator.core.chance import draw
from orchestrator.core.grammar import MIDNIGHT, WEEKDAYS, WHOLE_DAY, WeekdayNumber, Window
from orchestrator.core.model import Consent, Sent, Subscriber

EVERYTHING = "everything"
"""The purpose under which an opt-out from all of it is recorded."""

EVERY_DAY = frozenset(range(len(WEEKDAYS)))

CAMPAIGN_MEMORY = timedelta(days=366)
"""How far back the messages of one run of a journey are counted."""

LOOK_AGAIN = timedelta(hours=1)
"""After so long we look whether what we lacked has come: a new pack of holidays, a fresh list."""

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


class ContactClass(Struct, frozen=True):
    """The rules for one kind of message. An absent rule does not bind.

    `consent`: `opt_in` needs a recorded yes for `purpose`; `opt_out` is allowed until refused;
    `answer` is for answers to what the subscriber just wrote, and passes always. `stop`: with
    `person` a STOP ends it, with `purpose` only the refusal of its own purpose.
    `per_day` and `per_week` count local calendar days, and weeks from Monday, and `gap` is the
    least time since the last message: all three over all classes but `answer`. `per_campaign`
    counts the messages of one run of the journey. `same_message` and `other_journey` are spans
    since the last one; of other journeys those of the same `purpose` count. `avoid` are times of
    day within the hours; with `holidays: avoid` public holidays are none of its days. What waited
    for a day or an hour goes, spread over subscribers, within `spread` after it. Nobody gets it
    who stands on a list of `not_on`, which must not be older than `fresh`. `uncertain` says
    what to do when a carrier never answered: `hold` (at most once) or `resend` (at least once).
    """

    purpose: str
    consent: Literal["opt_in", "opt_out", "answer"] = "opt_in"
    stop: Literal["person", "purpose"] = "person"
    hours: Window | None = None
    weekdays: frozenset[WeekdayNumber] = EVERY_DAY
    avoid: tuple[Window, ...] = ()
    holidays: Literal["avoid"] | None = None
    spread: timedelta | None = None
    not_on: tuple[str, ...] = ()
    fresh: timedelta | None = None
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
        """Its hours; the whole day if only its days bind; None if no time of day does."""
        if self.hours is not None:
            return self.hours
        bound = self.avoid or self.holidays or len(self.weekdays) < len(EVERY_DAY)
        return WHOLE_DAY if bound else None


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


class Go(Struct, frozen=True):
    """It may go now."""


class Later(Struct, frozen=True):
    """Not before `until`; it is asked again then."""

    until: datetime
    reason: str


class Never(Struct, frozen=True):
    """Not at all; the journey goes on without it."""

    reason: str


GO = Go()

Verdict = Go | Later | Never


class ContactPolicy(Struct, frozen=True, dict=True):
    """Every class and every pack of holidays by name, and how far back a decision must look."""

    classes: Mapping[str, ContactClass]
    holidays: Mapping[str, HolidayPack] = {}

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
        if self.classes[contact_class].holidays is not None:
            pack = self._packs.get(subscriber.timezone) or self._packs.get(None)
        strangers = self._strangers[contact_class]
        return Around(entered_at, avoid, strangers, pack, lists, listed)

    def verdict(
        self,
        contact_class: str,
        subscriber: Subscriber,
        recent: Iterable[Sent],
        template: str,
        journey: str,
        now: datetime,
        around: Around,
    ) -> Verdict:
        """Whether this message of this class may go now."""
        rules, counted = self.classes[contact_class], self.counted(recent)
        return may_go(rules, subscriber, counted, template, journey, now, around)


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


def may_go(
    rules: ContactClass,
    subscriber: Subscriber,
    counted: Sequence[Sent],
    template: str,
    journey: str,
    now: datetime,
    around: Around = NOTHING_AROUND,
) -> Verdict:
    """Whether a message of this class may go now. `counted`: see `ContactPolicy.counted`.

    The rules are asked in order of finality: consent, then what was sent before, then the clock.
    Of several that put it off, the one that does so for longest is named. An unknown time zone and
    holidays that nobody knows block wherever a rule needs them.
    """
    if rules.consent == "answer":
        return GO
    if refused_by := refusal(rules, subscriber):
        return Never(refused_by)
    if rules.not_on and (name := _list_of(rules, around)):
        return Never(f"on_list:{name}")
    if rules.same_message is not None:
        since = now - rules.same_message
        if any(sent.template == template and sent.at > since for sent in counted):
            return Never("same_message")
    if rules.per_campaign is not None:
        began = around.entered_at
        began = began.replace(microsecond=began.microsecond // 1000 * 1000)
        if sum(s.journey == journey and s.at >= began for s in counted) >= rules.per_campaign:
            return Never("per_campaign")
    until, reason = _spans(rules, counted, journey, now, around)
    window = rules.window or (WHOLE_DAY if around.avoid else None)
    if window is None and rules.per_day is None and rules.per_week is None:
        return Later(until, reason) if until > now else GO
    tz = calendar.zone(subscriber.timezone)
    if tz is None:
        return Never("unknown_zone")
    capped = False
    if rules.per_week is not None and len(counted) >= rules.per_week:
        week = calendar.week_start(now, tz)
        ends = calendar.next_at(now, MIDNIGHT, tz, weekday=0)
        if ends > until and sum(sent.at >= week for sent in counted) >= rules.per_week:
            until, reason, capped = ends, "per_week", True
    if rules.per_day is not None and len(counted) >= rules.per_day:
        today = calendar.day_start(now, tz)
        ends = calendar.next_at(now, MIDNIGHT, tz)
        if ends > until and sum(sent.at >= today for sent in counted) >= rules.per_day:
            until, reason, capped = ends, "per_day", True
    if rules.holidays is not None and _expired(around.holidays, now, tz):
        ends = now + LOOK_AGAIN
        if ends > until:
            until, reason, capped = ends, "holidays_expired", False
    if window is None:
        opening: datetime | None = until
    else:
        avoid = rules.avoid + around.avoid
        opening = calendar.next_open(until, window, rules.weekdays, tz, avoid, around.holidays)
    if opening is None:
        return Never("never_open")
    if opening == now:
        return GO
    if until == now:
        reason = _shut_by(rules, around, now, tz)
    if rules.spread is not None and (capped or opening > until):
        opening = _spread(rules, rules.spread, subscriber.id, opening, around.avoid, tz)
    return Later(opening, reason)


def next_opening(
    rules: ContactClass, subscriber: Subscriber, now: datetime, around: Around
) -> datetime | str:
    """When a message that is due may go, by the clock and the lists alone, or why it may not."""
    if rules.not_on and (name := _list_of(rules, around)):
        return f"on_list:{name}"
    if rules.not_on and (name := _stale_list(rules, around, now)):
        return f"list_stale:{name}"
    window = rules.window or (WHOLE_DAY if around.avoid else None)
    if window is None or rules.consent == "answer":
        return now
    tz = calendar.zone(subscriber.timezone)
    if tz is None:
        return "unknown_zone"
    if rules.holidays is not None and _expired(around.holidays, now, tz):
        return "holidays_expired"
    avoid = rules.avoid + around.avoid
    opening = calendar.next_open(now, window, rules.weekdays, tz, avoid, around.holidays)
    if opening is None:
        return "never_open"
    if rules.spread is not None and opening > now:
        return _spread(rules, rules.spread, subscriber.id, opening, around.avoid, tz)
    return opening


def _spread(
    rules: ContactClass,
    spread: timedelta,
    subscriber_id: int,
    opening: datetime,
    avoid: tuple[Window, ...],
    tz: ZoneInfo,
) -> datetime:
    """When this subscriber's part of `spread` after an opening has passed: always the same part,
    and before it closes."""
    span = min(spread, closing(rules, avoid, opening, tz) - opening)
    return opening + draw("spread", subscriber_id) * span


def closing(rules: ContactClass, avoid: tuple[Window, ...], at: datetime, tz: ZoneInfo) -> datetime:
    """When what is open at `at` closes; the journey avoids the times `avoid`."""
    return calendar.closing(at, rules.window or WHOLE_DAY, tz, rules.avoid + avoid)


def _list_of(rules: ContactClass, around: Around) -> str:
    """The list on account of which nothing goes to them, or ''."""
    return next((name for name in rules.not_on if name in around.listed), "")


def _stale_list(rules: ContactClass, around: Around, now: datetime) -> str:
    """A list that nobody knows, or that is older than it may be, or ''."""
    for name in rules.not_on:
        loaded_at = around.lists.get(name)
        if loaded_at is None or (rules.fresh is not None and loaded_at + rules.fresh < now):
            return name
    return ""


def _expired(pack: HolidayPack | None, now: datetime, tz: ZoneInfo) -> bool:
    """Whether nobody knows today's holidays."""
    return pack is None or calendar.local_day(now, tz) > pack.valid_until


def _shut_by(rules: ContactClass, around: Around, now: datetime, tz: ZoneInfo) -> Reason:
    """What it is that shuts a window now."""
    pack = around.holidays
    if pack is not None and calendar.local_day(now, tz) in pack.free:
        return "holiday"
    window = rules.window or WHOLE_DAY
    by_hours = calendar.is_open(now, window, rules.weekdays, tz, (), pack)
    return "avoided" if by_hours else "outside_hours"


def _spans(
    rules: ContactClass,
    counted: Sequence[Sent],
    journey: str,
    now: datetime,
    around: Around,
) -> tuple[datetime, str]:
    """Until when a list that is too old, or what was sent before, keeps this one back, and by
    which rule; `now` if nothing does."""
    until: datetime = now
    reason = "outside_hours"
    if rules.not_on and (name := _stale_list(rules, around, now)):
        until, reason = now + LOOK_AGAIN, f"list_stale:{name}"
    if rules.other_journey is not None and counted:
        others = [
            s.at
            for s in counted
            if s.journey != journey and s.contact_class not in around.strangers
        ]
        if others and (ends := max(others) + rules.other_journey) > until:
            until, reason = ends, "other_journey"
    if rules.gap is not None and counted:
        ends = max(s.at for s in counted) + rules.gap
        if ends > until:
            until, reason = ends, "gap"
    return until, reason
