"""Tree to Python closures. The rules they keep stand in the package's docstring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from orchestrator.core.expression import tree
from orchestrator.core.expression.numbers import (
    OPERATORS,
    amount,
    comparable,
    is_number,
    round_half_up,
)
from orchestrator.core.expression.tree import Node
from orchestrator.core.telephone import number_of

Scope = Mapping[str, Any]
Reading = Callable[[Scope], Any]
Truth = Callable[[Scope], bool | None]

_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def predicate(node: Node) -> Reading:
    """A function that gives True, False, or None for unknown. It never raises."""
    if tree.is_truth(node):
        return _value(node)
    read = _value(node)
    return lambda scope: bool(read(scope))


def holding(nodes: Sequence[Node]) -> Reading:
    """A function that gives True if and only if each of these is true; it asks no further than to
    the first that is not. It never raises."""
    reads = [predicate(node) for node in nodes]
    if len(reads) == 1:
        return reads[0]

    def held(scope: Scope) -> Any:
        truth = True
        for read in reads:
            truth = read(scope)
            if truth is not True:
                break
        return truth

    return held


def _value(node: Node) -> Reading:
    match node:
        case tree.Name():
            return _name(node.root, node.path)
        case tree.Constant(value):
            return lambda scope: value
        case tree.Listing(items):
            reads = [_value(item) for item in items]
            return lambda scope: [read(scope) for read in reads]
        case tree.Same(left, right):
            return _same(left, right)
        case tree.Less(left, tree.Constant(bound), or_same) if type(bound) in (int, float):
            return _less_than(_value(left), bound, or_same)
        case tree.Less(tree.Constant(bound), tree.Name(root, (str() as name,)), or_same):
            return _reached(root, name, bound, or_same)
        case tree.Less(left, right, or_same):
            return _less(_value(left), _value(right), or_same)
        case tree.Contains(container, item):
            return _contains(container, item)
        case tree.OnList(name, item):
            return _on_list(name, None if item is None else _value(item))
        case tree.InArea(name, place):
            return _in_area(name, _value(place))
        case tree.All(items):
            return _all([predicate(item) for item in items])
        case tree.Some(items):
            return _some([predicate(item) for item in items])
        case tree.Not(item):
            return _not(predicate(item))
        case tree.Is(item, kind):
            return _is(_value(item), kind)
        case tree.Choose(test, then, otherwise):
            return _choose(predicate(test), _value(then), _value(otherwise))
        case tree.Default(item, fallback):
            return _default(_value(item), _value(fallback))
        case tree.Letters(item, case):
            return _letters(_value(item), _LOWER if case == "lower" else _UPPER)
        case tree.Length(item):
            return _length(_value(item))
        case tree.Rounded(item, places):
            return _rounded(_amount(item), places)
        case tree.Negative(item):
            return _negative(_amount(item))
        case tree.Arithmetic(operator, left, right):
            return _arithmetic(OPERATORS[operator], _amount(left), _amount(right))


def _name(root: str, path: tuple[str | int, ...]) -> Reading:
    if len(path) == 1 and isinstance(first := path[0], str):

        def read(scope: Scope) -> Any:
            try:
                return scope[root][first]
            except (KeyError, TypeError, IndexError):
                return None

        return read

    def walk(scope: Scope) -> Any:
        here = scope.get(root)
        for part in path:
            try:
                if type(here) is str:
                    return None
                here = here[part]  # type: ignore[index]
            except (KeyError, TypeError, IndexError):
                return None
        return here

    return walk


# Truths


def _same(left: Node, right: Node) -> Reading:
    if isinstance(left, tree.Constant):
        left, right = right, left
    read = _value(left)
    if isinstance(right, tree.Constant) and isinstance(right.value, str | None):
        constant = right.value
        return lambda scope: read(scope) == constant
    other = _value(right)
    return lambda scope: same(read(scope), other(scope))


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same: numbers by value, texts by code points."""
    kind = type(left)
    if kind is type(right):
        if kind is list:
            return len(left) == len(right) and all(map(same, left, right))
        if kind is dict:
            return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
        return bool(left == right)
    if is_number(left) and is_number(right):
        left, right = comparable(left, right)
        return bool(left == right)
    return False


def _less(left: Reading, right: Reading, or_same: bool) -> Reading:
    return lambda scope: _ordered(left(scope), right(scope), or_same)


def _less_than(left: Reading, bound: Any, or_same: bool) -> Reading:
    """Nearly all compare what is an integer, or nothing, with a number that is written there."""
    whole = type(bound) is int

    def read(scope: Scope) -> bool | None:
        a = left(scope)
        if a is None:
            return None
        if whole and type(a) is int:
            return a <= bound if or_same else a < bound  # type: ignore[no-any-return]
        return _ordered(a, bound, or_same)

    return read


def _reached(root: str, name: str, bound: Any, or_same: bool) -> Reading:
    """What is asked most of all: whether something with a name is more than a number."""
    whole = type(bound) is int

    def read(scope: Scope) -> bool | None:
        try:
            b = scope[root][name]
        except (KeyError, TypeError, IndexError):
            return None
        if b is None:
            return None
        if whole and type(b) is int:
            return bound <= b if or_same else bound < b  # type: ignore[no-any-return]
        return _ordered(bound, b, or_same)

    return read


