"""Whether conditions can hold, alone and together, whoever the subscriber is.

What is said here is certain: `fits` is false only if no subscriber and no event can be as the
conditions ask. Where it is not known, they can.

Each truth of a condition is written as demands on its terms (`usage.mb_7d` is less than 30); a
`Room` holds what one term may still be once all of its demands are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any, Literal, get_args

from msgspec import Struct

from orchestrator.core.expression import Condition, tree
from orchestrator.core.expression.tree import Node

Kind = Literal["null", "boolean", "number", "string", "list", "object"]
"""Of a JSON value."""

Truth = Literal["true", "false", "unknown"]
Kinds = Mapping[str, frozenset[Kind]]
"""What is known of names: `points.balance` is a number."""

EVERY_KIND: frozenset[Kind] = frozenset(get_args(Kind))
MOST = 128
"""Ways in which a condition may come true that are looked at; of more, it can."""

SAID: Mapping[Kind, str] = {
    "null": "nothing",
    "boolean": "true or false",
    "number": "a number",
    "string": "a text",
    "list": "a list",
    "object": "an object",
}

BUILT_IN: Kinds = {
    "subscriber.key": frozenset({"string"}),
    "subscriber.locale": frozenset({"string"}),
    "subscriber.created_at": frozenset({"string"}),
    "subscriber.timezone": frozenset({"string", "null"}),
    "subscriber.tags": frozenset({"list"}),
    "points.balance": frozenset({"number"}),
    "points.earned": frozenset({"number"}),
}
"""What every subscriber has."""


class Demand(Struct, frozen=True):
    """That `test` of a term and a constant comes out so: `same`, `less`, `more` (with `or_same`),
    `has`, `is`, or the term's own truth (`truthy`)."""

    term: Node
    test: Literal["same", "less", "more", "has", "is", "truthy", "among"]
    value: Any
    truth: Truth
    or_same: bool = False


Way = tuple[Demand, ...]
"""Demands that together make a condition come out as wanted."""

_ALWAYS: tuple[Way, ...] = ((),)
_NEVER: tuple[Way, ...] = ()


def fits(
    hold: Iterable[Condition], not_hold: Iterable[Condition] = (), kinds: Kinds = BUILT_IN
) -> bool:
    """Whether there can be somebody for whom all of `hold` hold, and none of `not_hold`."""
    wanted = [ways(it.parsed(), "true") for it in hold]
    wanted += [
        _either([ways(it.parsed(), "false"), ways(it.parsed(), "unknown")]) for it in not_hold
    ]
    return any(_fault(way, kinds) is None for way in _both(wanted))


def fault(condition: Condition, kinds: Kinds = BUILT_IN) -> str | None:
    """Why it can never hold, for authors; None if it can."""
    faults = [_fault(way, kinds) for way in ways(condition.parsed(), "true")]
    if None in faults:
        return None
    said = {it for it in faults if it}
    return said.pop() if len(said) == 1 else "what it asks for cannot be all at once"


def ways(node: Node, truth: Truth) -> tuple[Way, ...]:
    """The ways in which a truth comes out like that."""
    opposite: Truth = {"true": "false", "false": "true"}.get(truth, truth)  # type: ignore[assignment]
    match node:
        case tree.Not(item):
            return ways(item, opposite)
        case tree.All(items) | tree.Some(items):
            each = [ways(item, truth) for item in items]
            together = truth == ("true" if isinstance(node, tree.All) else "false")
            return _both(each) if together else _either(each)
        case tree.Same(left, right):
            return _compared(left, right, "same", truth)
        case tree.Less(left, right, or_same):
            if isinstance(right, tree.Constant):
                return _ordered(left, "less", right.value, truth, or_same)
            if isinstance(left, tree.Constant):
                return _ordered(right, "more", left.value, truth, or_same)
            return _ALWAYS
        case tree.Contains(container, item):
            return _contained(container, item, truth)
        case tree.Is(item, kind):
            return _one(Demand(_term(item), "is", kind, truth))
        case tree.Choose():
            return _ALWAYS
        case tree.OnList() | tree.InArea() if truth == "unknown":
            return _ALWAYS
    if isinstance(node, tree.Constant):
        return _ALWAYS if bool(node.value) == (truth == "true") and truth != "unknown" else _NEVER
    return _one(Demand(_term(node), "truthy", None, truth))


def _one(demand: Demand) -> tuple[Way, ...]:
    """Only an order is ever unknown."""
    return _NEVER if demand.truth == "unknown" else ((demand,),)


def _compared(left: Node, right: Node, test: Literal["same"], truth: Truth) -> tuple[Way, ...]:
    if isinstance(left, tree.Constant):
        left, right = right, left
    if isinstance(right, tree.Constant) and not tree.is_truth(left):
        return _one(Demand(_term(left), test, _valued(right.value), truth))
    if truth == "unknown" or (left == right and truth == "false"):
        return _NEVER
    return _ALWAYS


