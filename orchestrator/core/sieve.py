"""Parts of conditions about an event and whom it happened to, as quick tests.

What stands most often in triggers (an area, a text or a number of the event, lists) is compiled
by hand here; anything else goes through the language's own predicate, and the answers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from orchestrator.core.area import Area
from orchestrator.core.expression import Part, reading, tree
from orchestrator.core.telephone import number_of

Who = int | str
"""A subscriber: their number without +, or the key of somebody known without one."""

Lists = Mapping[str, Container[int]]
"""Numbers by list; those that were not loaded, or have expired, are not there."""

Test = Callable[[Who, Mapping[str, Any]], bool]
"""Whether something holds for a subscriber and the properties of an event."""

Sift = Callable[[Sequence[Mapping[str, Any]]], Iterable[int]]
"""Of the properties of many events, the places of those of which something may hold: of no other
does it. Raises TypeError where it cannot tell."""

EVENT, GENERAL, OWN_LIST, LIST, CHANCE = range(5)
"""What a test costs, by rank."""

_INFINITE = float("inf")
_EXACT = 2**53
"""Up to here every whole number is a float."""


class Gate(Struct, frozen=True):
    """A part that holds only where a property of the event is one of these texts. With `outline`,
    also where it is a point of an area; if it is a `place`, the number of a cell is its text."""

    property: str
    values: frozenset[str]
    place: bool = False
    outline: bool = False


class Sieve:
    """Makes tests, for a project's areas and the lists as they are at the time of the test."""

    def __init__(self, areas: Mapping[str, Area], lists: Lists) -> None:
        self._areas, self._lists = areas, lists

    def every(self, parts: Iterable[Part], *more: Test) -> Test | None:
        """A test that all these parts hold, the cheapest first; None if there are none."""
        tests = [self.test(part) for part in sorted(parts, key=rank)] + [*more]
        if len(tests) <= 1:
            return tests[0] if tests else None
        if len(tests) == 2:
            first, second = tests
            return lambda who, event: first(who, event) and second(who, event)
        first, second, *others = tests
        return lambda who, event: (
            first(who, event) and second(who, event) and all(it(who, event) for it in others)
        )

    def gate(self, part: Part) -> Gate | None:
        """The gate that this part is, if it is one."""
        match part.node:
            case tree.InArea(name, place) if (key := _key(place)) is not None:
                area = self._areas.get(name, Area())
                return Gate(key, area.cells, True, area.covers is not None)
            case tree.Same(left, tree.Constant(str(text))) if (key := _key(left)) is not None:
                return Gate(key, frozenset([text]))
            case tree.Contains(tree.Listing(items), item) if (key := _key(item)) is not None:
                texts = [it.value for it in items if isinstance(it, tree.Constant)]
                if len(texts) == len(items) and all(type(it) is str for it in texts):
                    return Gate(key, frozenset(map(str, texts)))
        return None

    def sift(self, part: Part) -> Sift | None:
        """A look at many events at once, if this part is a number of theirs against one."""
        match part.node:
            case tree.Less(item, tree.Constant(int(limit)), _) if _plain(item, limit):
                key = str(_key(item))
                return lambda many: [
                    n for n, it in enumerate(many) if it.get(key, _INFINITE) <= limit
                ]
            case tree.Less(tree.Constant(int(limit)), item, _) if _plain(item, limit):
                key = str(_key(item))
                return lambda many: [
                    n for n, it in enumerate(many) if it.get(key, -_INFINITE) >= limit
                ]
        return None

    def test(self, part: Part) -> Test:
        """A test that this part holds."""
        match part.node:
            case tree.OnList(name, None):
                return self._own_list(name)
            case tree.OnList(name, item) if item is not None and (key := _key(item)) is not None:
                return self._list(name, key)
            case tree.InArea(name, place) if (key := _key(place)) is not None:
                return _inside(self._areas.get(name), key, True)
            case tree.Not(tree.InArea(name, place)) if (key := _key(place)) is not None:
                return _inside(self._areas.get(name), key, False)
            case tree.Less(item, tree.Constant(int(limit)), or_same) if _plain(item, limit):
                return _compared(part, str(_key(item)), limit, or_same, most=True)
            case tree.Less(tree.Constant(int(limit)), item, or_same) if _plain(item, limit):
                return _compared(part, str(_key(item)), limit, or_same, most=False)
        if (gate := self.gate(part)) is not None:
            key, texts = gate.property, gate.values

            def is_one(who: Who, event: Mapping[str, Any]) -> bool:
                value = event.get(key)
                return type(value) is str and value in texts

            return is_one
        return self._general(part)

    def lacking(self, parts: Iterable[Part]) -> Test:
        """A test that a list which these parts ask about is not in force: then nobody can say who
        is on it."""
        lists, wanted = self._lists, frozenset[str]().union(*(it.lists() for it in parts))
        return lambda who, event: not wanted <= lists.keys()

    def _own_list(self, name: str) -> Test:
        lists = self._lists

        def on_list(who: Who, event: Mapping[str, Any]) -> bool:
            numbers = lists.get(name)
            return numbers is not None and type(who) is int and who in numbers

        return on_list

    def _list(self, name: str, key: str) -> Test:
        lists = self._lists

        def on_list(who: Who, event: Mapping[str, Any]) -> bool:
            numbers = lists.get(name)
            if numbers is None:
                return False
            number = number_of(event.get(key))
            return number is not None and number in numbers

        return on_list

    def _general(self, part: Part) -> Test:
        read, scope = reading([part]), self.scope

        return lambda who, event: read(scope(who, event)) is True

    def scope(self, who: Who, event: Mapping[str, Any]) -> dict[str, Any]:
        """What a condition sees where events arrive, but for `state`."""
        number = who if type(who) is int else None
        return {"event": event, "number": number, "lists": self._lists, "areas": self._areas}


