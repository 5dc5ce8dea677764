"""The matcher of one partition: which triggers fire. It comes to the same, however its events
arrive, as looking at all of them sorted by (`at`, `source_id`), each once.

**What counts.** Everything is judged in the order of the events, up to a *watermark* that only
grows: `advance`. Until then events are kept, in memory only. Of one event, in this order: what it
`sets` is known; it ends the waits that it is an `unless` of (`began < at <= due`); it begins waits,
or fires. A wait that is due fires after the events of that very instant, if `still` holds and the
subscriber is on the lists that the `if` asks about for themselves, as these are then. What happens
while a wait runs begins no other of that trigger; an event that both ends one and begins one begins
it anew. `once_per` is counted from firing to the next event. Triggers that need nothing but the
event fire in `take`, at once.

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

from collections import deque
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any

from msgspec.structs import replace

from orchestrator.core.feed import Happened
from orchestrator.core.sieve import Who
from orchestrator.core.standing import Changes, Fired, FiredAt, Key, Standing, State, Wait
from orchestrator.core.triggers import Trigger, Triggers

__all__ = ["Changes", "Fired", "FiredAt", "Key", "Matching", "Standing", "State", "Wait"]

_Row = tuple[Any, ...]
"""What is known of somebody: since when and what, for each name of `Triggers.known` in turn. A
tuple, as there is one for everybody on the lists."""

_Sets = tuple[tuple[int, str, Any], ...]
"""Where in a row it belongs, and the property of the event that says it, or else what it is."""


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
        self._kept: list[tuple[float, str, int, Happened, list[Trigger]]] = []
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
        kept, due = self._kept, self._due
        if not kept:
            return due[0][0] if due else inf
        return min(kept[0][0], due[0][0]) if due else kept[0][0]

    @property
    def waiting(self) -> int:
        """How many waits run."""
        return sum(map(len, self._waits))

    @property
    def kept(self) -> int:
        """How many events are kept until the watermark has passed them."""
        return len(self._kept)

    def take(self, happened: Iterable[Happened], replayed: bool = False) -> list[Fired]:
        """What fires at once of these events, in their order. The others are kept until they are
        judged. `replayed`: they were taken before the checkpoint that this matcher began from."""
        fired: list[Fired] = []
        begins, follows, watermark = self._triggers.begins, self._triggers.follows, self.watermark
        seen, seen_before = self._seen, self._seen_before
        for it in happened:
            if it.at <= watermark:
                if not replayed:
                    self._take_late(it)
                continue
            begun = begins(it)
            if begun:
                source_id = it.source_id
                if source_id in seen or source_id in seen_before:
                    continue
                seen.add(source_id)
                later = [trigger for trigger in begun if not trigger.at_once]
                if not replayed and len(later) < len(begun):
                    fired += [_at_once(trigger, it) for trigger in begun if trigger.at_once]
                begun = later
            if begun or follows(it):
                heappush(self._kept, (it.at, it.source_id, next(self._numbers), it, begun))
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
        kept, due = self._kept, self._due
        while True:
            if kept and kept[0][0] <= watermark and not (due and due[0][0] < kept[0][0]):
                at, source_id, _, it, begun = heappop(kept)
                if (at, source_id) != self._last:  # else a duplicate
                    self._last = at, source_id
                    self._judge(it, begun, fired)
            elif due and due[0][0] <= watermark:
                _, _, index, _, wait = heappop(due)
                if self._waits[index].get(wait.who) is wait:  # else it was ended
                    self._end(self._triggers.all[index], wait, fired)
            else:
                break
        self.watermark = watermark
        self._forget()
        return fired

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
            states={who: self._state(who) for who in self._states},
            fired=tuple(
                FiredAt(trigger.journey, trigger.number, who, at)
                for trigger, fired in zip(self._triggers.all, self._fired, strict=True)
                for who, at in fired.items()
            ),
        )
        self._use(triggers)
        self._restore(standing, numbers)
        self._kept = [
            (*it[:4], [trigger for trigger in triggers.begins(it[3]) if not trigger.at_once])
            for it in self._kept
        ]

    def _use(self, triggers: Triggers) -> None:
        """Nothing is known to these triggers yet."""
        self._triggers = triggers
        self._states: dict[Who, _Row] = {}
        self._due: list[tuple[float, str, int, int, Wait]] = []
        self._waits: list[dict[Who, Wait]] = [{} for _ in triggers.all]
        self._fired: list[dict[Who, float]] = [{} for _ in triggers.all]
        self._aging: list[deque[tuple[float, Who]]] = [deque() for _ in triggers.all]
        places = {name: 2 * number for number, name in enumerate(triggers.known)}
        self._unknown: _Row = (-inf, None) * len(triggers.known)
        self._sets = {
            name: tuple((places[key], it.property, it.value) for key, it in sets)
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
            unknown = (-inf, None)
            parts = (state.get(name, unknown) for name in self._triggers.known)
            row = tuple(value for part in parts for value in part)
            if row != self._unknown:
                self._states[who] = row

    def _judge(self, it: Happened, begun: list[Trigger], fired: list[Fired]) -> None:
        who, at = it.who, it.at
        self._follow(it)
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
        if sets := self._sets.get(it.name):
            self._learn(who, at, sets, it.properties, late)
        for trigger, read in self._triggers.ends.get(it.name, ()):
            wait = self._waits[trigger.index].get(who)
            if wait is None or not wait.began < at <= wait.due:
                continue
            if read is None or read(self._scope(who, it.properties, sets or ())) is True:
                del self._waits[trigger.index][who]
                self._changed_waits.add((trigger.journey, trigger.number, who))

    def _learn(
        self, who: Who, at: float, sets: _Sets, properties: Mapping[str, Any], late: bool
    ) -> None:
        before = row = self._states.get(who, self._unknown)
        for place, name, constant in sets:
            value = properties.get(name) if name else constant
            since = row[place]
            if value is not None and (at > since or (at == since and not late)):
                row = (*row[:place], at, value, *row[place + 2 :])
        if row is not before:
            self._states[who] = row
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
        if trigger.once_per_s:
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
        row = self._states.get(who, self._unknown)
        state = {name: row[2 * at + 1] for at, name in enumerate(self._triggers.known)}
        for place, name, constant in sets:
            value = properties.get(name) if name else constant
            if value is not None:
                state[self._triggers.known[place // 2]] = value
        scope = self._triggers.scope(who, properties)
        scope["state"] = state
        return scope

    def _state(self, who: Who) -> State:
        row = self._states.get(who, self._unknown)
        known = enumerate(self._triggers.known)
        return {name: (row[2 * at], row[2 * at + 1]) for at, name in known if row[2 * at] > -inf}

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