def _ordered(
    term: Node, test: Literal["less", "more"], value: Any, truth: Truth, or_same: bool
) -> tuple[Way, ...]:
    return ((Demand(_term(term), test, _valued(value), truth, or_same),),)


def _contained(container: Node, item: Node, truth: Truth) -> tuple[Way, ...]:
    if truth == "unknown":
        return _NEVER
    if isinstance(container, tree.Listing):
        values = [it.value for it in container.items if isinstance(it, tree.Constant)]
        if len(values) == len(container.items) and not tree.is_truth(item):
            return _one(
                Demand(_term(item), "among", tuple(_valued(value) for value in values), truth)
            )
        return _ALWAYS
    if isinstance(item, tree.Constant):
        return _one(Demand(_term(container), "has", _valued(item.value), truth))
    return _ALWAYS


def _both(each: Sequence[tuple[Way, ...]]) -> tuple[Way, ...]:
    """All of these at once."""
    count = 1
    for some in each:
        count *= len(some)
    if count > MOST:
        return _ALWAYS
    return tuple(tuple(it for way in chosen for it in way) for chosen in product(*each))


def _either(each: Iterable[tuple[Way, ...]]) -> tuple[Way, ...]:
    every = tuple(way for some in each for way in some)
    return every if len(every) <= MOST else _ALWAYS


def _term(node: Node) -> Node:
    """`usage.x` is short for `subscriber.usage.x`."""
    match node:
        case tree.Name("usage", path):
            return tree.Name("subscriber", ("usage", *path))
        case tree.Default(item, fallback):
            return tree.Default(_term(item), fallback)
    return node


def said(term: Node) -> str:
    """The term as an author knows it."""
    match term:
        case tree.Name("subscriber", ("usage", *path)) if path:
            return ".".join(("usage", *map(str, path)))
        case tree.Name(root, path):
            return ".".join((root, *map(str, path)))
        case tree.OnList(name):
            return f"the list {name}"
        case tree.InArea(name):
            return f"the area {name}"
        case tree.Default(item) | tree.Length(item) | tree.Letters(item) | tree.Rounded(item):
            return said(item)
    return "this"


def _valued(value: Any) -> tuple[Kind, Any]:
    """A constant as it is compared: by kind, numbers by value."""
    if value is None:
        return "null", None
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | float):
        return "number", Decimal(repr(value))
    return "string", value


def _kinds(term: Node, known: Kinds) -> frozenset[Kind]:
    match term:
        case tree.Name(root, path):
            return known.get(".".join((root, *map(str, path))), EVERY_KIND)
        case tree.Constant(value):
            return frozenset({_valued(value)[0]})
        case tree.Listing():
            return frozenset({"list"})
        case tree.Default(item, fallback):
            return (_kinds(item, known) - {"null"}) | _kinds(fallback, known)
        case tree.Letters():
            return frozenset({"string", "null"})
        case tree.Choose(_, then, otherwise):
            return _kinds(then, known) | _kinds(otherwise, known)
        case tree.Length() | tree.Arithmetic() | tree.Negative() | tree.Rounded():
            return frozenset({"number", "null"})
    return frozenset({"boolean", "null"})


def _fault(way: Way, known: Kinds) -> str | None:
    """Why these demands cannot be met together; None if they can."""
    rooms: dict[Node, Room] = {}
    for demand in way:
        if demand.term not in rooms:
            rooms[demand.term] = Room(demand.term, _kinds(demand.term, known))
        room = rooms[demand.term]
        before = room.kinds
        room.narrow(demand)
        if not room.kinds:
            return _misfit(demand, before)
    for term, room in rooms.items():
        if room.is_empty():
            return _contradicts(term)
    return None


def _contradicts(term: Node) -> str:
    return f"nothing can be all that it asks of {said(term)}"


def _misfit(demand: Demand, kinds: frozenset[Kind]) -> str:
    """Nothing of these kinds is as demanded."""
    if isinstance(demand.value, tuple) and demand.value[:1] and demand.value[0] in kinds:
        return _contradicts(demand.term)
    what = " or ".join(SAID[kind] for kind in sorted(kinds, reverse=True))
    if isinstance(demand.value, tuple) and demand.test in ("same", "less", "more"):
        kind, value = demand.value
        shown = f"{value!r}" if kind == "string" else str(value).lower()
        mend = ""
        if kind == "string" and "number" in kinds and value.replace(".", "", 1).isdecimal():
            mend = ": write it without quotes"
        return f"{said(demand.term)} is {what}, and {shown} is {SAID[kind]}{mend}"
    return f"{said(demand.term)} is {what}"


