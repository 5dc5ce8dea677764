"""The matcher of one partition: which triggers fire. It comes to the same, however its events
arrive, as looking at all of them sorted by (`at`, `source_id`), each once.

**What counts.** Everything is judged in the order of the events, up to a *watermark* that only
grows: `advance`. Until then events are kept, in memory only. Of one event, in this order: what it
`sets` is known; it ends the waits that it is an `unless` of (`began < at <= due`); it begins waits,
or fires. A wait that is due fires after the events of that very instant, if `still` holds and the
subscriber is on the lists that the `if` asks about for themselves, as these are then. What happens
while a wait runs begins no other of that trigger; an event that both ends one and begins one begins
it anew. `once_per` is counted from firing to the next event; what began outside the entry's
`hours`, by the project's clock, is not counted, for the turn lets nobody in by it. Triggers that
need nothing but the event fire in `take`, at once.

**Late.** An event at or before the watermark begins nothing (`late` counts those that would have);
but it ends waits, and makes known what is newer than what was. The same `source_id` again, up to
`lateness_s` after the watermark passed the first, is not looked at.

**Crashes.** What must outlive one is in `Changes`, to be written in one transaction together with
the `Fired` of `take` and `advance` since the last ones, the position in the stream up to which
events were taken (`seen_id`), and the oldest position that holds an event after the watermark
(`resume_id`). Whoever takes over makes a `Matching` of the `Standing` that was written, and takes
the events again from `resume_id` on: those up to `seen_id` with `replayed=True`, in the same order,
before any other. Of these, what is not after the watermark was judged, and what fires at once has
fired; the rest is kept again. Then it all goes on as if nothing had been.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import chain, count
from math import inf
from operator import itemgetter
from sys import intern
from typing import Any

from msgspec.structs import replace

from orchestrator.core.feed import Happened
from orchestrator.core.sieve import Who
from orchestrator.core.standing import Changes, Fired, FiredAt, Key, Standing, State, Wait
from orchestrator.core.triggers import Trigger, Triggers

__all__ = ["Changes", "Fired", "FiredAt", "Key", "Matching", "Standing", "State", "Wait"]

_SLOTS_PER_S = 8.0
"""Events are kept by eighths of a second, each sorted once the watermark is there."""

_Kept = tuple[float, str, int, Happened, Sequence[Trigger]]
"""An event by its order, and the triggers that it may begin."""

_Known = dict[Who, tuple[float, Any]]
"""Of each subscriber, since when what is known: one name under `state`."""

_Sets = tuple[tuple[str, _Known, str, Any], ...]
"""A name under `state`, what is known of it, and the property of an event that says it, or else
what it is then."""


class Matching:
    """Takes events as they come and says what fires. `next_at` is the earliest watermark that may
    change anything (inf: none); `late` counts events that came too late to begin what they would
    have begun, `dropped` waits whose triggers went."""

    def __init__(
        self, triggers: Triggers, lateness_s: float, standing: Standing | None = None
    ) -> None:
        standing = standing or Standing()
        self.watermark = standing.watermark
        self.late = self.dropped = 0
        self._lateness_s = lateness_s
        self._numbers = count()
        self._kept: dict[float, list[_Kept]] = {}
        self._slots: list[float] = []
        self._last: tuple[float, str] = (-inf, "")
        self._seen: set[str] = set()
        self._seen_before: set[str] = set()
        self._turned_at = -inf
        self._changed_waits: set[Key] = set()
        self._changed_fired: set[Key] = set()
        self._changed_states: set[Who] = set()
        self._use(triggers)
        self._restore(standing)

    @property
    def next_at(self) -> float:
        """The earliest watermark that may change anything; inf if there is none."""
        due = self._due
        while due and self._waits[due[0][2]].get(due[0][4].who) is not due[0][4]:
            heappop(due)  # it was ended
        first = due[0][0] if due else inf
        return min(first, *(it[0] for it in self._kept[self._slots[0]])) if self._slots else first

    @property
    def waiting(self) -> int:
        """How many waits run."""
        return sum(map(len, self._waits))

    @property
    def kept(self) -> int:
        """How many events are kept until the watermark has passed them."""
        return sum(map(len, self._kept.values()))

    def take(self, happened: Iterable[Happened], replayed: bool = False) -> list[Fired]:
        """What fires at once of these events, in their order. The others are kept until they are
        judged. `replayed`: they were taken before the checkpoint that this matcher began from."""
        fired: list[Fired] = []
        watermark, kept, plans = self.watermark, self._kept, self._triggers.plans
        seen, seen_before = self._seen, self._seen_before
        for it in happened:
            at = it.at
            if at <= watermark:
                if not replayed:
                    self._take_late(it)
                continue
            plan = plans.get(it.name)
            if plan is None:
                continue
            begun = plan.begins(it.who, it.properties)
            if begun:
                source_id = it.source_id
                if source_id in seen or source_id in seen_before:
                    continue
                seen.add(source_id)
                later = _waiting(begun)
                if not replayed and len(later) < len(begun):
                    fired += [_at_once(trigger, it) for trigger in begun if trigger.at_once]
                begun = later
            if begun or plan.is_followed:
                slot = at * _SLOTS_PER_S // 1.0
                row = (at, it.source_id, next(self._numbers), it, begun)
                try:
                    kept[slot].append(row)
                except KeyError:
                    kept[slot] = [row]
                    heappush(self._slots, slot)
        return fired

    def learn(self, happened: Iterable[Happened], stored: float) -> None:
        """What these events, taken before the checkpoint that this matcher began from, made known
        is known again, where the states that were written are older: of all events up to `stored`.
        What has yet to be judged says nothing yet."""
        for it in sorted(happened, key=lambda it: (it.at, it.source_id)):
            sets = self._sets.get(it.name)
            if sets and it.at <= self.watermark:
                self._learn(it.who, it.at, sets, it.properties, late=it.at <= stored)

    def _take_late(self, it: Happened) -> None:
        begun = self._triggers.begins(it)
        if begun and it.source_id not in self._seen and it.source_id not in self._seen_before:
            self._seen.add(it.source_id)
            self.late += 1
        self._follow(it, late=True)

    def advance(self, watermark: float) -> list[Fired]:
        """What fires up to `watermark`: all events up to then have been judged, in order. One that
        is not after the last changes nothing."""
        fired: list[Fired] = []
        if watermark <= self.watermark:
            return fired
        due, last = self._due, self._last
        sets, ends = self._sets, self._ends
        for at, source_id, _, it, begun in self._ready(watermark):
            if at == last[0] and source_id == last[1]:
                continue  # a duplicate
            last = (at, source_id)
            while due and due[0][0] < at:
                self._ripe(fired)
            if it.name in sets or it.name in ends:
                self._follow(it)
            if begun:
                self._judge(it, begun, fired)
        while due and due[0][0] <= watermark:
            self._ripe(fired)
        self._last = last
        self.watermark = watermark
        self._forget()
        return fired

    def _ready(self, watermark: float) -> Iterator[_Kept]:
        """The events up to `watermark`, sorted, which are kept no more."""
        slots = self._slots
        while slots and slots[0] <= watermark * _SLOTS_PER_S:
            rows = self._kept.pop(slots[0])
            rows.sort()
            if rows[-1][0] > watermark:
                until = bisect_right(rows, watermark, key=itemgetter(0))
                self._kept[slots[0]] = rows[until:]
                yield from rows[:until]
                return
            heappop(slots)
            yield from rows

    def _ripe(self, fired: list[Fired]) -> None:
        """The wait that is due first is over, unless it was ended."""
        _, _, index, _, wait = heappop(self._due)
        if self._waits[index].get(wait.who) is wait:
            self._end(self._triggers.all[index], wait, fired)

    def changes(self) -> Changes:
        """What changed since the last call."""
        places = {(it.journey, it.number): it.index for it in self._triggers.all}

        def wait(key: Key) -> Wait | None:
            index = places.get(key[:2])
            return None if index is None else self._waits[index].get(key[2])

        def fired_at(key: Key) -> float | None:
            index = places.get(key[:2])
            return None if index is None else self._fired[index].get(key[2])

        waits = {key: wait(key) for key in self._changed_waits}
        fired = {key: fired_at(key) for key in self._changed_fired}
        changes = Changes(
            waits=tuple(it for it in waits.values() if it is not None),
            ended=tuple(key for key, it in waits.items() if it is None),
            states={who: self._state(who) for who in self._changed_states},
            fired=tuple(FiredAt(*key, at) for key, at in fired.items() if at is not None),
            forgotten=tuple(key for key, at in fired.items() if at is None),
            watermark=self.watermark,
        )
        self._changed_waits, self._changed_fired = set(), set()
        self._changed_states = set()
        return changes

    def renewed(self, triggers: Triggers) -> None:
        """From now on these triggers count. The waits of a trigger that is still there, wherever in
        its journey, go on to their end, and so do those of one that was edited in its place, unless
        it is on another event now. The others are dropped."""
        numbers = _renumbered(self._triggers, triggers)
        standing = Standing(
            waits=tuple(it for waits in self._waits for it in waits.values()),
            states={who: self._state(who) for who in {*chain(*self._known.values())}},
            fired=tuple(
                FiredAt(trigger.journey, trigger.number, who, at)
                for trigger, fired in zip(self._triggers.all, self._fired, strict=True)
                for who, at in fired.items()
            ),
        )
        self._use(triggers)
        self._restore(standing, numbers)
        for slot, rows in self._kept.items():
            self._kept[slot] = [(*row[:4], _waiting(triggers.begins(row[3]))) for row in rows]

    def _use(self, triggers: Triggers) -> None:
        """Nothing is known to these triggers yet."""
        self._triggers = triggers
        self._known: dict[str, _Known] = {name: {} for name in triggers.known}
        self._due: list[tuple[float, str, int, int, Wait]] = []
        self._waits: list[dict[Who, Wait]] = [{} for _ in triggers.all]
        self._fired: list[dict[Who, float]] = [{} for _ in triggers.all]
        self._aging: list[deque[tuple[float, Who]]] = [deque() for _ in triggers.all]
        self._ends = {
            name: tuple((trigger, self._waits[trigger.index], read) for trigger, read in ends)
            for name, ends in triggers.ends.items()
        }
        self._sets: dict[str, _Sets] = {
            name: tuple((key, self._known[key], it.property, it.value) for key, it in sets)
            for name, sets in triggers.sets.items()
        }

    def _restore(
        self, standing: Standing, numbers: Mapping[tuple[str, int], int] | None = None
    ) -> None:
        triggers = {(it.journey, it.number): it for it in self._triggers.all}

        def place(it: Wait | FiredAt) -> Trigger | None:
            number = it.number if numbers is None else numbers.get((it.journey, it.number), -1)
            return triggers.get((it.journey, number))

        for wait in standing.waits:
            trigger = place(wait)
            key = wait.journey, wait.number, wait.who
            if trigger is None or trigger.on != wait.name or wait.who in self._waits[trigger.index]:
                self.dropped += 1
                self._changed_waits.add(key)
                continue
            if trigger.number != wait.number:
                self._changed_waits |= {key, (wait.journey, trigger.number, wait.who)}
                wait = replace(wait, number=trigger.number)
            self._begin(trigger, wait)
        for it in sorted(standing.fired, key=lambda it: it.at):
            trigger = place(it)
            if trigger is None or trigger.number != it.number or not trigger.once_per_s:
                self._changed_fired.add((it.journey, it.number, it.who))
            if trigger is not None and trigger.once_per_s:
                if trigger.number != it.number:
                    self._changed_fired.add((it.journey, trigger.number, it.who))
                self._fired[trigger.index][it.who] = it.at
                self._aging[trigger.index].append((it.at, it.who))
        for who, state in standing.states.items():
            for name, known in state.items():
                if name in self._known:
                    self._known[name][who] = (known[0], known[1])

    def _judge(self, it: Happened, begun: Sequence[Trigger], fired: list[Fired]) -> None:
        who, at = it.who, it.at
        for trigger in begun:
            index = trigger.index
            if who in self._waits[index]:
                continue
            if trigger.once_per_s:
                last = self._fired[index].get(who)
                if last is not None and at - last < trigger.once_per_s:
                    continue
            if trigger.knowing and trigger.knowing(self._scope(who, it.properties)) is not True:
                continue
            due = at + trigger.after_s
            wait = Wait(
                trigger.journey, trigger.number, who, it.name, at, due, it.source_id, it.properties
            )
            if trigger.after_s or trigger.still:
                self._begin(trigger, wait)
                self._changed_waits.add((trigger.journey, trigger.number, who))
            else:
                self._fire(trigger, wait, fired)

    def _follow(self, it: Happened, late: bool = False) -> None:
        """What the event says is known, and the waits that it ends are over."""
        who, at = it.who, it.at
        sets = self._sets.get(it.name, ())
        if sets:
            self._learn(who, at, sets, it.properties, late)
        for trigger, waits, read in self._ends.get(it.name, ()):
            wait = waits.get(who)
            if wait is None or not wait.began < at <= wait.due:
                continue
            if read is None or read(self._scope(who, it.properties, sets)) is True:
                del waits[who]
                self._changed_waits.add((trigger.journey, trigger.number, who))

    def _learn(
        self, who: Who, at: float, sets: _Sets, properties: Mapping[str, Any], late: bool
    ) -> None:
        for _, known, name, constant in sets:
            value = properties.get(name) if name else constant
            if value is None:
                continue
            before = known.get(who)
            if before is None or at > before[0] or (at == before[0] and not late):
                known[who] = (at, intern(value) if type(value) is str else value)
                self._changed_states.add(who)

    def _begin(self, trigger: Trigger, wait: Wait) -> None:
        self._waits[trigger.index][wait.who] = wait
        number = next(self._numbers)
        heappush(self._due, (wait.due, wait.source_id, trigger.index, number, wait))

    def _end(self, trigger: Trigger, wait: Wait, fired: list[Fired]) -> None:
        """The wait is over by itself."""
        who = wait.who
        del self._waits[trigger.index][who]
        self._changed_waits.add((trigger.journey, trigger.number, who))
        if trigger.own is not None and not trigger.own(who, wait.properties):
            return
        if trigger.still is None or trigger.still(self._scope(who, wait.properties)) is True:
            self._fire(trigger, wait, fired)

    def _fire(self, trigger: Trigger, wait: Wait, fired: list[Fired]) -> None:
        if trigger.once_per_s and trigger.counts(wait.began):
            self._fired[trigger.index][wait.who] = wait.due
            self._aging[trigger.index].append((wait.due, wait.who))
            self._changed_fired.add((trigger.journey, trigger.number, wait.who))
        fired.append(
            Fired(
                trigger.journey,
                trigger.number,
                wait.who,
                wait.name,
                wait.due,
                wait.began,
                wait.source_id,
                wait.properties,
            )
        )

    def _scope(self, who: Who, properties: Mapping[str, Any], sets: _Sets = ()) -> dict[str, Any]:
        """What a condition sees. What an event itself says (`sets`) goes before what is known, even
        if it came late."""
        state = {name: known[who][1] for name, known in self._known.items() if who in known}
        for key, _, name, constant in sets:
            value = properties.get(name) if name else constant
            if value is not None:
                state[key] = value
        scope = self._triggers.scope(who, properties)
        scope["state"] = state
        return scope

    def _state(self, who: Who) -> State:
        return {name: known[who] for name, known in self._known.items() if who in known}

    def _forget(self) -> None:
        """What can matter no more is gone."""
        watermark = self.watermark
        if watermark - self._turned_at >= self._lateness_s:
            self._seen_before, self._seen = self._seen, set()
            self._turned_at = watermark
        for trigger, fired, aging in zip(self._triggers.all, self._fired, self._aging, strict=True):
            while aging and watermark - aging[0][0] >= trigger.once_per_s:
                at, who = aging.popleft()
                if fired.get(who) == at:
                    del fired[who]
                    self._changed_fired.add((trigger.journey, trigger.number, who))


def _waiting(begun: Iterable[Trigger]) -> tuple[Trigger, ...]:
    """Those of the triggers that need the order of events."""
    return tuple(trigger for trigger in begun if not trigger.at_once)


def _at_once(trigger: Trigger, it: Happened) -> Fired:
    return Fired(
        trigger.journey,
        trigger.number,
        it.who,
        it.name,
        it.at,
        it.at,
        it.source_id,
        it.properties,
    )


def _renumbered(before: Triggers, after: Triggers) -> dict[tuple[str, int], int]:
    """By journey and number of an entry: the number that it has now, if it is there."""
    numbers: dict[tuple[str, int], int] = {}
    for old in before.all:
        there = [it for it in after.all if it.journey == old.journey]
        same = [it.number for it in there if it.entry == old.entry]
        place = [it.number for it in there if (it.number, it.on) == (old.number, old.on)]
        if old.number in same or not same:
            same = place
        if same:
            numbers[old.journey, old.number] = same[0]
    return numbers
