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
from typing import Any

from bot import router
from orchestrator.core.effects import Suppress
from orchestrator.core.events import ReplyReceived, SubscriberEvent
from orchestrator.core.model import Consent, Subscriber
from orchestrator.core.project import Project
from orchestrator.core.scene import Scene
from orchestrator.project import shipped
from orchestrator.project.life import Life, runs
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


class Year:
    """One subscriber's year: they use data, and answer some questions."""

    def __init__(self, project: Project, number: int) -> None:
        scene = Scene(project, person(number), {}, secret=b"s")
        self._life = Life(scene, router.answer, BEGIN)
        self._runs = [*runs(project, BEGIN, END)]
        self._counted: Counter[str] = Counter()
        self._dice = random.Random(number)
        first = BEGIN + timedelta(hours=self._dice.randrange(24 * 7))
        self._life.expect(first, SubscriberEvent("subscriber.activated", first, {}, f"a{number}"))
        for day in range(0, 365, 3):
            at = first + timedelta(days=day, hours=self._dice.randrange(1, 24))
            used = {"mb": self._dice.randrange(60)}
            self._life.expect(at, SubscriberEvent("data.used", at, used, f"u{number}:{day}"))

    def lived(self) -> Counter[str]:
        """The year has passed; what came of it."""
        for at, journey, segment in self._runs:
            self._live(at)
            self._life.bring_in(journey, segment)
        self._live(END)
        return self._counted

    def _live(self, end: datetime) -> None:
        for lived in self._life.until(end):
            self._counted["turns"] += 1
            self._counted["messages"] += len(lived.sent)
            for _ in lived.sent:
                self._maybe_reply(lived.at)
            for effect in lived.effects:
                if isinstance(effect, Suppress):
                    self._counted["put_off" if effect.until else "withheld"] += 1

    def _maybe_reply(self, now: datetime) -> None:
        if self._dice.random() < 0.3 and self._counted["replies"] < 40:
            self._counted["replies"] += 1
            at = now + timedelta(minutes=self._dice.randrange(2, 90))
            said = self._dice.choice(["1", "2", "yes", "points", "help", "maybe"])
            address = self._life.scene.subscriber.addresses["sms"]
            source = f"r{self._counted['replies']}"
            self._life.expect(at, ReplyReceived(said, "sms", address, at, source))


def year(people: int) -> dict[str, Any]:
    """What a year of so many people came to, and how long it took."""
    project = load(read_folder(shipped.programme_folder()))
    total: Counter[str] = Counter()
    began_at = time.process_time()
    for number in range(people):
        total += Year(project, number).lived()
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
