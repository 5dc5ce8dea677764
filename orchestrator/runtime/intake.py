"""The way in of a feed: each event is looked at once, and stored for its subscriber, put where its
matcher finds it, set aside, or counted as matching nothing.

Nothing is kept between two calls, so any number of processes may do it at once. What a call returns
for is durable: stored and set aside in PostgreSQL, queued in Redis. The same events again are safe:
the store knows their source ids, and so do the matchers as long as they count in their order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC
from typing import Any

from msgspec import UNSET

from orchestrator.core.feed import EventType, Happened
from orchestrator.core.telephone import number_of
from orchestrator.core.triggers import Triggers
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.reports import Broken, EventShape, Taken, unfit
from orchestrator.runtime.streams import writable
from orchestrator.store import set_aside, subscribers

SOURCE = "api"
"""Where events come from, whichever way: their source ids are unique among themselves."""

AHEAD_S = 60.0
"""An event of the future waits for its time, and all that came after it with it: so far at most, or
as far as the feed's lateness."""


class _Sorted:
    """A batch, looked at: what goes where."""

    def __init__(self) -> None:
        self.needed: list[Happened] = []
        self.keyed: list[tuple[int, EventShape]] = []
        self.kept: list[int] = []
        self.broken: list[Broken] = []
        self.unmatched = 0


