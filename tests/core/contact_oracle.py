"""A second opinion on the contact policy, over random cases: it was written from docs/authors.md,
as one sentence per rule about one moment, and shares no code with what it judges.

`python -m tests.core.contact_oracle --cases 1000000` prints how many it looked at, and fails with
the first case that breaks a rule; `--seed N` repeats it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.core.calendar import HolidayPack
from orchestrator.core.contact import Around, ContactClass, ContactPolicy
from orchestrator.core.grammar import Days, Window
from orchestrator.core.model import Consent, Sent, Subscriber
from orchestrator.core.verdict import Go, Later, Never, may_go, next_opening

ZONES = (
    *("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"),
    *("Africa/Cairo", "Pacific/Apia", "Asia/Kathmandu", "UTC"),
)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)


class Case:
    """One random person, policy, history and moment."""

    def __init__(self, seed: int) -> None:
        self.chance = draw = random.Random(seed)
        self.seed = seed
        self.zone = draw.choice([*ZONES, None] if draw.random() < 0.2 else ZONES)
        self.now = BEGIN + draw.randrange(365 * 96) * QUARTER
        self.entered_at = self.now - draw.randrange(10 * 96) * QUARTER
        self.rules = self._rules("marketing")
        self.pack = self._pack()
        self.lists = {"dnd": self.now - draw.randrange(40) * DAY} if draw.random() < 0.9 else {}
        self.listed = frozenset(["dnd"] if draw.random() < 0.2 else [])
        self.journey_avoids = self._maybe(0.1, (self._short(),)) or ()
        self.policy = ContactPolicy(
            {
                "mine": self.rules,
                "same": ContactClass(purpose="marketing"),
                "care": ContactClass(purpose="service", consent="opt_out"),
                "answer": ContactClass(purpose="answer", consent="answer"),
            },
            {"here": self.pack} if self.pack else {},
        )
        self.history = sorted(self._history(), key=lambda line: line.at)
        self.person = Subscriber(
            id=draw.randrange(10**6),
            key="k",
            shard=0,
            locale="en",
            timezone=self.zone,
            attributes={},
            tags=frozenset(),
            addresses={"sms": "+8613800138000"},
            consents=self._consents(),
            created_at=BEGIN,
        )

    def _maybe(self, likely: float, value: Any) -> Any:
        return value if self.chance.random() < likely else None

    def _window(self) -> Window:
        opens = self.chance.randrange(5, 16)
        closes = self.chance.randrange(opens + 2, 25)
        return Window(time(opens), time(closes % 24))

    def _short(self) -> Window:
        opens = self.chance.randrange(5, 23)
        return Window(time(opens), time((opens + self.chance.randrange(1, 3)) % 24))

    def _pack(self) -> HolidayPack | None:
        if self.rules.holidays is None or self.chance.random() < 0.05:
            return None
        near = self.now.date() + timedelta(days=self.chance.randrange(-5, 30))
        free = [near + timedelta(days=self.chance.randrange(-9, 9)) for _ in range(5)]
        worked = [near + timedelta(days=self.chance.randrange(-9, 9)) for _ in range(2)]
        return HolidayPack(
            valid_until=near if self.chance.random() < 0.1 else near + timedelta(days=200),
            days=tuple(Days(day, day + timedelta(days=2)) for day in free),
            working=tuple(Days(day, day) for day in worked),
            zones=self.chance.choice([(), (), (str(self.zone),), ("Asia/Tokyo",)]),
        )

    def _rules(self, purpose: str) -> ContactClass:
        draw = self.chance
        week = frozenset(draw.sample(range(7), draw.randrange(2, 7)))
        return ContactClass(
            purpose=purpose,
            consent=draw.choice(["opt_in", "opt_in", "opt_in", "opt_out", "answer"]),
            stop=draw.choice(["person", "person", "purpose"]),
            hours=self._maybe(0.7, self._window()),
            weekdays=week if draw.random() < 0.4 else frozenset(range(7)),
            avoid=tuple(self._short() for _ in range(draw.choice([0, 0, 0, 1, 2]))),
            holidays=self._maybe(0.3, "avoid"),
            spread=self._maybe(0.3, draw.randrange(1, 400) * timedelta(minutes=1)),
            not_on=self._maybe(0.2, ("dnd",)) or (),
            fresh=self._maybe(0.7, draw.randrange(20, 40) * DAY),
            per_day=self._maybe(0.4, draw.randrange(1, 4)),
            per_week=self._maybe(0.3, draw.randrange(1, 5)),
            per_campaign=self._maybe(0.2, draw.randrange(1, 4)),
            gap=self._maybe(0.3, draw.randrange(1, 200) * QUARTER),
            same_message=self._maybe(0.3, draw.randrange(1, 10) * DAY),
            other_journey=self._maybe(0.3, draw.randrange(1, 8) * DAY),
        )

    def _history(self) -> Iterator[Sent]:
        draw = self.chance
        for _ in range(draw.randrange(6)):
            # What fell back to another channel may be still to come.
            ago = draw.randrange(*draw.choice([(8,), (96,), (960,), (-95, 0)])) * QUARTER
            yield Sent(
                self.now - ago,
                draw.choice(["hello", "a", "b", "c"]),
                draw.choice(["mine", "mine", "theirs", ""]),
                draw.choice(["mine", "same", "care", "answer", "retired"]),
            )

    def _consents(self) -> dict[str, Consent]:
        draw = self.chance
        given = {}
        if draw.random() < 0.9:
            given["marketing"] = Consent(draw.random() < 0.95, BEGIN)
        if draw.random() < 0.1:
            given["everything"] = Consent(draw.random() < 0.5, BEGIN)
        return given

    def verdict(self, when: datetime) -> Go | Later | Never:
        counted = self.policy.counted(self.history)
        return may_go(self.rules, self.person, counted, "hello", "mine", when, self.around())

    def fallback(self) -> datetime | str:
        """When the same message goes, having failed elsewhere."""
        counted, around = self.policy.counted(self.history), self.around()
        return next_opening(self.rules, self.person, counted, "hello", "mine", self.now, around)

    def around(self) -> Around:
        return self.policy.around(
            "mine", self.person, self.entered_at, self.journey_avoids, self.lists, self.listed
        )

    # The rules, a sentence each.

    def forbidden(self) -> set[str]:
        """What stands against it for ever, or at least for this time."""
        rules, consents, broken = self.rules, self.person.consents, set()
        stopped = "everything" in consents and not consents["everything"].granted
        if stopped and rules.stop != "purpose":
            broken.add("opted_out")
        if "marketing" in consents and not consents["marketing"].granted:
            broken.add("opted_out")
        if rules.consent == "opt_in" and "marketing" not in consents:
            broken.add("no_consent")
        if rules.not_on and "dnd" in self.listed:
            broken.add("on_list:dnd")
        mine = [s for s in self._counts() if s.journey == "mine" and s.at >= self.entered_at]
        if rules.per_campaign is not None and len(mine) >= rules.per_campaign:
            broken.add("per_campaign")
        return broken

    def against(self, when: datetime) -> set[str]:
        """Every rule that a message going at that moment would break."""
        rules, lines = self.rules, self._counts()
        if rules.consent == "answer":
            return set()
        broken = self.forbidden()
        if rules.not_on:
            age = when - self.lists["dnd"] if self.lists else None
            if age is None or (rules.fresh is not None and age > rules.fresh):
                broken.add("list_stale:dnd")
        for line in lines:
            since = abs(when - line.at)
            same = line.template == "hello"
            if rules.same_message is not None and same and since < rules.same_message:
                broken.add("same_message")
            if rules.gap is not None and since < rules.gap:
                broken.add("gap")
            campaign = line.journey != "mine" and line.contact_class != "care"
            if rules.other_journey is not None and campaign and since < rules.other_journey:
                broken.add("other_journey")
        if self._is_local():
            broken |= self._against_local(when) if self.zone else {"unknown_zone"}
        return broken

    def _is_local(self) -> bool:
        rules = self.rules
        bound = (rules.hours, rules.per_day, rules.per_week, rules.holidays)
        avoids = rules.avoid or self.journey_avoids
        return any(it is not None for it in bound) or len(rules.weekdays) < 7 or bool(avoids)

    def _against_local(self, when: datetime) -> set[str]:
        rules, broken, tz = self.rules, set(), ZoneInfo(str(self.zone))
        wall = when.astimezone(tz)
        days = [line.at.astimezone(tz).date() for line in self._counts()]
        if rules.per_day is not None and days.count(wall.date()) >= rules.per_day:
            broken.add("per_day")
        this_week = wall.isocalendar()[:2]
        weeks = [day.isocalendar()[:2] for day in days]
        if rules.per_week is not None and weeks.count(this_week) >= rules.per_week:
            broken.add("per_week")
        minute = wall.hour * 60 + wall.minute
        free, worked = self._holidays(wall.date())
        if rules.holidays and not self._knows(wall.date()):
            broken.add("holidays_expired")
        if free:
            broken.add("holiday")
        if wall.weekday() not in rules.weekdays and not (
            worked and rules.weekdays >= {0, 1, 2, 3, 4}
        ):
            broken.add("outside_hours")
        if rules.hours is not None and not _within(rules.hours, minute):
            broken.add("outside_hours")
        if any(_within(it, minute) for it in (*rules.avoid, *self.journey_avoids)):
            broken.add("avoided")
        return broken

    def _knows(self, day: date) -> bool:
        """Whether the holidays of that day are known where the person lives."""
        pack = self.pack
        if pack is None or (pack.zones and self.zone not in pack.zones):
            return False
        return day <= pack.valid_until

    def _holidays(self, day: date) -> tuple[bool, bool]:
        """Whether that day is free, and whether it is worked, for somebody who lives there."""
        pack = self.pack
        if not self.rules.holidays or pack is None:
            return False, False
        if pack.zones and self.zone not in pack.zones:
            return False, False
        worked = any(row.first <= day <= row.last for row in pack.working)
        return not worked and any(row.first <= day <= row.last for row in pack.days), worked

    def _counts(self) -> list[Sent]:
        return [s for s in self.history if s.journey and s.contact_class != "answer"]


def _within(window: Window, minute: int) -> bool:
    last = window.closes.hour * 60 or 24 * 60
    return window.opens.hour * 60 <= minute < last


def judge(case: Case) -> str:
    """What the policy does with the case, held against the second opinion: the last reason, or
    `go`. Fails where they differ."""
    again = case.fallback()
    if isinstance(again, datetime):
        assert not case.against(again), f"it falls back at {again} against {case.against(again)}"
    when, reasons = case.now, ["go"]
    while isinstance(verdict := case.verdict(when), Later):
        broken = case.against(when)
        assert verdict.until > when, "putting off goes forward"
        assert verdict.reason in broken, f"{verdict.reason} is not among {broken}"
        if verdict.reason in ("holidays_expired", "list_stale:dnd") and len(reasons) > 3:
            return verdict.reason
        spread = case.rules.spread or timedelta()
        between = (verdict.until - spread - when) / QUARTER
        for _ in range(6):
            moment = when + case.chance.randrange(max(1, int(between))) * QUARTER
            assert case.against(moment), f"{moment} would have been in order"
        when = verdict.until
        reasons.append(verdict.reason)
        assert len(reasons) < 30, "it is put off for ever"
    broken = case.against(when)
    if verdict == Never("never_open"):
        for quarter in range(14 * 96):
            broken = case.against(when + quarter * QUARTER)
            assert broken & {"outside_hours", "holiday", "avoided"}, "it does open"
        return "never_open"
    if isinstance(verdict, Never):
        assert verdict.reason in broken, f"{verdict.reason} is not among {broken}"
        return verdict.reason
    assert not broken, f"it goes at {when} against {broken}"
    return reasons[-1]


def look(cases: int, seed: int) -> Counter[str]:
    """How often each thing was said over so many cases, none of them against a rule."""
    said: Counter[str] = Counter()
    for number in range(seed, seed + cases):
        case = Case(number)
        try:
            said[judge(case)] += 1
        except AssertionError as error:
            raise AssertionError(f"--seed {number} --cases 1: {error}") from None
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    try:
        said = look(wanted.cases, wanted.seed)
    except AssertionError as error:
        sys.exit(f"violation: {error}")
    print(json.dumps({"cases": wanted.cases, "violations": 0, "last": dict(sorted(said.items()))}))


if __name__ == "__main__":
    main()
