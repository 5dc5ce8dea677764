"""May this go now? What the contact policy says of one message: go, later, or never, with the
reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from orchestrator.core import calendar
from orchestrator.core.calendar import HolidayPack
from orchestrator.core.chance import draw
from orchestrator.core.contact import NOTHING_AROUND, Around, ContactClass, Reason, refusal
from orchestrator.core.grammar import MIDNIGHT, WHOLE_DAY, Window
from orchestrator.core.model import Sent, Subscriber

LOOK_AGAIN = timedelta(hours=1)
"""After so long we look whether what we lacked has come: a new pack of holidays, a fresh list."""

LACKING = ("holidays_expired", "list_stale")
"""The reasons that something is missing."""

MOST_LATER = 100
"""How often one message may be put off before we say that there is no time for it."""


_TWO_DAYS, _TWO_WEEKS = timedelta(days=2), timedelta(days=14)
"""More than a day and a week can be, whatever clocks are put back: most have had nothing for so
long, and need no calendar."""


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


def may_go(
    rules: ContactClass,
    subscriber: Subscriber,
    counted: Sequence[Sent],
    template: str,
    journey: str,
    now: datetime,
    around: Around = NOTHING_AROUND,
) -> Verdict:
    """Whether a message of this class may go now. `counted`: see `ContactPolicy.counted`; some of
    it may be still to come, where a message is to fall back to another channel tomorrow.

    The rules are asked in order of finality: consent, then what was sent before, then the clock.
    Of several that put it off, the one that does so for longest is named. An unknown time zone and
    holidays that nobody knows block wherever a rule needs them. A class that does not wait
    (`not_now`) is refused what it would be put off for.
    """
    said = _may_go(rules, subscriber, counted, template, journey, now, around)
    if rules.not_now == "drop" and isinstance(said, Later):
        return Never(said.reason)
    return said


def _may_go(
    rules: ContactClass,
    subscriber: Subscriber,
    counted: Sequence[Sent],
    template: str,
    journey: str,
    now: datetime,
    around: Around,
) -> Verdict:
    if rules.consent == "answer":
        return GO
    if refused_by := refusal(rules, subscriber):
        return Never(refused_by)
    if rules.not_on and (name := list_of(rules, around)):
        return Never(f"on_list:{name}")
    same = rules.same_message
    if same is not None and _said_after(counted, template, now - same):
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
    if rules.per_week is not None and _since(counted, now - _TWO_WEEKS) >= rules.per_week:
        week = calendar.week_start(now, tz)
        ends = calendar.next_at(now, MIDNIGHT, tz, weekday=0)
        if ends > until and _among(counted, week, ends) >= rules.per_week:
            until, reason, capped = ends, "per_week", True
    if rules.per_day is not None and _since(counted, now - _TWO_DAYS) >= rules.per_day:
        today = calendar.day_start(now, tz)
        ends = calendar.next_at(now, MIDNIGHT, tz)
        if ends > until and _among(counted, today, ends) >= rules.per_day:
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


def _said_after(counted: Sequence[Sent], template: str, after: datetime) -> bool:
    """Whether one of them said the same, and went, or goes, after that."""
    for sent in counted:  # noqa: SIM110 - any() takes twice as long, and this is asked each time
        if sent.template == template and sent.at > after:
            return True
    return False


def _since(counted: Sequence[Sent], since: datetime) -> int:
    """How many of them went, or go, from then on."""
    count = 0
    for sent in counted:
        if sent.at >= since:
            count += 1
    return count


def _among(counted: Sequence[Sent], since: datetime, until: datetime) -> int:
    """How many of them went, or go, between the two."""
    return len([sent for sent in counted if since <= sent.at < until])


def may_answer(rules: ContactClass, subscriber: Subscriber, around: Around) -> Go | Never:
    """Whether a message of this class may go to somebody who waits for it, having just replied:
    consent and lists alone are asked."""
    if reason := refusal(rules, subscriber):
        return Never(reason)
    if rules.consent != "answer" and (name := list_of(rules, around)):
        return Never(f"on_list:{name}")
    return GO


def next_opening(
    rules: ContactClass,
    subscriber: Subscriber,
    counted: Sequence[Sent],
    template: str,
    journey: str,
    now: datetime,
    around: Around,
) -> datetime | str:
    """When a message that was decided already, and did not get through, may go; or why it may
    not. It is not among `counted`. It does not wait for what nobody may ever bring: a fresh list,
    a new pack of holidays."""
    at = now
    for _ in range(MOST_LATER):
        said = may_go(rules, subscriber, counted, template, journey, at, around)
        if isinstance(said, Go):
            return at
        if isinstance(said, Never) or said.reason.partition(":")[0] in LACKING:
            return said.reason
        at = said.until
    return "never_open"


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


def list_of(rules: ContactClass, around: Around) -> str:
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
            if s.journey != journey
            and s.contact_class not in around.strangers
            and s.at < now + rules.other_journey
        ]
        if others and (ends := max(others) + rules.other_journey) > until:
            until, reason = ends, "other_journey"
    if rules.gap is not None and counted:
        near = [s.at for s in counted if s.at < now + rules.gap]
        if near and (ends := max(near) + rules.gap) > until:
            until, reason = ends, "gap"
    return until, reason
