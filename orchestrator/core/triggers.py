"""The triggers of a project, compiled: what an event may begin, end or make known, found by a few
look-ups. Most events match nothing, and `Triggers.wants` says so in about a microsecond.

A trigger is an entry of a journey that is judged where events arrive (`Entry.is_trigger`). Of its
`if` and `still`, the parts that ask about `subscriber`, `usage` and `points` are left to the turn
(`left_to_turn`); the others are judged here, where nothing is known of the subscriber but their
number, the lists it is on, and `state`. The cheapest parts of an `if` come first, for all triggers
of an event together: what the event says (areas and texts by one look-up), then the lists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from orchestrator.core import calendar
from orchestrator.core.chance import draw
from orchestrator.core.expression import Condition, Part, reading
from orchestrator.core.expression.predicate import Reading
from orchestrator.core.feed import Happened
from orchestrator.core.journey import Entry
from orchestrator.core.project import Project
from orchestrator.core.sieve import Gate, Lists, Sieve, Sift, Test, Who, among, rank
from orchestrator.core.telephone import whole

Rest = tuple["Trigger", Test | None]
"""A trigger, and what must hold besides (None: nothing)."""


class Trigger:
    """One entry of a journey, compiled. `index` is its place among all triggers of the project.

    `parts` are what its `if` says of the event and the subscriber's number, `own` a test of those
    that ask about nothing but the number, `chance` one of its `sample`. `knowing` reads what its
    `if` says of `state`, `still` what must hold at the end of the wait, `ends` the conditions of
    each event that ends it, `asks` the names under `state` that it asks about. None always holds.
    Spans are in seconds. `at_once`: nothing is waited for, and nothing need be known but the event.
    """

    __slots__ = (
        *("after_s", "asks", "at_once", "chance", "ends", "entry", "index", "journey", "knowing"),
        *("number", "on", "once_per_s", "own", "own_parts", "parts", "still", "_timezone"),
    )

    def __init__(
        self, index: int, journey: str, number: int, entry: Entry, sieve: Sieve, timezone: str
    ) -> None:
        self.index, self.journey, self.number, self.entry = index, journey, number, entry
        self.on = str(entry.on)
        self.after_s = entry.after.total_seconds() if entry.after else 0.0
        self.once_per_s = entry.once_per.total_seconds() if entry.once_per else 0.0
        hot = _hot(entry.condition)
        self.parts = tuple(part for part in hot if not _looks_back(part))
        self.own_parts = frozenset(part for part in self.parts if not part.names())
        self.own = sieve.every(self.own_parts)
        self.chance = _chance(journey, entry)
        self.knowing = _reading(part for part in hot if _looks_back(part))
        still = _hot(entry.still)
        self.still = _reading(still)
        self.ends = tuple((str(it.on), _hot(it.condition)) for it in entry.unless)
        self.asks = frozenset(_states(hot, still, *(parts for _, parts in self.ends)))
        self.at_once = not (self.after_s or self.once_per_s or self.still or self.knowing)
        self._timezone = timezone

    def counts(self, began: float) -> bool:
        """Whether a firing that such an instant began counts for `once_per`: it lies in the `hours`
        by the project's clock. The subscriber's own is the turn's to know."""
        hours = self.entry.hours
        if hours is None:
            return True
        tz = calendar.zone(self._timezone)
        return tz is None or hours.holds(
            calendar.local_time(datetime.fromtimestamp(began, UTC), tz)
        )