def _ordered(left: Any, right: Any, or_same: bool) -> bool | None:
    """Whether one JSON value is less than another; None if they are not to be compared."""
    if type(left) is not type(right) or not (type(left) is int or type(left) is str):
        if not (is_number(left) and is_number(right)):
            return None
        left, right = comparable(left, right)
    return left <= right if or_same else left < right  # type: ignore[no-any-return]


def _contains(container: Node, item: Node) -> Reading:
    read = _value(item)
    if isinstance(container, tree.Listing) and all(
        isinstance(each, tree.Constant) and isinstance(each.value, str) for each in container.items
    ):
        words = frozenset(each.value for each in container.items)  # type: ignore[union-attr]

        def among(scope: Scope) -> bool:
            value = read(scope)
            return type(value) is str and value in words

        return among
    if isinstance(item, tree.Constant) and isinstance(word := item.value, str):
        return _has_word(_value(container), word)
    held = _value(container)

    def contains(scope: Scope) -> bool:
        where, value = held(scope), read(scope)
        if type(where) is list:
            if type(value) is str:
                return value in where
            return any(same(value, each) for each in where)
        if type(where) is str or type(where) is dict:
            return type(value) is str and value in where
        return False

    return contains


def _has_word(held: Reading, word: str) -> Reading:
    def has_word(scope: Scope) -> bool:
        where = held(scope)
        return type(where) in (list, str, dict) and word in where

    return has_word


def _on_list(name: str, read: Reading | None) -> Reading:
    def on_list(scope: Scope) -> bool | None:
        lists = scope.get("lists")
        numbers = lists.get(name) if lists else None
        if numbers is None:
            return None
        number = scope.get("number") if read is None else number_of(read(scope))
        return number is not None and number in numbers

    return on_list


def _in_area(name: str, read: Reading) -> Reading:
    def in_area(scope: Scope) -> bool | None:
        areas = scope.get("areas")
        area = areas.get(name) if areas else None
        return None if area is None else area.has(read(scope))

    return in_area


def _all(reads: list[Reading]) -> Reading:
    if len(reads) == 2:
        first, second = reads

        def both(scope: Scope) -> bool | None:
            a = first(scope)
            if a is False:
                return False
            b = second(scope)
            return b if a else (False if b is False else None)

        return both

    def every(scope: Scope) -> bool | None:
        result: bool | None = True
        for read in reads:
            truth = read(scope)
            if truth is False:
                return False
            if truth is None:
                result = None
        return result

    return every


def _some(reads: list[Reading]) -> Reading:
    def some(scope: Scope) -> bool | None:
        result: bool | None = False
        for read in reads:
            truth = read(scope)
            if truth:
                return True
            if truth is None:
                result = None
        return result

    return some


def _not(read: Reading) -> Reading:
    def opposite(scope: Scope) -> bool | None:
        truth = read(scope)
        return None if truth is None else not truth

    return opposite


def _is(read: Reading, kind: str) -> Reading:
    match kind:
        case "null":
            return lambda scope: read(scope) is None
        case "string":
            return lambda scope: type(read(scope)) is str
        case "boolean":
            return lambda scope: type(read(scope)) is bool
        case _:
            return lambda scope: is_number(read(scope))


# Values


def _choose(test: Reading, then: Reading, otherwise: Reading) -> Reading:
    return lambda scope: then(scope) if test(scope) else otherwise(scope)


def _default(read: Reading, fallback: Reading) -> Reading:
    def default(scope: Scope) -> Any:
        value = read(scope)
        return fallback(scope) if value is None else value

    return default


def _letters(read: Reading, table: dict[int, int]) -> Reading:
    def letters(scope: Scope) -> str | None:
        value = read(scope)
        return value.translate(table) if type(value) is str else None

    return letters


def _length(read: Reading) -> Reading:
    def length(scope: Scope) -> int | None:
        value = read(scope)
        return len(value) if type(value) in (str, list, dict) else None

    return length


def _amount(node: Node) -> Reading:
    """A number fit for arithmetic, or None."""
    read = _value(node)
    return read if isinstance(node, tree.COMPUTED) else lambda scope: amount(read(scope))


def _rounded(read: Reading, places: int) -> Reading:
    def rounded(scope: Scope) -> int | Decimal | None:
        value = read(scope)
        return None if value is None else round_half_up(value, places)

    return rounded


def _negative(read: Reading) -> Reading:
    def negative(scope: Scope) -> int | Decimal | None:
        value = read(scope)
        return None if value is None else OPERATORS["-"](0, value)

    return negative


def _arithmetic(
    compute: Callable[[Any, Any], int | Decimal | None], left: Reading, right: Reading
) -> Reading:
    def arithmetic(scope: Scope) -> int | Decimal | None:
        a, b = left(scope), right(scope)
        return None if a is None or b is None else compute(a, b)

    return arithmetic
