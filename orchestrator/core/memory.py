"""What of a matcher outlives it: the waits that run, what is known of subscribers, and when
triggers fired last. It is made of a `Standing`, says how it has changed, and goes on under other
triggers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from itertools import chain, count, islice
from math import inf
from sys import intern
from typing import Any

from msgspec.structs import replace

from orchestrator.core.feed import Happened
from orchestrator.core.sieve import Who
from orchestrator.core.standing import Changes, FiredAt, Key, Standing, State, Wait
from orchestrator.core.triggers import Trigger, Triggers

KEPT_S = 7 * 86_400.0
"""What is known of somebody who is on none of the lists of the triggers that ask is kept so long:
a list may lack them for a while."""

_LOOKED_AT, _LOOK_S = 256, 1.0
"""Of so many it is looked at once a second whether what is known of them may go: a million take an
hour, and nothing stands still meanwhile."""

_DROPPED_AT = 4096
"""Of so many a second it is written that a name which no trigger asks about is not known."""

Known = dict[Who, tuple[float, Any]]
"""Of each subscriber, since when what is known: one name under `state`."""

Sets = tuple[tuple[str, Known, str, Any], ...]
"""A name under `state`, what is known of it, and the property of an event that says it, or else
what it is then."""


class Memory:
    """`waits` and `fired` are by the index of a trigger, then by whom; `known` by name; `sets` by
    event. `due` is a heap of waits, also of some that were ended, by when they are over. `dropped`
    counts waits whose triggers went."""

    def __init__(self, triggers: Triggers, standing: Standing) -> None:
        self.dropped = 0
        self._looked_at = -inf
        self._others: Iterator[tuple[str, Who]] = iter(())
        self._unasked: Iterator[Who] = iter(())
        self.known: dict[str, Known] = {}
        self._numbers = count()
        self._changed_waits: set[Key] = set()
        self._changed_fired: set[Key] = set()
        self._changed_states: set[Who] = set()
        self._use(triggers)
        self._restore(standing)
        unasked: list[Who] = []
        for who, state in standing.states.items():
            for name, known in state.items():
                if name in self.known:
                    self.known[name][who] = (known[0], known[1])
                else:
                    unasked.append(who)
        self._unasked = iter(unasked)

    def next_due(self) -> float:
        """When the first wait is over; inf if none runs."""
        due = self.due
        while due and self.waits[due[0][2]].get(due[0][4].who) is not due[0][4]:
            heappop(due)
        return due[0][0] if due else inf

    def ripe(self) -> tuple[Trigger, Wait] | None:
        """The first of the waits that are `due` is over, and no more; None if it was ended."""
        _, _, index, _, wait = heappop(self.due)
        if self.waits[index].get(wait.who) is not wait:
            return None
        trigger = self._triggers.all[index]
        self.end(trigger, wait.who)
        return trigger, wait

    def begin(self, trigger: Trigger, wait: Wait) -> None:
        """The wait runs."""
        self._run(trigger, wait)
        self._changed_waits.add((trigger.journey, trigger.number, wait.who))

    def end(self, trigger: Trigger, who: Who) -> None:
        """The wait that runs for somebody runs no more."""
        del self.waits[trigger.index][who]
        self._changed_waits.add((trigger.journey, trigger.number, who))

    def fire(self, trigger: Trigger, who: Who, at: float) -> None:
        """A trigger with `once_per` fired."""
        self.fired[trigger.index][who] = at
        self._aging[trigger.index].append((at, who))
        self._changed_fired.add((trigger.journey, trigger.number, who))

    def learn(self, it: Happened, sets: Sets, late: bool) -> None:
        """What the event says is known, unless what is known is newer. One that is `late` does not
        go before another of the same instant."""
        who, at = it.who, it.at
        for _, known, name, constant in sets:
            value = it.properties.get(name) if name else constant
            if value is None:
                continue
            before = known.get(who)
            if before is None or at > before[0] or (at == before[0] and not late):
                known[who] = (at, intern(value) if type(value) is str else value)
                self._changed_states.add(who)

    def state(self, who: Who) -> State:
        """What is known of somebody."""
        return {name: known[who] for name, known in self.known.items() if who in known}

    def forget(self, watermark: float) -> None:
        """What can matter no more is gone, or goes a few at a time."""
        for trigger, fired, aging in zip(self._triggers.all, self.fired, self._aging, strict=True):
            while aging and watermark - aging[0][0] >= trigger.once_per_s:
                at, who = aging.popleft()
                if fired.get(who) == at:
                    del fired[who]
                    self._changed_fired.add((trigger.journey, trigger.number, who))
        if watermark - self._looked_at >= _LOOK_S:
            self._looked_at = watermark
            self._forget_some(watermark)
            self._changed_states.update(islice(self._unasked, _DROPPED_AT))

    def _forget_some(self, watermark: float) -> None:
        some = [*islice(self._others, _LOOKED_AT)]
        for name, who in some:
            known = self.known[name].get(who)
            if known is None or watermark - known[0] < KEPT_S:
                continue
            if not any(on_lists(who, {}) for on_lists in self._triggers.asking[name]):
                del self.known[name][who]
                self._changed_states.add(who)
        if not some:
            self._others = self._each_known()

    def _each_known(self) -> Iterator[tuple[str, Who]]:
        """All of whom something is known that may be forgotten."""
        for name in self._triggers.asking:
            for who in [*self.known[name]]:
                yield name, who

    def changes(self, watermark: float) -> Changes:
        """What changed since the last call."""
        places = {(it.journey, it.number): it.index for it in self._triggers.all}

        def wait(key: Key) -> Wait | None:
            index = places.get(key[:2])
            return None if index is None else self.waits[index].get(key[2])

        def fired_at(key: Key) -> float | None:
            index = places.get(key[:2])
            return None if index is None else self.fired[index].get(key[2])

        waits = {key: wait(key) for key in self._changed_waits}
        fired = {key: fired_at(key) for key in self._changed_fired}
        changes = Changes(
            waits=tuple(it for it in waits.values() if it is not None),
            ended=tuple(key for key, it in waits.items() if it is None),
            states={who: self.state(who) for who in self._changed_states},
            fired=tuple(FiredAt(*key, at) for key, at in fired.items() if at is not None),
            forgotten=tuple(key for key, at in fired.items() if at is None),
            watermark=watermark,
        )
        self._changed_waits, self._changed_fired = set(), set()
        self._changed_states = set()
        return changes

    def renewed(self, triggers: Triggers) -> None:
        """From now on these triggers count: see `Matching.renewed`. What is known stays where it
        is, however much it is."""
        numbers = _renumbered(self._triggers, triggers)
        standing = Standing(
            waits=tuple(it for waits in self.waits for it in waits.values()),
            fired=tuple(
                FiredAt(trigger.journey, trigger.number, who, at)
                for trigger, fired in zip(self._triggers.all, self.fired, strict=True)
                for who, at in fired.items()
            ),
        )
        self._use(triggers)
        self._restore(standing, numbers)

    def _use(self, triggers: Triggers) -> None:
        """No wait runs and nothing has fired yet. What nobody asks about is not followed any more,
        so it must not be known again to who asks later."""
        self._triggers = triggers
        if unasked := [known for name, known in self.known.items() if name not in triggers.known]:
            self._unasked = chain(self._unasked, *unasked)
        self.known = {name: self.known.get(name, {}) for name in triggers.known}
        self._others = self._each_known()
        self.due: list[tuple[float, str, int, int, Wait]] = []
        self.waits: list[dict[Who, Wait]] = [{} for _ in triggers.all]
        self.fired: list[dict[Who, float]] = [{} for _ in triggers.all]
        self._aging: list[deque[tuple[float, Who]]] = [deque() for _ in triggers.all]
        self.sets: dict[str, Sets] = {
            name: tuple((key, self.known[key], it.property, it.value) for key, it in sets)
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
            if trigger is None or trigger.on != wait.name or wait.who in self.waits[trigger.index]:
                self.dropped += 1
                self._changed_waits.add(key)
                continue
            if trigger.number != wait.number:
                self._changed_waits |= {key, (wait.journey, trigger.number, wait.who)}
                wait = replace(wait, number=trigger.number)
            self._run(trigger, wait)
        for it in sorted(standing.fired, key=lambda it: it.at):
            trigger = place(it)
            if trigger is None or trigger.number != it.number or not trigger.once_per_s:
                self._changed_fired.add((it.journey, it.number, it.who))
            if trigger is not None and trigger.once_per_s:
                if trigger.number != it.number:
                    self._changed_fired.add((it.journey, trigger.number, it.who))
                self.fired[trigger.index][it.who] = it.at
                self._aging[trigger.index].append((it.at, it.who))

    def _run(self, trigger: Trigger, wait: Wait) -> None:
        self.waits[trigger.index][wait.who] = wait
        number = next(self._numbers)
        heappush(self.due, (wait.due, wait.source_id, trigger.index, number, wait))


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