class Triggers:
    """All triggers of a project. It never changes, but for `lists`, which may at any time.

    `names` are the events that matter to any of them: no other need be looked at. `known` are the
    names under `state` that any of them asks about, `sets` what each event says of those, `ends`
    which triggers each event may end, `asking` tests of who is on the lists of the triggers that
    ask about a name, or may be, but for names that one asks about of everybody.
    """

    def __init__(self, project: Project, lists: Lists) -> None:
        self.project = project
        sieve = Sieve(project.areas, lists)
        self.scope = sieve.scope
        self.all = tuple(
            Trigger(index, journey.name, number, entry, sieve, project.timezone)
            for index, (journey, number, entry) in enumerate(project.triggers)
        )
        asked = frozenset[str]().union(*(it.asks for it in self.all))
        self.known = tuple(sorted(asked & project.feed.state))
        self.sets = {
            name: tuple((key, it) for key, it in sets.items() if key in self.known)
            for name, sets in project.feed.setting.items()
            if not asked.isdisjoint(sets)
        }
        self.ends: dict[str, tuple[tuple[Trigger, Reading | None], ...]] = {}
        for trigger in self.all:
            for on, parts in trigger.ends:
                self.ends[on] = (*self.ends.get(on, ()), (trigger, _reading(parts)))
        self.names = frozenset(self.sets) | frozenset(self.ends) | {it.on for it in self.all}
        self.plans = {name: Plan(name, self, sieve) for name in self.names}
        self.asking: dict[str, tuple[Test, ...]] = {}
        for name in self.known:
            those = [it for it in self.all if name in it.asks]
            tests = [it.own for it in those if it.own is not None]
            if len(tests) == len(those):
                own = frozenset[Part]().union(*(it.own_parts for it in those))
                self.asking[name] = (*tests, sieve.lacking(own))

    def wants(self, it: Happened) -> bool:
        """Whether an event may matter: begin or end something, or make known what somebody asks
        about. It never says no to one that does, as long as the lists stay the same."""
        plan = self.plans.get(it.name)
        return plan is not None and plan.wants(it.who, it.properties)

    def begins(self, it: Happened) -> Sequence[Trigger]:
        """The triggers whose `if` holds, but for what it says of `state`."""
        plan = self.plans.get(it.name)
        return () if plan is None else plan.begins(it.who, it.properties)


class Plan:
    """How one event is judged: `gates` by a look-up of a property, `groups` by a test that their
    triggers share, `followed` by tests of whom it is about. `is_followed`: it may end something, or
    make something known."""

    def __init__(self, name: str, triggers: Triggers, sieve: Sieve) -> None:
        starting = [it for it in triggers.all if it.on == name]
        self._gates = [*_gates(starting, sieve)]
        groups = _groups(starting, sieve)
        self._groups = [
            (None if head is None else sieve.test(head), rests) for head, rests in groups
        ]
        followed: dict[frozenset[str], tuple[Part, ...]] = {}
        for trigger in triggers.all:
            own = (*trigger.own_parts,)
            if any(key in trigger.asks for key, _ in triggers.sets.get(name, ())):
                followed[_written(own)] = own
            for on, parts in trigger.ends:
                if on == name:
                    asked = (*own, *(it for it in parts if not _looks_back(it)))
                    followed[_written(asked)] = asked
        widest = [it for it in followed if not any(other < it for other in followed)]
        self.is_followed = bool(followed)
        self._always = frozenset[str]() in followed
        tests = [sieve.every(followed[it]) for it in widest]
        self._followed = [test for test in tests if test is not None]
        sifts = [among(key, table, place) for key, table, place, _ in self._gates]
        sifts += [
            it for head, _ in groups if head is not None and (it := sieve.sift(head)) is not None
        ]
        outlined = any(gate[3] for gate in self._gates)
        known = len(sifts) == len(self._gates) + len(groups) and not outlined and not followed
        self._sifts: Sequence[Sift] | None = sifts if known else None

    def sift(self, many: Sequence[Mapping[str, Any]]) -> Collection[int]:
        """Of the properties of many events, the places of those that it may want, whoever they are
        about: far quicker than to ask of each."""
        if self._sifts is None:
            return range(len(many))
        try:
            found = {place for sift in self._sifts for place in sift(many)}
        except TypeError:  # something is of another type than is asked for
            return range(len(many))
        return sorted(found)

    def wants(self, who: Who, event: Mapping[str, Any]) -> bool:
        """Whether an event with these properties may matter."""
        return bool(self.begins(who, event)) or self._follows(who, event)

    def begins(self, who: Who, event: Mapping[str, Any]) -> Sequence[Trigger]:
        """The triggers whose `if` holds, but for what it says of `state`."""
        begun: Sequence[Trigger] = ()
        for key, table, place, outlined in self._gates:
            value = event.get(key)
            if type(value) is str:
                found = table.get(value)
            elif place:
                number = whole(value)
                found = outlined if number is None else table.get(str(number))
            else:
                continue
            if found is not None:
                for trigger, rest in found:
                    if rest is None or rest(who, event):
                        begun = (*begun, trigger)
        for head, triggers in self._groups:
            if head is None or head(who, event):
                for trigger, rest in triggers:
                    if rest is None or rest(who, event):
                        begun = (*begun, trigger)
        return begun

    def _follows(self, who: Who, event: Mapping[str, Any]) -> bool:
        if self._always:
            return True
        for test in self._followed:  # noqa: SIM110  (a generator takes twice as long)
            if test(who, event):
                return True
        return False


