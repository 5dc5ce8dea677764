"""Tree to a PostgreSQL boolean expression that agrees with the Python predicate on every row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from msgspec import Struct

from orchestrator.core.area import NOWHERE, Area
from orchestrator.core.errors import GrammarError
from orchestrator.core.expression import tree
from orchestrator.core.expression.membership import in_area, on_list
from orchestrator.core.expression.numbers import LARGEST, PLACES
from orchestrator.core.expression.tree import Node
from orchestrator.core.expression.typed import Sheet, Sql, cast

_COLUMNS = {"key": "s.key", "locale": "s.locale", "timezone": "s.timezone"}
_TAGS = (
    "(SELECT coalesce(jsonb_agg(t ORDER BY t COLLATE \"C\"), '[]')"
    " FROM (SELECT DISTINCT unnest(s.tags) AS t) AS tags)"
)
_CREATED = "to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
_POINTS = {"balance": "s.balance_points::numeric", "earned": "s.earned_points::numeric"}
_MARK = re.compile(r"\$\d+")


class SqlCondition(Struct, frozen=True):
    """`text` is true, false or null for a row `s`; `parameters` are its `$n`, all of them text."""

    text: str
    parameters: tuple[str, ...]


def sql_condition(
    node: Node, first_parameter: int, areas: Mapping[str, Area] = NOWHERE
) -> SqlCondition:
    """The condition for a WHERE clause."""
    writer = _Writer(areas)
    written = writer.truth(node)
    # What was written and then found not to matter has left its parameters behind.
    kept: dict[str, str] = {}
    for mark in _MARK.findall(written):
        kept.setdefault(mark, f"${first_parameter + len(kept)}")
    values = {f"${number}": value for value, number in writer.parameters.items()}
    text = _MARK.sub(lambda mark: kept[mark[0]], written)
    return SqlCondition(text, tuple(values[mark] for mark in kept))


class _Writer(Sheet):
    def __init__(self, areas: Mapping[str, Area]) -> None:
        super().__init__()
        self._areas = areas

    # Truths

    def truth(self, node: Node) -> str:
        """A boolean expression; null is unknown."""
        match node:
            case tree.Same(left, right):
                return self._same(left, right)
            case tree.Less(left, right, or_same):
                return self._less(left, right, "<=" if or_same else "<")
            case tree.Contains(tree.Listing(items), item):
                inside = ", ".join(self._exact(each) for each in items)
                return f"({self._exact(item)} IN ({inside}))" if items else "false"
            case tree.Contains(container, item):
                return self._contains(container, item)
            case tree.OnList(name, item):
                return on_list(self, name, None if item is None else self.value(item))
            case tree.InArea(name, place):
                return in_area(self, self._areas.get(name), self.value(place))
            case tree.All(items):
                return f"({' AND '.join(self.truth(item) for item in items)})"
            case tree.Some(items):
                return f"({' OR '.join(self.truth(item) for item in items)})"
            case tree.Not(item):
                return f"(NOT {self.truth(item)})"
            case tree.Is(item, kind):
                return self._is(item, kind)
            case tree.Choose(test, then, otherwise) if tree.is_truth(node):
                return self._case(self.truth(test), self.truth(then), self.truth(otherwise))
        value = self.value(node)
        match value.type:
            case "boolean":
                return f"coalesce({value.text}, false)"
            case "numeric":
                return f"coalesce({value.text} <> 0, false)"
            case "text":
                return f"coalesce({value.text} <> '', false)"
        return (
            f"coalesce({value.text} NOT IN"
            " ('false'::jsonb, '0'::jsonb, '\"\"'::jsonb, '[]'::jsonb, '{}'::jsonb), false)"
        )

    def _same(self, left: Node, right: Node) -> str:
        if isinstance(left, tree.Constant):
            left, right = right, left
        a, b = self.value(left), self.value(right)
        if isinstance(right, tree.Constant) and right.value is None:
            return f"({a.text} IS NULL)"
        if a.type != b.type:
            a, b = self._jsonb(left, a), self._jsonb(right, b)
        if isinstance(right, tree.Constant):
            return f"coalesce({a.text} = {b.text}, false)"
        return f"({a.text} IS NOT DISTINCT FROM {b.text})"

    def _less(self, left: Node, right: Node, operator: str) -> str:
        a, b = self.value(left), self.value(right)
        types = {a.type, b.type}
        if "boolean" in types or types == {"text", "numeric"}:
            return "NULL::boolean"
        if "numeric" in types:
            return f"({self.number(a)} {operator} {self.number(b)})"
        if "text" in types:
            return f'({self.string(a)} COLLATE "C" {operator} {self.string(b)})'

        def either(x: str) -> str:
            return self.bind(b.text, lambda y: self._ordered(x, operator, y))

        return self.bind(a.text, either)

    def _ordered(self, a: str, operator: str, b: str) -> str:
        return (
            f"CASE WHEN jsonb_typeof({a}) <> jsonb_typeof({b}) THEN NULL"
            f" WHEN jsonb_typeof({a}) = 'number' THEN {cast(a)} {operator} {cast(b)}"
            f" WHEN jsonb_typeof({a}) = 'string'"
            f" THEN ({a} #>> '{{}}') COLLATE \"C\" {operator} ({b} #>> '{{}}') END"
        )

    def _exact(self, node: Node, value: Sql | None = None) -> str:
        """jsonb that is never NULL."""
        text = self._jsonb(node, value or self.value(node)).text
        if isinstance(node, tree.Constant) and node.value is not None:
            return text
        return f"coalesce({text}, 'null'::jsonb)"

    def _contains(self, container: Node, item: Node) -> str:
        value = self.value(item)
        if isinstance(container, tree.Name) and (container.root, *container.path) == (
            "subscriber",
            "tags",
        ):
            return f"coalesce({self.string(value)} = ANY(s.tags), false)"
        held = self.json(self.value(container))
        if isinstance(item, tree.Constant) and value.type == "text":
            return self.bind(held, lambda h: _has(h, value.text))

        def either(h: str) -> str:
            return self.bind(
                f"coalesce({self.json(value)}, 'null'::jsonb)",
                lambda v: (
                    f"CASE jsonb_typeof({h}) WHEN 'array'"
                    f" THEN EXISTS (SELECT FROM jsonb_array_elements({h}) AS e(v) WHERE e.v = {v})"
                    f" WHEN 'string' THEN jsonb_typeof({v}) = 'string'"
                    f" AND strpos(({h} #>> '{{}}') COLLATE \"C\", {v} #>> '{{}}') > 0"
                    f" WHEN 'object' THEN jsonb_typeof({v}) = 'string' AND {h} ? ({v} #>> '{{}}')"
                    " ELSE false END"
                ),
            )

        return self.bind(held, either)

    def _is(self, item: Node, kind: str) -> str:
        value = self.value(item)
        if kind == "null":
            return f"({value.text} IS NULL)"
        if value.type == "jsonb":
            return f"coalesce(jsonb_typeof({value.text}) = '{kind}', false)"
        name = {"text": "string", "numeric": "number", "boolean": "boolean"}[value.type]
        return f"({value.text} IS NOT NULL)" if name == kind else "false"

    # Values

    def value(self, node: Node) -> Sql:
        """An expression of the node's narrowest type; null is NULL."""
        if tree.is_truth(node):
            return Sql(self.truth(node), "boolean")
        match node:
            case tree.Name():
                return self._name(node)
            case tree.Constant(value):
                return self._constant(value)
            case tree.Listing(items):
                inside = ", ".join(self._exact(item) for item in items)
                return Sql(f"jsonb_build_array({inside})", "jsonb")
            case tree.Choose(test, then, otherwise):
                a, b = self._alike(then, otherwise)
                return Sql(self._case(self.truth(test), a.text, b.text), a.type)
            case tree.Default(item, fallback):
                a, b = self._alike(item, fallback)
                return Sql(f"coalesce({a.text}, {b.text})", a.type)
            case tree.Letters(item, case):
                return Sql(f'{case}({self.string(self.value(item))} COLLATE "C")', "text")
            case tree.Length(item):
                return self._length(self.value(item))
            case tree.Rounded(item, places):
                return Sql(f"round({self._amount(item)}, {places})", "numeric")
            case tree.Negative(item):
                return Sql(f"(- {self._amount(item)})", "numeric")
            case tree.Arithmetic(operator, left, right):
                return Sql(_computed(operator, self._amount(left), self._amount(right)), "numeric")
        raise AssertionError(node)

    def _name(self, node: tree.Name) -> Sql:
        if node.root == "event":
            raise GrammarError(
                "event is unknown here: nothing has happened yet",
                "event is only allowed in an entry's if, a goal's if, or in wait_for",
            )
        if node.root == "state":
            raise GrammarError(
                "state is unknown here", "state is only allowed in a trigger's if, still and unless"
            )
        if node.root == "points":
            return Sql(_POINTS[str(node.path[0])], "numeric")
        path: tuple[str | int, ...] = node.path
        if node.root == "usage":
            path = ("usage", *path)
        first = str(path[0])
        if first in _COLUMNS:
            base = Sql(_COLUMNS[first], "text")
        elif first == "created_at":
            base = Sql(_CREATED, "text")
        elif first == "tags":
            base = Sql(_TAGS, "jsonb")
        else:
            base = Sql(f"s.attributes -> {self.parameter(first)}", "jsonb")
            return self._walk(base.text, path[1:])
        return self._walk(self.json(base), path[1:]) if path[1:] else base

    def _walk(self, text: str, path: tuple[str | int, ...]) -> Sql:
        for part in path:
            if isinstance(part, str):
                text = f"({text}) -> {self.parameter(part)}"
            else:
                # PostgreSQL takes a lone scalar for an array of one; we do not.
                text = self.bind(
                    f"({text})",
                    lambda v, part=part: (  # type: ignore[misc]
                        f"CASE WHEN jsonb_typeof({v}) = 'array' THEN {v} -> ({part}) END"
                    ),
                )
        return Sql(f"nullif({text}, 'null'::jsonb)", "jsonb")

    def _constant(self, value: tree.Scalar) -> Sql:
        if value is None:
            return Sql("NULL::jsonb", "jsonb")
        if isinstance(value, bool):
            return Sql("true" if value else "false", "boolean")
        if isinstance(value, str):
            return Sql(self.parameter(value), "text")
        return Sql(f"'{value!r}'::numeric", "numeric")

    def _length(self, value: Sql) -> Sql:
        if value.type == "text":
            return Sql(f"char_length({value.text})::numeric", "numeric")
        if value.type != "jsonb":
            return Sql("NULL::numeric", "numeric")
        text = self.bind(
            value.text,
            lambda v: (
                f"CASE jsonb_typeof({v}) WHEN 'string' THEN char_length({v} #>> '{{}}')"
                f" WHEN 'array' THEN jsonb_array_length({v})"
                f" WHEN 'object' THEN (SELECT count(*) FROM jsonb_object_keys({v})) END"
            ),
        )
        return Sql(f"({text})::numeric", "numeric")

    def _alike(self, left: Node, right: Node) -> tuple[Sql, Sql]:
        """Both with one type: their own if it is the same, else jsonb."""
        a, b = self.value(left), self.value(right)
        if a.type == b.type:
            return a, b
        return self._jsonb(left, a), self._jsonb(right, b)

    def _case(self, test: str, then: str, otherwise: str) -> str:
        return f"CASE WHEN {test} THEN {then} ELSE {otherwise} END"

    # Types

    def _jsonb(self, node: Node, value: Sql) -> Sql:
        """The node's value, which is never worked out twice: that would double at every level."""
        if isinstance(node, tree.Constant) and node.value is not None:
            # As a literal, which PostgreSQL reads once; to_jsonb() it would call for every row.
            written = json.dumps(node.value, ensure_ascii=False)
            text = self.parameter(written) if isinstance(node.value, str) else f"'{written}'"
            return Sql(f"{text}::jsonb", "jsonb")
        return Sql(self.json(value), "jsonb")

    def _amount(self, node: Node) -> str:
        """numeric fit for arithmetic."""
        number = self.number(self.value(node))
        if isinstance(node, tree.COMPUTED):
            return number
        return self.bind(
            number, lambda v: f"CASE WHEN abs({v}) < {LARGEST} THEN round({v}, {PLACES}) END"
        )


def _has(held: str, word: str) -> str:
    """Whether the jsonb has this text, which is not null, as an item, a substring or a key."""
    return (
        f"CASE jsonb_typeof({held}) WHEN 'array' THEN {held} ? {word}"
        f" WHEN 'object' THEN {held} ? {word} WHEN 'string'"
        f" THEN strpos(({held} #>> '{{}}') COLLATE \"C\", {word}) > 0 ELSE false END"
    )


def _computed(operator: str, a: str, b: str) -> str:
    match operator:
        case "*":
            return f"round({a} * {b}, {PLACES})"
        case "/":
            # Cut after one digit more, then rounded: numeric's own / picks its places by itself.
            cut = f"div({a} * 1e{PLACES + 1}, nullif({b}, 0))"
            return f"round({cut} * 1e-{PLACES + 1}, {PLACES})"
        case "//":
            # b is a constant of at most 12 places, so 40 places tell every quotient from the next.
            return f"floor(round({a}, 40) / {b})"
        case "%":
            return f"mod(mod({a}, {b}) + {b}, {b})"
    return f"({a} {operator} {b})"
