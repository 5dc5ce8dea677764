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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf
from operator import itemgetter
from typing import Any

from orchestrator.core.feed import Happened
from orchestrator.core.memory import Memory, Sets
from orchestrator.core.sieve import Who
from orchestrator.core.standing import Changes, Fired, FiredAt, Key, Standing, State, Wait
from orchestrator.core.triggers import Trigger, Triggers

__all__ = ["Changes", "Fired", "FiredAt", "Key", "Matching", "Standing", "State", "Wait"]

_SLOTS_PER_S = 8.0
"""Events are kept by eighths of a second, each sorted once the watermark is there."""

_Kept = tuple[float, str, int, Happened, Sequence[Trigger]]
"""An event by its order, and the triggers that it may begin."""


class Matching:
    """Takes events as they come and says what fires. `next_at` is the earliest watermark that may
    change anything (inf: none); `late` counts events that came too late to begin what they would
    have begun."""

    def __init__(
        self, triggers: Triggers, lateness_s: float, standing: Standing | None = None
    ) -> None:
        standing = standing or Standing()
        self.watermark = standing.watermark
        self.late = 0
        self._lateness_s = lateness_s
        self._numbers = count()
        self._kept: dict[float, list[_Kept]] = {}
        self._slots: list[float] = []
        self._last: tuple[float, str] = (-inf, "")
        self._seen: set[str] = set()
        self._seen_before: set[str] = set()
        self._turned_at = -inf
        self._triggers = triggers
        self._memory = Memory(triggers, standing)

    @property
    def next_at(self) -> float:
        """The earliest watermark that may change anything; inf if there is none."""
        first = self._memory.next_due()
        return min(first, *(it[0] for it in self._kept[self._slots[0]])) if self._slots else first

    @property
    def waiting(self) -> int:
        """How many waits run."""
        return sum(map(len, self._memory.waits))

    @property
    def dropped(self) -> int:
        """How many waits went with their triggers."""
        return self._memory.dropped

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
            sets = self._memory.sets.get(it.name)
            if sets and it.at <= self.watermark:
                self._memory.learn(it, sets, late=it.at <= stored)

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
        memory, last = self._memory, self._last
        due, sets, ends = memory.due, memory.sets, self._triggers.ends
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
        if watermark - self._turned_at >= self._lateness_s:
            self._seen_before, self._seen = self._seen, set()
            self._turned_at = watermark
        memory.forget(watermark)
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
        """The wait that is due first is over by itself, unless it was ended."""
        over = self._memory.ripe()
        if over is None:
            return
        trigger, wait = over
        who = wait.who
        if trigger.own is not None and not trigger.own(who, wait.properties):
            return
        if trigger.still is None or trigger.still(self._scope(who, wait.properties)) is True:
            self._fire(trigger, wait, fired)

    def changes(self) -> Changes:
        """What changed since the last call."""
        return self._memory.changes(self.watermark)

    def renewed(self, triggers: Triggers) -> None:
        """From now on these triggers count. The waits of a trigger that is still there, wherever in
        its journey, go on to their end, and so do those of one that was edited in its place, unless
        it is on another event now. The others are dropped."""
        self._triggers = triggers
        self._memory.renewed(triggers)
        for slot, rows in self._kept.items():
            self._kept[slot] = [(*row[:4], _waiting(triggers.begins(row[3]))) for row in rows]

    def _judge(self, it: Happened, begun: Sequence[Trigger], fired: list[Fired]) -> None:
        who, at = it.who, it.at
        for trigger in begun:
            index = trigger.index
            if who in self._memory.waits[index]:
                continue
            if trigger.once_per_s:
                last = self._memory.fired[index].get(who)
                if last is not None and at - last < trigger.once_per_s:
                    continue
            if trigger.knowing and trigger.knowing(self._scope(who, it.properties)) is not True:
                continue
            due = at + trigger.after_s
            wait = Wait(
                trigger.journey, trigger.number, who, it.name, at, it.source_id, it.properties, due
            )
            if trigger.after_s or trigger.still:
                self._memory.begin(trigger, wait)
            else:
                self._fire(trigger, wait, fired)

    def _follow(self, it: Happened, late: bool = False) -> None:
        """What the event says is known, and the waits that it ends are over."""
        who, at, memory = it.who, it.at, self._memory
        sets = memory.sets.get(it.name, ())
        if sets:
            memory.learn(it, sets, late)
        for trigger, read in self._triggers.ends.get(it.name, ()):
            wait = memory.waits[trigger.index].get(who)
            if wait is None or not wait.began < at <= wait.due:
                continue
            if read is None or read(self._scope(who, it.properties, sets)) is True:
                memory.end(trigger, who)

    def _fire(self, trigger: Trigger, wait: Wait, fired: list[Fired]) -> None:
        if trigger.once_per_s and trigger.counts(wait.began):
            self._memory.fire(trigger, wait.who, wait.due)
        fired.append(
            Fired(
                wait.journey, wait.number, wait.who, wait.name, wait.began, wait.source_id,
                wait.properties, wait.due,
            )
        )  # fmt: skip

    def _scope(self, who: Who, properties: Mapping[str, Any], sets: Sets = ()) -> dict[str, Any]:
        """What a condition sees. What an event itself says (`sets`) goes before what is known, even
        if it came late."""
        state = {name: value for name, (_, value) in self._memory.state(who).items()}
        for key, _, name, constant in sets:
            value = properties.get(name) if name else constant
            if value is not None:
                state[key] = value
        scope = self._triggers.scope(who, properties)
        scope["state"] = state
        return scope


def _waiting(begun: Iterable[Trigger]) -> tuple[Trigger, ...]:
    """Those of the triggers that need the order of events."""
    return tuple(trigger for trigger in begun if not trigger.at_once)


def _at_once(trigger: Trigger, it: Happened) -> Fired:
    return Fired(
        trigger.journey, trigger.number, it.who, it.name, it.at, it.source_id, it.properties, it.at
    )