class Intake:
    """The way in of one process, which must follow the project and the lists."""

    def __init__(self, context: Context, ingest: Ingest | None = None) -> None:
        self._context = context
        self._ingest = ingest or Ingest(context)
        self._compiled: tuple[int, Triggers] | None = None

    @property
    def clock(self) -> Clock:
        """Domain time."""
        return self._context.clock

    @property
    def triggers(self) -> Triggers:
        """Those of the project as last followed."""
        projects = self._context.projects
        if self._compiled is None or self._compiled[0] != projects.number:
            self._compiled = projects.number, Triggers(projects.project, self._context.lists)
        return self._compiled[1]

    async def take(
        self,
        reports: Sequence[EventShape],
        source: str = SOURCE,
        broken: Sequence[Broken] = (),
        positions: Sequence[int] | None = None,
    ) -> Taken:
        """These reports are dealt with, and `broken` ones, which could not be read, set aside.
        Positions are those given, or count from 0.

        Raises FullError if too many events wait for matchers, and then nothing was taken. If
        something else fails, part of it may have been: send the same again.
        """
        at = positions if positions is not None else range(len(reports))
        sorted_ = self._sort(reports, at)
        if sorted_.keyed:
            await self._name(sorted_, at)
        if sorted_.needed:
            if not writable(sorted_.needed):
                self._refuse(sorted_, reports, at)
            await self._context.streams.add(sorted_.needed)
        aside = [*broken, *sorted_.broken]
        if aside:
            await self._set_aside(aside, source)
        stored, known, strangers = 0, 0, tuple[int, ...]()
        if sorted_.kept:
            stored, known, strangers = await self._store(reports, sorted_.kept, at, source)
        taken = Taken(
            stored=stored,
            known=known,
            strangers=strangers,
            queued=len(sorted_.needed),
            unmatched=sorted_.unmatched,
            set_aside=tuple(sorted(it.position for it in aside)),
        )
        self._context.meters.reported(taken)
        return taken

    def _sort(self, reports: Sequence[EventShape], positions: Sequence[int]) -> _Sorted:
        """Where each goes. Nothing is waited for. Events of a type are looked at together, so that
        most of them cost a fraction of a microsecond; only what is left is looked at for itself."""
        feed = self.triggers.project.feed
        found = _Sorted()
        places: dict[str, list[int]] = {}
        for index, it in enumerate(reports):
            try:
                places[it.name].append(index)
            except KeyError:
                places[it.name] = [index]
        for name, some in places.items():
            declared = feed.events.get(name)
            said = [reports[index].properties for index in some]
            if declared is not None and not declared.fits(said):
                some = self._fitting(name, declared, reports, some, positions, found)
                said = [reports[index].properties for index in some]
            if name not in feed.matching:
                found.kept += some
            self._sift(name, reports, some, said, positions, found)
        found.kept.sort()
        return found

    def _fitting(
        self,
        name: str,
        declared: EventType,
        reports: Sequence[EventShape],
        some: Sequence[int],
        positions: Sequence[int],
        found: _Sorted,
    ) -> list[int]:
        """Those of some that are as declared; the others are broken."""
        fitting: list[int] = []
        for index in some:
            if fault := declared.fault(reports[index].properties):
                found.broken.append(unfit(reports[index], positions[index], f"{name}: {fault}"))
            else:
                fitting.append(index)
        return fitting

    def _sift(
        self,
        name: str,
        reports: Sequence[EventShape],
        some: Sequence[int],
        said: Sequence[Mapping[str, Any]],
        positions: Sequence[int],
        found: _Sorted,
    ) -> None:
        """Of some events of one type, those that a trigger may need are needed."""
        triggers = self.triggers
        feed = triggers.project.feed
        now = self._context.clock.now().timestamp()
        latest = now + max(AHEAD_S, feed.lateness.total_seconds())
        matching = name in feed.matching
        plan = triggers.plans.get(name)
        unmatched = len(some)
        ahead: set[int] = set()
        for place in () if plan is None else plan.sift(said):
            it = reports[some[place]]
            number = it.number
            if number is UNSET:
                found.keyed.append((some[place], it))
            elif plan is not None and plan.wants(who := int(number), said[place]):
                at = now if it.at is None else it.at.timestamp()
                if at <= latest:
                    found.needed.append(Happened(name, who, at, it.source_id, it.properties))
                else:
                    found.broken.append(unfit(it, positions[some[place]], _AHEAD))
                    ahead.add(some[place])
            else:
                continue
            unmatched -= 1
        if ahead:
            found.kept = [index for index in found.kept if index not in ahead]
        found.unmatched += unmatched if matching else 0

    async def _name(self, found: _Sorted, positions: Sequence[int]) -> None:
        """Who is named by a key is known to matchers by their number, if they have one. Who is
        nobody can have no trigger."""
        keys = {it.subscriber for _, it in found.keyed if it.subscriber is not UNSET}
        async with self._context.pool.acquire() as connection:
            numbers = await subscribers.telephones(connection, keys)
        now = self._context.clock.now().timestamp()
        triggers = self.triggers
        latest = now + max(AHEAD_S, triggers.project.feed.lateness.total_seconds())
        ahead: set[int] = set()
        for index, it in found.keyed:
            assert it.subscriber is not UNSET
            one = None
            if it.subscriber in numbers:
                who = number_of(numbers[it.subscriber]) or it.subscriber
                at = now if it.at is None else it.at.timestamp()
                one = Happened(it.name, who, at, it.source_id, it.properties)
            if one is not None and one.at > latest:
                found.broken.append(unfit(it, positions[index], _AHEAD))
                ahead.add(index)
            elif one is not None and triggers.wants(one):
                found.needed.append(one)
            elif it.name in triggers.project.feed.matching:
                found.unmatched += 1
        found.kept = [index for index in found.kept if index not in ahead]

    def _refuse(
        self, found: _Sorted, reports: Sequence[EventShape], positions: Sequence[int]
    ) -> None:
        """Those that a stream cannot hold are broken, and are not stored either."""
        refused = {(it.name, it.source_id) for it in found.needed if not writable([it])}
        places = {place for place, it in enumerate(reports) if (it.name, it.source_id) in refused}
        found.broken += [unfit(reports[it], positions[it], _TOO_BIG) for it in sorted(places)]
        found.needed = [it for it in found.needed if (it.name, it.source_id) not in refused]
        found.kept = [place for place in found.kept if place not in places]

    async def _store(
        self, reports: Sequence[EventShape], kept: list[int], positions: Sequence[int], source: str
    ) -> tuple[int, int, tuple[int, ...]]:
        """These are stored: how many were new and known, and the positions of strangers'."""
        stored = known = 0
        strangers: list[int] = []
        while kept:
            owners = await self._owners({reports[index].telephone for index in kept} - {""})
            theirs: list[int] = []
            events: list[EventIn] = []
            for index in kept:
                it = reports[index]
                owner = owners.get(("sms", it.telephone))
                key = it.subscriber if it.subscriber is not UNSET else owner.key if owner else None
                if key is None:
                    strangers.append(index)
                    continue
                theirs.append(index)
                when = it.at and it.at.astimezone(UTC)
                events.append(EventIn(key, it.name, it.source_id, when, it.properties))
            counts = await self._ingest.events(events, source)
            stored += counts.stored
            known += counts.known
            gone = [theirs[place] for place in counts.strangers]
            strangers += [index for index in gone if reports[index].number is UNSET]
            # Whoever had the number has become one with another, or was erased: whose is it now?
            kept = [index for index in gone if reports[index].number is not UNSET]
        return stored, known, tuple(sorted(positions[index] for index in strangers))

    async def _owners(
        self, telephones: Collection[str]
    ) -> Mapping[tuple[str, str], subscribers.Owner]:
        """Whose these telephones are."""
        if not telephones:
            return {}
        async with self._context.pool.acquire() as connection:
            return await subscribers.owners(connection, [("sms", it) for it in telephones])

    async def _set_aside(self, aside: Sequence[Broken], source: str) -> None:
        now = self._context.clock.now()
        rows = [
            set_aside.NewAside(source, it.name, it.source_id, it.who, it.body, it.reason)
            for it in aside
        ]
        async with self._context.pool.acquire() as connection:
            await set_aside.add(connection, rows, now)


_AHEAD = "its `at` is too far in the future"
_TOO_BIG = "a whole number in it has more than 64 bits"