class Room:
    """What a term may be."""

    def __init__(self, term: Node, kinds: frozenset[Kind]) -> None:
        self.term = term
        self.kinds = kinds
        self.only: frozenset[tuple[Kind, Any]] | None = None
        self.barred: set[tuple[Kind, Any]] = set()
        self.low: dict[Kind, tuple[Any, bool]] = {}
        self.high: dict[Kind, tuple[Any, bool]] = {}
        self.has: set[tuple[Kind, Any]] = set()
        self.lacks: set[tuple[Kind, Any]] = set()
        self.filled: set[bool] = set()
        if isinstance(term, tree.Constant):
            self.only = frozenset({_valued(term.value)})
        if isinstance(term, tree.Length) or (isinstance(term, tree.Name) and term.root == "points"):
            self.low["number"] = (Decimal(0), True)

    def narrow(self, demand: Demand) -> None:
        """It must also be so."""
        holds = demand.truth == "true"
        match demand.test:
            case "same":
                self._among((demand.value,), holds)
            case "among":
                self._among(demand.value, holds)
            case "is":
                self.kinds &= {demand.value} if holds else EVERY_KIND - {demand.value}
            case "has":
                self._contain(demand.value, holds)
            case "truthy":
                self._truthy(holds)
            case "less" | "more":
                self._order(demand)

    def _among(self, values: tuple[tuple[Kind, Any], ...], holds: bool) -> None:
        if not holds:
            self.barred |= set(values)
            return
        if isinstance(self.term, tree.Letters):
            values = tuple(it for it in values if _in_case(self.term, it[1]))
        self.only = frozenset(values) if self.only is None else self.only & set(values)
        self.kinds &= {kind for kind, _ in self.only}

    def _contain(self, value: tuple[Kind, Any], holds: bool) -> None:
        if holds:
            self.has.add(value)
            self.kinds &= {"list", "object", "string"} if value[0] == "string" else {"list"}
        else:
            self.lacks.add(value)

    def _truthy(self, holds: bool) -> None:
        empty: set[tuple[Kind, Any]] = {
            ("boolean", False),
            ("number", Decimal(0)),
            ("string", ""),
        }
        self.filled.add(holds)
        if holds:
            self.kinds -= {"null"}
            self.barred |= empty
        else:
            self.barred.add(("boolean", True))
            for kind, value in (("number", Decimal(0)), ("string", "")):
                self._bound(kind, value, True, self.low, 1)  # type: ignore[arg-type]
                self._bound(kind, value, True, self.high, -1)  # type: ignore[arg-type]

    def _order(self, demand: Demand) -> None:
        kind, value = demand.value
        if kind not in ("number", "string"):
            if demand.truth != "unknown":
                self.kinds = frozenset()
            return
        if demand.truth == "unknown":
            self.kinds -= {kind}
            return
        self.kinds &= {kind}
        upper = (demand.test == "less") == (demand.truth == "true")
        closed = demand.or_same == (demand.truth == "true")
        self._bound(kind, value, closed, self.high if upper else self.low, -1 if upper else 1)

    def _bound(
        self,
        kind: Kind,
        value: Any,
        closed: bool,
        bounds: dict[Kind, tuple[Any, bool]],
        sign: int,
    ) -> None:
        before = bounds.get(kind)
        if before is None or ((value > before[0]) == (sign > 0) and value != before[0]):
            bounds[kind] = (value, closed)
        elif value == before[0]:
            bounds[kind] = (value, closed and before[1])

    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return bool(self.has & self.lacks) or not any(self._leaves(kind) for kind in self.kinds)

    def _leaves(self, kind: Kind) -> bool:
        if self.only is not None:
            return any(
                it[0] == kind and it not in self.barred and self._within(it) for it in self.only
            )
        if kind == "null":
            return ("null", None) not in self.barred
        if kind in ("list", "object"):
            return len(self.filled) < 2
        if kind == "boolean":
            return not {("boolean", True), ("boolean", False)} <= self.barred
        low, high = self.low.get(kind), self.high.get(kind)
        if low is None or high is None:
            return True
        if low[0] == high[0]:
            return low[1] and high[1] and (kind, low[0]) not in self.barred
        return bool(low[0] < high[0])

    def _within(self, valued: tuple[Kind, Any]) -> bool:
        kind, value = valued
        low, high = self.low.get(kind), self.high.get(kind)
        above = low is None or value > low[0] or (low[1] and value == low[0])
        below = high is None or value < high[0] or (high[1] and value == high[0])
        return above and below


def _in_case(term: tree.Letters, value: Any) -> bool:
    """Whether what was put into one case can be this text."""
    if not isinstance(value, str):
        return value is None
    return not any(
        (c.isupper() if term.case == "lower" else c.islower()) for c in value if c.isascii()
    )
