"""The demo's network: a town that calls and moves, and passers-by to whom something is offered when
they have just called a friend on a campus, or wait at the airport.

Passers-by are not in the seven days. What must happen to them is found out here by hand, from all
that the network says of the one person, so that the judge need not believe the matcher.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta, timezone

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.cli.demo.cast import Person
from orchestrator.core.feed import Happened
from orchestrator.core.model import Consent
from orchestrator.project.city import AIRPORT, CAMPUSES, generate
from orchestrator.runtime.context import Context
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.reports import EventShape
from orchestrator.runtime.streams import FullError
from orchestrator.store import lists
from orchestrator.store.reckoning import Recorded
from orchestrator.store.subscribers import NewSubscriber

PEOPLE = range(8613_9000_0000, 8613_9000_1000)
"""Everybody in the town."""
PASSERS_BY = 40
EVENTS_DAILY = 12
"""Of each person, in the mean."""
SHANGHAI = timezone(timedelta(hours=8))

RING_BACK, NEWS = "ring-back-tone", "morning-news"
WAITS_S = {RING_BACK: 300.0, NEWS: 1200.0}
ONCE_S = 86_400.0
TICK_S = 0.05


class Firing(Struct, frozen=True, order=True):
    """A trigger that has to fire for a passer-by: when it is due, and which event began it."""

    due: float
    journey: str
    who: int
    source_id: str


class Town(Struct, frozen=True):
    """All that the network will say, in order; the people who are our subscribers; the numbers on
    each list; and what has to fire for our subscribers."""

    events: Sequence[Happened]
    people: Sequence[Person]
    lists: Mapping[str, frozenset[int]]
    firings: Sequence[Firing]

    def later(self, span: timedelta) -> Town:
        """The same, so much later."""
        by = span.total_seconds()
        return replace(
            self,
            events=[replace(it, at=it.at + by) for it in self.events],
            firings=[replace(it, due=it.due + by) for it in self.firings],
        )


def town(begin: datetime, end: datetime, seed: int) -> Town:
    """A town's life, always the same one for a seed."""
    hours = (end - begin).total_seconds() / 3600
    rate = len(PEOPLE) * EVENTS_DAILY / 86_400
    batches = generate(seed, PEOPLE, begin.astimezone(SHANGHAI), hours, rate)
    events = [it for batch in batches for it in batch]
    dice = random.Random(seed)
    users = frozenset(it for it in PEOPLE if dice.random() < 0.5)
    prospects = frozenset(PEOPLE) - users
    readers = frozenset(it for it in PEOPLE if dice.random() < 0.5)
    known = {RING_BACK: prospects, NEWS: readers}
    by_person: dict[int | str, list[Happened]] = {}
    for it in events:
        by_person.setdefault(it.who, []).append(it)
    firings = sorted(
        firing
        for journey, own in known.items()
        for who in own
        for firing in _firings(journey, who, by_person.get(who, ()), users)
    )
    ours = [*dict.fromkeys(it.who for it in firings)][:PASSERS_BY]
    people = [_passer_by(place, number, begin) for place, number in enumerate(ours)]
    return Town(
        events,
        people,
        {"crbt-users": users, "crbt-prospects": prospects, "mms-readers": readers,
         "blacklist": frozenset()},
        [it for it in firings if it.who in ours],
    )  # fmt: skip


def _firings(
    journey: str, who: int, events: Sequence[Happened], users: frozenset[int]
) -> Iterator[Firing]:
    """When a trigger must fire for one person of its list, given all that happens to them."""
    area = CAMPUSES if journey == RING_BACK else AIRPORT
    fired_at = busy_until = float("-inf")
    for place, it in enumerate(events):
        due = it.at + WAITS_S[journey]
        if not _begins(journey, it, users) or it.at <= busy_until or it.at - fired_at < ONCE_S:
            continue
        meanwhile = [one for one in events[place + 1 :] if one.at <= due]
        ended = next((one.at for one in meanwhile if _ends(journey, one, area)), None)
        busy_until = due if ended is None else ended
        off = [one.name for one in (*events[: place + 1], *meanwhile) if "phone." in one.name]
        if ended is None and off[-1:] != ["phone.off"]:
            fired_at = due if _by_day(it.at) else fired_at
            yield Firing(due, journey, who, it.source_id)


