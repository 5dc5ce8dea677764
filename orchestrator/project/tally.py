"""What a simulation counts, person by person; tallies of several processes are added up.

Counts only, never lists: a tally does not grow with the audience.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.core import calendar, cost
from orchestrator.core.effects import (
    MoveTo,
    PostEntry,
    Redeem,
    RerouteMessage,
    SendMessage,
    SetConsent,
    Suppress,
)
from orchestrator.core.events import ReplyReceived
from orchestrator.core.grammar import Pace
from orchestrator.core.model import Content, Message, Sent
from orchestrator.core.verdict import LACKING
from orchestrator.project.carriers import DAY_S, Series
from orchestrator.project.life import Life, Lived

BY_OTHERS = frozenset({"other_journey", "gap", "per_day", "per_week"})
"""Reasons for which another message keeps one back."""

_QUARTER_S = 900
_MOST_TEXTS = 50_000

Told = tuple[str, str]
"""A journey, and what of it: a reason, another journey, a word."""


class Tally:
    """The counts of a simulation that begins at `begin` and lasts `days`. SMS may be written in
    the national tables of `languages`."""

    def __init__(
        self,
        begin: datetime,
        days: int,
        paces: Mapping[str, Pace],
        languages: Sequence[str] = (),
    ) -> None:
        self.people = self.decisions = self.replies = self.answers = 0
        # Counter would do, but takes three times as long to count one more.
        self.journeys: defaultdict[Told, int] = defaultdict(int)
        self.put_off: defaultdict[Told, int] = defaultdict(int)
        self.withheld: defaultdict[Told, int] = defaultdict(int)
        self.held_by: defaultdict[Told, int] = defaultdict(int)
        self.late_s: defaultdict[Told, int] = defaultdict(int)
        self.left: defaultdict[Told, int] = defaultdict(int)
        self.channels: defaultdict[Told, int] = defaultdict(int)
        self.hours: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.days: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.reasons: defaultdict[Told, int] = defaultdict(int)
        self.rewards: defaultdict[Told, int] = defaultdict(int)
        self.failed: defaultdict[str, int] = defaultdict(int)
        self.broken: defaultdict[str, int] = defaultdict(int)
        self.series: defaultdict[Told, Series] = defaultdict(Series)
        self.earned = self.stuck = False
        self._begin, self._last_day = begin, days - 1
        self._paced = frozenset(paces)
        self._languages = languages
        self._parts: dict[str, int] = {}
        self._quarters: dict[ZoneInfo, dict[int, int]] = {}
        self._waiting: dict[Told, tuple[int, str]] = {}
        self._seen: set[tuple[str, int, str]] = set()
        self._zone = calendar.UTC_ZONE
        self._at_s = self._day = 0
        self._granted: bool | None = None
        self._notes: dict[type, Callable[[Any, Lived, Life], None]] = {
            MoveTo: self._moved,
            SendMessage: self._sent,
            RerouteMessage: self._rerouted,
            Suppress: self._suppressed,
            PostEntry: self._posted,
            SetConsent: self._consented,
            Redeem: self._redeemed,
        }

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs of it: the counts."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def merge(self, other: Tally) -> None:
        """What `other` counted is counted here too."""
        for name, value in vars(other).items():
            if name.startswith("_"):
                continue
            mine = getattr(self, name)
            if name == "series":
                for key, series in value.items():
                    mine[key].merge(series)
            elif isinstance(value, dict):
                for key, count in value.items():
                    mine[key] += count
            elif isinstance(value, int) and not isinstance(value, bool):
                setattr(self, name, mine + value)

    def begin(self, life: Life) -> None:
        """Somebody's life begins."""
        self.people += 1
        self._waiting.clear()
        self._seen.clear()
        self._zone = calendar.zone(life.scene.subscriber.timezone) or calendar.UTC_ZONE
        account = life.scene.account
        self.days["owned", 0] += account.balance_points + sum(it.points for it in account.holds)
        for enrollment in life.scene.enrollments.values():
            if enrollment.open:
                self.journeys[enrollment.journey, "inside"] += 1

    def note(self, lived: Lived, life: Life) -> None:
        """What was lived is counted. `earned` and `stuck` then say whether it earned points, and
        whether something waits for what nobody will bring."""
        self.decisions += 1
        self.earned = self.stuck = False
        if not (effects := lived.effects):
            return
        since = lived.at - self._begin
        day = since.days
        self._at_s = day * DAY_S + since.seconds
        self._day = day if day < self._last_day else self._last_day
        if type(lived.event) is ReplyReceived:
            self.replies += 1
            self.days["replies", self._day] += 1
        notes = self._notes
        for effect in effects:
            if (note := notes.get(type(effect))) is not None:
                note(effect, lived, life)
        if self._granted is not None:
            self.days["opt_ins" if self._granted else "opt_outs", self._day] += 1
            self._granted = None

    def end(self, life: Life) -> None:
        """The life is over: what was put off and never went is counted."""
        for (journey, step), _ in self._waiting.items():
            enrollment = life.scene.enrollments.get(journey)
            still = enrollment is not None and enrollment.open and enrollment.step == step
            self.journeys[journey, "waiting" if still else "overtaken"] += 1

    def _moved(self, effect: MoveTo, lived: Lived, life: Life) -> None:
        enrollment, now = effect.enrollment, lived.at
        journey, run = enrollment.journey, enrollment.run
        if enrollment.entered_at == now and self._first(journey, run, "entered"):
            held_out = enrollment.status == "control"
            self.journeys[journey, "control" if held_out else "entered"] += 1
        if enrollment.goal_at == now and self._first(journey, run, "goal"):
            held_out = enrollment.status == "control"
            self.journeys[journey, "control_goal" if held_out else "goal"] += 1
        if enrollment.ended_at == now and enrollment.status != "control":
            self.journeys[journey, enrollment.status] += 1
            if enrollment.reason:
                self.left[journey, enrollment.reason] += 1

    def _first(self, journey: str, run: int, what: str) -> bool:
        key = (journey, run, what)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _sent(self, effect: SendMessage, lived: Lived, life: Life) -> None:
        message = effect.message
        self._carried(message, self._at_s)
        if not message.journey:
            self.answers += 1
            return
        key = (message.journey, message.step)
        self.journeys[message.journey, "sent"] += 1
        waited = self._waiting.pop(key, None)
        if waited is None:
            self.journeys[message.journey, "wanted"] += 1
        else:
            since_s, by = waited
            late_s = self._at_s - since_s
            self.journeys[message.journey, "late"] += 1
            self.journeys[message.journey, "late_s"] += late_s
            if by:
                self.late_s[message.journey, by] += late_s

    def _rerouted(self, effect: RerouteMessage, lived: Lived, life: Life) -> None:
        self.channels[effect.message.channel, "moved"] += 1
        late_s = int((effect.not_before - self._begin).total_seconds())
        self._carried(effect.message, late_s)

    def _carried(self, message: Message, at_s: int) -> None:
        """A carrier gets it at that second: a day, an hour, what it costs."""
        channel = message.channel
        self.channels[channel, "messages"] += 1
        self.channels[channel, "units"] += self._units(channel, message.content)
        self.days[channel, min(at_s // DAY_S, self._last_day)] += 1
        self.hours[channel, self._hour(at_s)] += 1
        paced = message.journey if message.journey in self._paced else ""
        self.series[channel, paced].add(at_s)

    def _units(self, channel: str, content: Content) -> int:
        """`cost.parts`, remembered: thousands get the same words."""
        if channel != "sms":
            return 1
        text = content.text
        units = self._parts.get(text)
        if units is None:
            if len(self._parts) >= _MOST_TEXTS:
                self._parts.clear()
            units = self._parts[text] = cost.parts(channel, content, self._languages)
        return units

    def _hour(self, at_s: int) -> int:
        """What hour the subscriber's clock shows. No zone is shifted by less than a quarter."""
        quarter = at_s // _QUARTER_S
        known = self._quarters.get(self._zone)
        if known is None:
            known = self._quarters[self._zone] = {}
        hour = known.get(quarter)
        if hour is None:
            at = self._begin + timedelta(seconds=quarter * _QUARTER_S)
            hour = known[quarter] = calendar.local_hour(at, self._zone)
        return hour

    def _suppressed(self, effect: Suppress, lived: Lived, life: Life) -> None:
        journey, reason = effect.journey or "bot", effect.reason
        if reason.startswith("fallback: "):
            self.journeys[journey, "lost"] += 1
            return
        key = (journey, effect.step)
        by = _blamed(life.scene.recent, journey) if reason in BY_OTHERS else ""
        if by:
            self.held_by[journey, by] += 1
        if effect.until is None:
            self.withheld[journey, reason] += 1
            self.days["withheld", self._day] += 1
            if self._waiting.pop(key, None) is None:
                self.journeys[journey, "wanted"] += 1
            return
        self.stuck |= reason.partition(":")[0] in LACKING
        self.put_off[journey, reason] += 1
        self.days["put_off", self._day] += 1
        waited = self._waiting.get(key)
        if waited is None:
            self.journeys[journey, "wanted"] += 1
            self.journeys[journey, "held"] += 1
            self._waiting[key] = (self._at_s, by)
        elif by:
            self._waiting[key] = (waited[0], by)

    def _consented(self, effect: SetConsent, lived: Lived, life: Life) -> None:
        self._granted = effect.consent.granted and self._granted is not False

    def _redeemed(self, effect: Redeem, lived: Lived, life: Life) -> None:
        self.rewards[effect.reward, "redeemed"] += 1

    def _posted(self, entry: PostEntry, lived: Lived, life: Life) -> None:
        if entry.debit == "issued":
            self.earned = True
            self.days["issued", self._day] += entry.points
            self.reasons["issued", entry.reason] += entry.points
        elif entry.credit in ("spent", "expired"):
            self.days[entry.credit, self._day] += entry.points
            self.reasons[entry.credit, entry.reason] += entry.points


def _blamed(recent: tuple[Sent, ...], journey: str) -> str:
    """Whose message keeps one of `journey` back: of the newest of another, or its own."""
    for sent in reversed(recent):
        if sent.journey and sent.journey != journey:
            return sent.journey
    return journey if recent else ""
