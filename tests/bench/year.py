"""`python -m tests.bench.year`: how long 365 days of the shipped programme take on a skipped clock.

The clock goes from one due thing to the next; the decisions, the contact policy and the rendering
are production's. People are activated over the first week, use data, and answer some questions;
every month's segments are brought in. Processor seconds of this process, so that what runs beside
it does not count. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from msgspec.structs import replace

from bot import router
from orchestrator.core import calendar, engine
from orchestrator.core.effects import EmitEvent, RerouteMessage, SendMessage, Suppress
from orchestrator.core.events import Entered, Event, ReplyReceived, SubscriberEvent, TimerDue
from orchestrator.core.model import Consent, Subscriber
from orchestrator.core.project import Project
from orchestrator.core.scene import Scene
from orchestrator.core.stage import Stage
from orchestrator.project import shipped
from orchestrator.project.load import load
from orchestrator.project.source import read_folder

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=365)
ZONES = ("Asia/Shanghai", "Asia/Urumqi", "Europe/Berlin", "America/New_York")


def person(number: int) -> Subscriber:
    """Somebody of the cast."""
    return Subscriber(
        id=number + 1,
        key=f"p{number}",
        shard=number % 64,
        locale="en" if number % 2 else "zh-CN",
        timezone=ZONES[number % len(ZONES)],
        attributes={"name": f"P{number}", "network": "4g", "plan": "p1", "usage": {}},
        tags=frozenset(),
        addresses={"sms": f"+861380{number:07}"},
        consents={"marketing": Consent(True, BEGIN)},
        created_at=BEGIN,
    )


class Life:
    """One subscriber's year."""

    def __init__(self, project: Project, number: int) -> None:
        self.scene = Scene(project, person(number), {}, secret=b"s", chance=bytes(16))
        self.counted: Counter[str] = Counter()
        self._dice = random.Random(number)
        self._coming: list[tuple[datetime, int, Event]] = []
        self._plan(number)

    def _plan(self, number: int) -> None:
        first = BEGIN + timedelta(hours=self._dice.randrange(24 * 7))
        self._expect(first, SubscriberEvent("subscriber.activated", first, {}, f"a{number}"))
        for day in range(0, 365, 3):
            at = first + timedelta(days=day, hours=self._dice.randrange(1, 24))
            used = {"mb": self._dice.randrange(60)}
            self._expect(at, SubscriberEvent("data.used", at, used, f"u{number}:{day}"))
        tz = calendar.zone(self.scene.project.timezone) or calendar.UTC_ZONE
        for journey in self.scene.project.journeys.values():
            for entry in journey.enter:
                at = BEGIN
                while entry.every is not None and at < END:
                    at = calendar.next_run(at, entry.every, tz)
                    self._expect(at, Entered(f"{journey.name} {entry.segment}", at))

    def _expect(self, at: datetime, event: Event) -> None:
        heappush(self._coming, (at, len(self._coming) + self.counted["events"] * 1000, event))

    def lived(self) -> Counter[str]:
        """The year has passed; what came of it."""
        while True:
            due = min(
                (e.due_at for e in self.scene.enrollments.values() if e.open and e.due_at),
                default=END,
            )
            if self._coming and self._coming[0][0] <= due:
                at, _, event = heappop(self._coming)
            else:
                at, event = due, TimerDue()
            if at >= END:
                return self.counted
            self._take(event, at)

    def _take(self, event: Event, now: datetime) -> None:
        if isinstance(event, Entered):
            name, _, segment = event.journey.partition(" ")
            scope = Stage(self.scene, now).scope({})
            if not self.scene.project.segments[segment].holds(scope):
                return
            event = Entered(name, now)
        if isinstance(event, ReplyReceived):
            decision = router.answer(self.scene, event, now)
        else:
            decision = engine.decide(self.scene, event, now)
        self.scene = self._remembering(decision.scene, now)
        self.counted["turns"] += 1
        for effect in decision.effects:
            if isinstance(effect, SendMessage | RerouteMessage):
                self.counted["messages"] += 1
                self._maybe_reply(now)
            elif isinstance(effect, Suppress):
                self.counted["put_off" if effect.until else "withheld"] += 1
            elif isinstance(effect, EmitEvent):
                emitted = SubscriberEvent(effect.name, now, effect.properties, effect.source_id)
                self._expect(now, emitted)

    def _maybe_reply(self, now: datetime) -> None:
        if self._dice.random() < 0.3 and self.counted["replies"] < 40:
            self.counted["replies"] += 1
            at = now + timedelta(minutes=self._dice.randrange(2, 90))
            said = self._dice.choice(["1", "2", "yes", "points", "help", "maybe"])
            address = self.scene.subscriber.addresses["sms"]
            self._expect(at, ReplyReceived(said, "sms", address, at, f"r{self.counted['replies']}"))

    def _remembering(self, scene: Scene, now: datetime) -> Scene:
        """The scene with as much contact history as a turn would load."""
        since = now - scene.project.contact.memory
        if scene.recent and scene.recent[0].at < since:
            return replace(scene, recent=tuple(it for it in scene.recent if it.at >= since))
        return scene


def year(people: int) -> dict[str, Any]:
    """What a year of so many people came to, and how long it took."""
    project = load(read_folder(shipped.programme_folder()))
    total: Counter[str] = Counter()
    began_at = time.process_time()
    for number in range(people):
        total += Life(project, number).lived()
    spent_s = time.process_time() - began_at
    return {"people": people, "days": 365, "year_s": round(spent_s, 2), **sorted_counts(total)}


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=50)
    wanted, _ = parser.parse_known_args()
    found = year(wanted.people)
    print(
        f"365 days of {found['people']} people took {found['year_s']} processor seconds:", end=" "
    )
    print(f"{found['turns']:,} decisions, {found['messages']:,} messages,", end=" ")
    print(f"{found.get('replies', 0):,} replies.")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