def _begins(journey: str, it: Happened, users: frozenset[int]) -> bool:
    if journey == NEWS:
        return it.name == "location.changed" and it.properties["cell"] in AIRPORT
    called = it.name == "call.ended" and int(it.properties["peer"]) in users
    return called and it.properties["cell"] in CAMPUSES


def _by_day(at: float) -> bool:
    """Whether it lies in the hours of both recipes."""
    return 9 <= datetime.fromtimestamp(at, SHANGHAI).hour < 20


def _ends(journey: str, it: Happened, area: frozenset[str]) -> bool:
    if it.name == "phone.off":
        return journey == RING_BACK
    return it.name == "location.changed" and it.properties["cell"] not in area


def _passer_by(place: int, number: int, now: datetime) -> Person:
    english = place % 4 == 3
    subscriber = NewSubscriber(
        key=f"passer-by-{place:03d}",
        locale="en" if english else "zh",
        timezone="Asia/Shanghai",
        attributes={"name": f"Guest {place}" if english else f"客{place}", "network": "4g"},
        addresses={"sms": f"+{number}"},
        consents={"marketing": Consent(True, now, "contract", "I agree to tips and offers.")},
    )
    return Person(
        number=100_000 + place,
        subscriber=subscriber,
        channel="sms",
        address=f"+{number}",
        answers="silent",
        stops_after=None,
        stop_word="",
        redeems=False,
        asks="",
        uses_daily_mb=0,
    )


Fired = Set[tuple[str, str, str]]
"""Journeys whose trigger fired, for which number, by which event's id."""


def in_time(there: Town, fired: Fired, late: Set[int | str]) -> tuple[Town, Fired]:
    """The same, without those of whom something came later than an event may: what that sets off
    is nobody's promise."""
    theirs = {f"+{who}" for who in late}
    town = replace(
        there,
        people=[it for it in there.people if it.address not in theirs],
        firings=[it for it in there.firings if it.who not in late],
    )
    return town, {it for it in fired if it[1] not in theirs}


def not_fired(there: Town, fired: Fired, until: datetime) -> int:
    """How often a trigger did not fire that had to by then."""
    due = {_told(it) for it in there.firings if it.due < until.timestamp()}
    return len(due - fired)


def in_vain(there: Town, fired: Fired, recorded: Mapping[str, Sequence[Recorded]]) -> int:
    """How often a trigger fired that must not, and how many messages came of none: before it was
    due, or by an event of the night."""
    wrong = len(fired - {_told(it) for it in there.firings})
    for person in there.people:
        for row in recorded.get(person.subscriber.key, ()):
            wrong += row.journey in WAITS_S and not any(
                it.journey == row.journey
                and f"+{it.who}" == person.address
                and it.due <= row.queued_at.timestamp()
                and _by_day(it.due - WAITS_S[it.journey])
                for it in there.firings
            )
    return wrong


def _told(it: Firing) -> tuple[str, str, str]:
    return it.journey, f"+{it.who}", it.source_id


async def load_lists(context: Context, numbers: Mapping[str, frozenset[int]]) -> None:
    """These are the lists in force."""
    now = context.clock.now()
    async with context.pool.acquire() as connection:
        for name, whose in numbers.items():
            async with lists.loading(connection, name) as version:
                version.add(whose)
                await version.put_in_force("the demo", now)
        await context.lists.follow(connection, now)


async def report(context: Context, events: Sequence[Happened]) -> set[int | str]:
    """All these events were reported, each once its time had come; returns of whom some came later
    than they may, because this machine had too much to do."""
    intake, clock, place = Intake(context), context.clock, 0
    lateness_s = context.projects.project.feed.lateness.total_seconds()
    late: set[int | str] = set()
    while place < len(events):
        now = clock.now().timestamp()
        until = place
        while until < len(events) and until < place + 1_000 and events[until].at <= now:
            until += 1
        if until > place:
            await _take(intake, events[place:until])
            allowed = clock.now().timestamp() - lateness_s
            late.update(it.who for it in events[place:until] if it.at < allowed)
            place = until
        else:
            await asyncio.sleep(TICK_S)
    return late


async def _take(intake: Intake, events: Sequence[Happened]) -> None:
    reports = [
        EventShape(
            name=it.name,
            source_id=it.source_id,
            number=int(it.who),
            at=datetime.fromtimestamp(it.at, UTC),
            properties=it.properties,
        )
        for it in events
    ]
    while True:
        try:
            await intake.take(reports)
        except FullError as full:
            await asyncio.sleep(full.retry_s)
        else:
            return