_Gates = tuple[str, dict[str, tuple[Rest, ...]], bool, tuple[Rest, ...] | None]


def _gates(starting: Iterable[Trigger], sieve: Sieve) -> Iterator[_Gates]:
    """By property and kind: the triggers that need it to be this text. Those with an outline of an
    area are also looked at for a point."""
    tables: dict[tuple[str, bool], dict[str, tuple[Rest, ...]]] = {}
    outlined: dict[tuple[str, bool], tuple[Rest, ...]] = {}
    for trigger in starting:
        chosen = _gate(trigger, sieve)
        if chosen is None:
            continue
        gate, part = chosen
        key = gate.property, gate.place
        rest = _rest(trigger, sieve, [it for it in trigger.parts if it is not part])
        table = tables.setdefault(key, {})
        for value in gate.values:
            table[value] = (*table.get(value, ()), rest)
        if gate.outline:
            whole = _rest(trigger, sieve, trigger.parts)
            outlined[key] = (*outlined.get(key, ()), whole)
    for key, table in tables.items():
        yield key[0], table, key[1], outlined.get(key)


def _groups(
    starting: Iterable[Trigger], sieve: Sieve
) -> Sequence[tuple[Part | None, tuple[Rest, ...]]]:
    """The triggers without a gate, by their cheapest part."""
    groups: dict[frozenset[str], tuple[Part | None, tuple[Rest, ...]]] = {}
    for trigger in starting:
        if _gate(trigger, sieve) is None:
            head = min(trigger.parts, key=rank, default=None)
            rest = _rest(trigger, sieve, [it for it in trigger.parts if it is not head])
            written = _written(() if head is None else (head,))
            _, others = groups.get(written, (head, ()))
            groups[written] = (head, (*others, rest))
    return [*groups.values()]


def _written(parts: Iterable[Part]) -> frozenset[str]:
    """What parts say, to tell them apart: to Python 1 and true are the same."""
    return frozenset(map(repr, parts))


def _gate(trigger: Trigger, sieve: Sieve) -> tuple[Gate, Part] | None:
    """The narrowest gate among the trigger's parts."""
    gates = [(gate, part) for part in trigger.parts if (gate := sieve.gate(part)) is not None]
    return min(gates, key=lambda it: len(it[0].values), default=None)


def _rest(trigger: Trigger, sieve: Sieve, parts: Iterable[Part]) -> Rest:
    return trigger, sieve.every(parts, *filter(None, [trigger.chance]))


def _chance(journey: str, entry: Entry) -> Test | None:
    """Whether somebody is in the sample: the same people for all entries of a journey."""
    if entry.sample is None:
        return None
    share = entry.sample.share
    return lambda who, event: draw("sample", journey, who) < share


def _hot(condition: Condition | None) -> tuple[Part, ...]:
    """What is judged where events arrive."""
    return () if condition is None else tuple(it for it in condition.parts() if it.hot)


def _looks_back(part: Part) -> bool:
    return any(name.startswith("state.") for name in part.names())


def _states(*asked: Iterable[Part]) -> Iterator[str]:
    """The names under `state` that these parts ask about."""
    for parts in asked:
        for part in parts:
            yield from (it.split(".")[1] for it in part.names() if it.startswith("state."))


def _reading(parts: Iterable[Part]) -> Reading | None:
    some = [*parts]
    return reading(some) if some else None


@lru_cache(maxsize=4096)
def left_to_turn(condition: Condition | None) -> Reading:
    """What a trigger's condition asks that only a turn knows: true at once if nothing."""
    return reading([it for it in condition.parts() if not it.hot] if condition else ())
