"""What a condition says, once parsed: a small checked tree that every evaluator walks.

A node is either a *truth* (it may be true, false or unknown) or a *value* (any JSON value).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from msgspec import Struct
from msgspec.structs import astuple

Scalar = str | int | float | bool | None


class Name(Struct, frozen=True):
    """`root.path…`: null where it does not lead anywhere."""

    root: str
    path: tuple[str | int, ...]


class Constant(Struct, frozen=True):
    """A literal."""

    value: Scalar


class Listing(Struct, frozen=True):
    """A list written out."""

    items: tuple[Node, ...]


class Same(Struct, frozen=True):
    """Truth, never unknown: both are the same JSON value."""

    left: Node
    right: Node


class Less(Struct, frozen=True):
    """Truth: of two numbers or two texts `left` comes first, or (`or_same`) is the same."""

    left: Node
    right: Node
    or_same: bool


class Contains(Struct, frozen=True):
    """Truth, never unknown: an array has the item, a string the substring, an object the key."""

    container: Node
    item: Node


class OnList(Struct, frozen=True):
    """Truth, unknown if there is no such list: a telephone number is on it. Without an `item` it is
    the subscriber's own."""

    name: str
    item: Node | None = None


class InArea(Struct, frozen=True):
    """Truth, unknown if there is no such area or the place is none: a cell or point lies in it."""

    name: str
    place: Node


class All(Struct, frozen=True):
    """Truth: every item."""

    items: tuple[Node, ...]


class Some(Struct, frozen=True):
    """Truth: at least one item."""

    items: tuple[Node, ...]


class Not(Struct, frozen=True):
    """Truth: the opposite."""

    item: Node


class Is(Struct, frozen=True):
    """Truth, never unknown: a value is of this JSON type."""

    item: Node
    type: Literal["null", "number", "string", "boolean"]


class Choose(Struct, frozen=True):
    """`then` if `test` is true, else `otherwise`. A truth if both branches are."""

    test: Node
    then: Node
    otherwise: Node


class Default(Struct, frozen=True):
    """Value: `fallback` where `item` is null."""

    item: Node
    fallback: Node


class Letters(Struct, frozen=True):
    """Value: a string with its ASCII letters in this case; null for anything else."""

    item: Node
    case: Literal["lower", "upper"]


class Length(Struct, frozen=True):
    """Value: how many code points, items or keys; null for anything else."""

    item: Node


class Arithmetic(Struct, frozen=True):
    """Value: a number, or null."""

    operator: Literal["+", "-", "*", "/", "//", "%"]
    left: Node
    right: Node


class Negative(Struct, frozen=True):
    """Value: a number, or null."""

    item: Node


class Rounded(Struct, frozen=True):
    """Value: a number to so many decimal places, or null."""

    item: Node
    places: int


Node = (
    Name
    | Constant
    | Listing
    | Same
    | Less
    | Contains
    | OnList
    | InArea
    | All
    | Some
    | Not
    | Is
    | Choose
    | Default
    | Letters
    | Length
    | Arithmetic
    | Negative
    | Rounded
)

_NODES = frozenset(get_args(Node))

_TRUTHS = (Same, Less, Contains, OnList, InArea, All, Some, Not, Is)

COMPUTED = (Arithmetic, Negative, Rounded)
"""Nodes whose value already is a decimal with at most 12 places."""


def is_truth(node: Node) -> bool:
    """Whether the node can be unknown rather than null."""
    if isinstance(node, Choose):
        return is_truth(node.then) and is_truth(node.otherwise)
    return isinstance(node, _TRUTHS)


class Asked(NamedTuple):
    """What a tree asks about: every dotted name up to its first index, every list of numbers, every
    area."""

    names: frozenset[str]
    lists: frozenset[str]
    areas: frozenset[str]


def asked(node: Node) -> Asked:
    """Everything that the tree asks about."""
    names, lists, areas = set[str](), set[str](), set[str]()
    todo = [node]
    while todo:
        it = todo.pop()
        if isinstance(it, Name):
            names.add(_dotted(it))
            continue
        if isinstance(it, OnList):
            lists.add(it.name)
        elif isinstance(it, InArea):
            areas.add(it.name)
        todo += _children(it)
    return Asked(frozenset(names), frozenset(lists), frozenset(areas))


def names(node: Node) -> frozenset[str]:
    """Every dotted name in the tree, up to its first index."""
    return asked(node).names


def _dotted(name: Name) -> str:
    dotted = [name.root]
    for part in name.path:
        if not isinstance(part, str):
            break
        dotted.append(part)
    return ".".join(dotted)


def parts(node: Node) -> tuple[Node, ...]:
    """The tree holds if and only if each of these does: what its outermost `and`s join."""
    if isinstance(node, All):
        return tuple(part for item in node.items for part in parts(item))
    return (node,)


def _children(node: Node) -> list[Node]:
    found: list[Node] = []
    for inner in astuple(node):
        if type(inner) is tuple:
            found += [it for it in inner if type(it) in _NODES]
        elif type(inner) in _NODES:
            found.append(inner)
    return found
