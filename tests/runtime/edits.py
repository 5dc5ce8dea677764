"""A journey edited at random while people are in it, and a judge of what their telephones got.

The judge knows nothing of the product's way of moving people: it reads a version as a plain list of
steps, and asks whether a telephone's messages are what somebody gets who goes down these lists,
changing to a later list only as that list's author allowed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

LEAVE = "leave"
POOL = 60
"""There are so many messages to send; `m07` says its own name."""


class Item(Struct, frozen=True):
    """One step of the plain list. A `wait` sends nothing; `at` holds a message back."""

    id: str
    message: str = ""
    hours: int = 0
    at: str = ""

    def written(self) -> str:
        if not self.message:
            return f"  - {{id: {self.id}, wait: {self.hours}h}}"
        held = f"at: {self.at}, " if self.at else ""
        return f"  - {{id: {self.id}, {held}send: {self.message}, via: [sms]}}"


class Version(Struct, frozen=True):
    """One text of the journey: its steps, and what it says of people in flight. `move` is None for
    `stay`."""

    items: tuple[Item, ...]
    move: Mapping[str, str] | None = None

    def written(self) -> str:
        if self.move is None:
            rule = "stay"
        else:
            pairs = ", ".join(f"{a}: {b}" for a, b in self.move.items())
            rule = f"{{move: {{{pairs}}}}}" if pairs else "follow"
        steps = "\n".join(item.written() for item in self.items)
        return (
            f"journey: tour\nclass: urgent\nin_flight: {rule}\n"
            f"enter: [{{on: tour.asked}}]\nsteps:\n{steps}\n"
        )

    def place(self, step: str) -> int | None:
        return next((n for n, item in enumerate(self.items) if item.id == step), None)


def first(sends: int, wait_h: int = 6) -> Version:
    """A journey of so many messages, with waits and times between them."""
    items: list[Item] = []
    for n in range(sends):
        at = f"day {1 + n // 2} {9 + n}:30" if n % 3 == 2 else ""
        items += [Item(f"s{n}", f"m{n:02}", at=at), Item(f"w{n}", hours=wait_h)]
    return Version(tuple(items[:-1]))


class Author:
    """Edits the journey at random: steps come, go, are renamed, come back and have other times."""

    def __init__(self, version: Version, chance: random.Random) -> None:
        self.version = version
        self._chance = chance
        self._numbers = sum(1 for item in version.items if item.message)
        self._instead: dict[str, str] = {}
        """Where people at steps go that are no more."""
        self._gone: list[Item] = []
        self._kept: tuple[Version, int, dict[str, str], list[Item]] | None = None

    def edit(self, rule: Literal["stay", "follow"] | None = None) -> Version:
        """The next version. Those who follow are told where to go from whatever is no more."""
        self._kept = (self.version, self._numbers, dict(self._instead), [*self._gone])
        items = [*self.version.items]
        for _ in range(self._chance.randint(1, 3)):
            self._change(items)
        rule = rule or self._chance.choice(("stay", "follow", "follow"))
        move = None
        if rule == "follow":
            here = {item.id for item in items}
            found = {step: self._after(step, here) for step in self._instead if step not in here}
            move = dict(sorted(found.items()))
        self.version = Version(tuple(items), move)
        return self.version

    def take_back(self) -> None:
        """The last edit was never made."""
        assert self._kept is not None
        self.version, self._numbers, self._instead, self._gone = self._kept

    def _after(self, step: str, here: set[str]) -> str:
        while step not in here and step != LEAVE:
            step = self._instead[step]
        return step

    def _change(self, items: list[Item]) -> None:
        n = self._chance.randrange(len(items))
        item = items[n]
        match self._chance.choice(("add", "add", "remove", "rename", "retime", "retime", "back")):
            case "add" if self._numbers < POOL:
                name = self._numbers
                self._numbers += 1
                items.insert(n, Item(f"s{name}", f"m{name:02}"))
                items.insert(n, Item(f"x{name}", hours=self._chance.randint(1, 8)))
            case "remove" if len(items) > 4:
                del items[n]
                self._instead[item.id] = items[n].id if n < len(items) else LEAVE
                self._gone.append(item)
            case "rename":
                other = f"{item.id.partition('-')[0]}-{self._chance.randrange(10**6)}"
                items[n] = replace(item, id=other)
                self._instead[item.id] = other
            case "back" if self._gone:
                back = self._gone.pop(self._chance.randrange(len(self._gone)))
                for step, instead in self._instead.items():
                    if instead == back.id:  # they went further on while it was away
                        self._instead[step] = self._instead[back.id]
                del self._instead[back.id]
                items.insert(n, back)
            case _:
                at = f"day {self._chance.randint(1, 4)} {self._chance.randint(9, 18)}:30"
                hours = self._chance.randint(1, 12)
                timed = bool(item.message) and self._chance.random() < 0.5
                held = replace(item, at=at if timed else "")
                items[n] = held if item.message else replace(item, hours=hours)
        _in_order(items)


def _in_order(items: list[Item]) -> None:
    """Times do not lie before those of steps above them."""
    last = (0, 0)
    for n, item in enumerate(items):
        if item.at:
            _, day, clock = item.at.split()
            when = (int(day), int(clock.partition(":")[0]))
            if when < last:
                items[n] = replace(item, at="")
            else:
                last = when


class Applied(Struct, frozen=True):
    """A version, and when it came to be the one that runs: not before `at`, not after `by`."""

    version: Version
    at: datetime
    by: datetime


class Received(Struct, frozen=True):
    """What one telephone got, in order, with when; and whether its owner is through."""

    entered_at: datetime
    messages: Sequence[tuple[str, datetime]]
    finished: bool


def entry(applied: Sequence[Applied], at: datetime, patience: timedelta) -> list[int]:
    """The versions that somebody may have entered who came at this time; so long may a process let
    people in by the version before."""
    followed = [*(it.by + patience for it in applied[1:]), None]
    return [
        number
        for number, (it, until) in enumerate(zip(applied, followed, strict=True))
        if it.at <= at and (until is None or until >= at)
    ]


Standing = tuple[int, int]
"""A version and a place in it; behind the last step they are through."""

THROUGH = (-1, -1)


def judge(applied: Sequence[Applied], got: Received, entry: Sequence[int]) -> str:
    """Why nobody can have got these messages, or ''. `entry` are the versions that somebody who
    came when they came may have entered."""
    said = [message for message, _ in got.messages]
    if len({*said}) < len(said):
        return f"something came twice: {said}"
    if got.finished:
        for message in _in_each(applied, min(entry)):
            if message not in said:
                return f"{message}, which every version had, never came: {said}"
    standing: set[Standing] = {(number, 0) for number in entry}
    for message, at in got.messages:
        reached = _reached(applied, standing, at)
        standing = {
            (number, place + 1)
            for number, place in reached
            if number >= 0
            and place < len(applied[number].version.items)
            and applied[number].version.items[place].message == message
        }
        if not standing:
            return f"{message} cannot come here: {said}"
    ends = {THROUGH, *((n, len(it.version.items)) for n, it in enumerate(applied))}
    if got.finished and not ends & _reached(applied, standing, None):
        return f"it cannot end here: {said}"
    return ""


def _in_each(applied: Sequence[Applied], since: int) -> set[str]:
    """Messages that every version from that one on has, in the same order of all of them."""
    texts = [[item.message for item in it.version.items if item.message] for it in applied[since:]]
    return {message for message in texts[0] if all(message in text for text in texts)}


def _reached(
    applied: Sequence[Applied], standing: set[Standing], until: datetime | None
) -> set[Standing]:
    """Wherever somebody may be without getting anything, before that moment."""
    found: set[Standing] = set()
    waiting = [*standing]
    while waiting:
        here = waiting.pop()
        if here in found:
            continue
        found.add(here)
        number, place = here
        if number < 0 or place >= len(applied[number].version.items):
            continue
        item = applied[number].version.items[place]
        if not item.message:
            waiting.append((number, place + 1))
        for later, it in enumerate(applied):
            rule = it.version.move
            if later <= number or rule is None or (until is not None and it.at > until):
                continue
            step = rule.get(item.id, item.id)
            if step == LEAVE:
                waiting.append(THROUGH)
            elif (to := it.version.place(step)) is not None:
                waiting.append((later, to))
    return found


TEMPLATES = {
    f"templates/m{n:02}.en.j2": f"{{% block sms %}}m{n:02}{{% endblock %}}" for n in range(POOL)
}