def rank(part: Part) -> int:
    """What the part's test costs."""
    if part.lists():
        return OWN_LIST if not part.names() else LIST
    match part.node:
        case tree.InArea() | tree.Same() | tree.Less() | tree.Contains():
            return EVENT
    return GENERAL


def _key(node: tree.Node) -> str | None:
    """The property, if the node is one of an event."""
    if isinstance(node, tree.Name) and node.root == "event" and len(node.path) == 1:
        key = node.path[0]
        return key if isinstance(key, str) else None
    return None


def _plain(node: tree.Node, limit: int) -> bool:
    return _key(node) is not None and type(limit) is int and abs(limit) < _EXACT


def among(key: str, texts: Iterable[str], place: bool) -> Sift:
    """Those whose property is one of these texts, or, of a `place`, the number that says so."""
    values: set[str | int] = {*texts}
    if place:
        digits = {it for it in texts if it.removeprefix("-").isdecimal() and it.isascii()}
        values |= {*map(int, digits)}
    return lambda many: [n for n, it in enumerate(many) if it.get(key) in values]


def _inside(area: Area | None, key: str, wanted: bool) -> Test:
    if area is None:
        return lambda who, event: False
    cells, has = area.cells, area.has

    def inside(who: Who, event: Mapping[str, Any]) -> bool:
        place = event.get(key)
        if type(place) is str:
            return (place in cells) is wanted
        return has(place) is wanted

    return inside


def _compared(part: Part, key: str, limit: int, or_same: bool, *, most: bool) -> Test:
    """A number of the event against one written out: at most that, or at least."""
    read = reading([part])

    def compared(who: Who, event: Mapping[str, Any]) -> bool:
        value = event.get(key)
        if type(value) is int or type(value) is float:
            if value == limit:
                return or_same
            return -_INFINITE < value < limit if most else limit < value < _INFINITE
        return value is not None and read({"event": event}) is True

    return compared
