"""Text to tree: Jinja's own parser, then only the nodes that both evaluators know."""

from __future__ import annotations

import re
from typing import Any, Literal, NoReturn

from jinja2 import TemplateSyntaxError, nodes
from jinja2.parser import Parser

from orchestrator.core.errors import GrammarError
from orchestrator.core.expression import tree
from orchestrator.core.expression.numbers import LARGEST, PLACES
from orchestrator.core.expression.slips import FORM, FUNCTIONS, LISTED, SLIPS, SUMS, meant
from orchestrator.core.expression.source import Source
from orchestrator.core.expression.tree import Node

ROOTS = ("subscriber", "usage", "points", "event", "state")
KNOWN_LATER = ("subscriber", "usage", "points")
"""Roots that are known once a turn has loaded the subscriber, and not where events arrive."""

POINTS = ("balance", "earned")
TESTS = ("defined", "undefined", "none", "number", "string", "boolean")
FILTERS = ("default", "lower", "upper", "length", "round")
LONGEST = 4000
DEEPEST = 30
MOST_NODES = 400


def parse(text: str) -> Node:
    """The checked tree of a condition; GrammarError with the column and the fix."""
    return _Reader(text).read()


class _Reader:
    """One text being read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.source = Source()
        self.count = 0
        self.depth = 0

    def read(self) -> Node:
        if not isinstance(self.text, str):
            raise GrammarError(f"{self.text!r} is not a condition", FORM)
        if not self.text.strip():
            raise GrammarError("the condition is empty", FORM)
        if len(self.text) > LONGEST:
            raise GrammarError(
                f"the condition has {len(self.text)} characters; {LONGEST} are allowed",
                "name a part of it as a segment, or use a tag",
            )
        try:
            return self._apart(self._node(self._parsed()))
        except RecursionError:
            raise GrammarError("the condition is nested too deeply", "split it") from None

    def _apart(self, whole: Node) -> Node:
        """The same, no part of which looks both at what is known where events arrive and at what
        is known later only."""
        if "state" not in self.source.words and "in_area" not in self.source.words:
            return whole
        for part in tree.parts(whole):
            roots = {name.partition(".")[0] for name in tree.names(part)}
            later = next((root for root in KNOWN_LATER if root in roots), None)
            if "state" in roots and later:
                self._fail(
                    f"one part of the condition asks about both state and {later}",
                    "join what asks about each by `and`: state.power == 'on' and usage.mb_7d > 30",
                    "state" if "state" in self.source.words else "in_area",
                )
        return whole

    def _parsed(self) -> nodes.Expr:
        if self.text.lstrip().startswith("{"):
            self._fail("the condition is in braces", SLIPS["{"], 1)
        try:
            parser = Parser(self.source, self.text, state="variable")
            parsed = parser.parse_expression()
        except TemplateSyntaxError as error:
            message = error.message or "the condition cannot be read"
            column, word = self.source.position()
            if found := re.fullmatch(r"(unexpected char (['\"])(.+)\2) at (\d+)", message):
                message, word, column = found[1], found[3], int(found[4]) + 1
            self._fail(message, self._slip(word), column)
        except ValueError as error:  # e.g. an integer of 5,000 digits
            self._fail(f"a literal cannot be read: {error}", FORM, 1)
        if not parser.stream.eos:
            column, word = self.source.position()
            self._fail(f"unexpected {word!r}", self._slip(word), column)
        return parsed

    def _slip(self, word: str) -> str:
        return SLIPS.get(word, FORM)

    def _fail(self, message: str, hint: str, at: int | str) -> NoReturn:
        column = at if isinstance(at, int) else self.source.column_of(at)
        raise GrammarError(f"column {column}: {message}", hint)

    def _node(self, node: nodes.Node) -> Node:
        self.count += 1
        self.depth += 1
        if self.count > MOST_NODES or self.depth > DEEPEST:
            self._fail("the condition is too large", "name a part of it as a segment", 1)
        read = getattr(self, f"_{type(node).__name__.lower()}", None)
        if read is None:
            self._refuse(node)
        result: Node = read(node)
        self.depth -= 1
        return result

    def _call(self, node: nodes.Call) -> Node:
        """in_list('name'), in_list('name', number), in_area('name'), in_area('name', place)."""
        word = node.node.name if isinstance(node.node, nodes.Name) else ""
        if word == "list":
            self._fail("list(…) is no value", LISTED, word)
        if word not in FUNCTIONS:
            hint = meant(word, (*FUNCTIONS, "list")) or FORM
            self._fail("functions cannot be called in a condition", hint, word or "(")
        name, *more = self._arguments(word, node, 2)
        item = self._node(more[0]) if more else None
        if item is not None and tree.is_truth(item):
            self._fail(f"{word} takes a value", FUNCTIONS[word], word)
        if word == "in_list":
            return tree.OnList(name, item)
        return tree.InArea(name, item or tree.Name("state", ("cell",)))

    def _arguments(self, word: str, node: nodes.Call, most: int) -> tuple[str, *tuple[Any, ...]]:
        """The name, written out, and what else stands in the brackets."""
        takes = FUNCTIONS.get(word, LISTED)
        if node.kwargs or node.dyn_args or node.dyn_kwargs or not 1 <= len(node.args) <= most:
            self._fail(f"{word} takes other arguments", takes, word)
        name, *more = node.args
        if not isinstance(name, nodes.Const) or not isinstance(name.value, str):
            self._fail("the name must be written out, in quotes", takes, word)
        return (self._storable(name.value), *more)

    def _refuse(self, node: nodes.Node) -> NoReturn:
        match node:
            case nodes.Concat():
                self._fail("texts cannot be joined in a condition", "compare them one by one", "~")
            case nodes.Pow():
                self._fail("** is not allowed in a condition", "write x * x", "**")
        word = type(node).__name__.lower()
        self._fail(f"a {word} is not allowed in a condition", FORM, 1)

    # Names and literals

    def _name(self, node: nodes.Name) -> Node:
        return self._dotted(node)

    def _getattr(self, node: nodes.Getattr) -> Node:
        return self._dotted(node)

    def _getitem(self, node: nodes.Getitem) -> Node:
        return self._dotted(node)

    def _dotted(self, node: nodes.Node) -> Node:
        path: list[str | int] = []
        while not isinstance(node, nodes.Name):
            if isinstance(node, nodes.Getattr):
                path.append(node.attr)
                node = node.node
            elif isinstance(node, nodes.Getitem):
                path.append(self._key(node.arg))
                node = node.node
            else:
                self._fail("only a name has parts", "write subscriber.name", ".")
        root = node.name
        if root not in ROOTS:
            self._unknown(root)
        path.reverse()
        if not path or not isinstance(path[0], str):
            self._fail(f"{root} alone is no value", f"name a part of it: {root}.name", root)
        if root == "points" and (len(path) > 1 or path[0] not in POINTS):
            hint = meant(str(path[0]), POINTS) or "there are points.balance and points.earned"
            self._fail(f"points has no {path[0]}", hint, root)
        return tree.Name(root, tuple(path))

    def _key(self, node: nodes.Node) -> str | int:
        if isinstance(node, nodes.Neg):
            inner = self._key(node.node)
            key: Any = -inner if isinstance(inner, int) else None
        else:
            key = node.value if isinstance(node, nodes.Const) else None
        if isinstance(key, str):
            return self._storable(key)
        if type(key) is int and -10_000 < key < 10_000:
            return key
        return self._fail("a key must be written out", "write subscriber['name'] or list[0]", "[")

    def _unknown(self, root: str) -> NoReturn:
        hint = SLIPS.get(root) or meant(root, ROOTS)
        hint = hint or f"write subscriber.{root} for an attribute, '{root}' for a text"
        self._fail(f"unknown name {root}", hint, root)

    def _storable(self, text: str) -> str:
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            self._fail(f"{text!r} holds a character that no text can have", "leave it out", 1)
        return text

    def _const(self, node: nodes.Const) -> Node:
        value = node.value
        if isinstance(value, str):
            self._storable(value)
        elif isinstance(value, int | float) and not abs(value) < 1e300:
            self._fail("this number is too large", "write a smaller one", 1)
        return tree.Constant(value)

    def _list(self, node: nodes.List | nodes.Tuple) -> Node:
        return tree.Listing(tuple(self._node(item) for item in node.items))

    _tuple = _list

    # Truths

    def _compare(self, node: nodes.Compare) -> Node:
        left = self._node(node.expr)
        parts: list[Node] = []
        for number, operand in enumerate(node.ops):
            if isinstance(operand.expr, nodes.Call) and operand.op in ("in", "notin"):
                listed = self._listed(operand, left, len(node.ops))
                if listed is not None:
                    return listed
            right = self._node(operand.expr)
            if number and not isinstance(left, tree.Name | tree.Constant):
                self._fail("this chain compares too much at once", "write a < b and b < c", 1)
            parts.append(_compared(operand.op, left, right))
            left = right
        return parts[0] if len(parts) == 1 else tree.All(tuple(parts))

    def _listed(self, operand: nodes.Operand, item: Node, operands: int) -> Node | None:
        """`event.peer in list('name')`; None if it is something else."""
        call = operand.expr
        if not (isinstance(call, nodes.Call) and isinstance(call.node, nodes.Name)):
            return None
        if call.node.name == "in_list":
            self._fail("nothing is in in_list(…), which is true or false", LISTED, "in_list")
        if call.node.name != "list":
            return None
        if operands > 1 or tree.is_truth(item):
            self._fail("only a number can be in a list", LISTED, "list")
        (name,) = self._arguments("list", call, 1)
        listed = tree.OnList(name, item)
        return listed if operand.op == "in" else tree.Not(listed)

    def _and(self, node: nodes.And) -> Node:
        return tree.All(tuple(self._node(item) for item in _flat(node, nodes.And)))

    def _or(self, node: nodes.Or) -> Node:
        return tree.Some(tuple(self._node(item) for item in _flat(node, nodes.Or)))

    def _not(self, node: nodes.Not) -> Node:
        return tree.Not(self._node(node.node))

    def _condexpr(self, node: nodes.CondExpr) -> Node:
        otherwise = self._node(node.expr2) if node.expr2 else tree.Constant(None)
        return tree.Choose(self._node(node.test), self._node(node.expr1), otherwise)

    def _test(self, node: nodes.Test) -> Node:
        name = node.name
        if name not in TESTS or node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            hint = meant(name, TESTS) or f"there are: {', '.join(TESTS)}"
            self._fail(f"unknown test: is {name}", hint, name)
        item = self._node(node.node)
        if name == "defined":
            return tree.Not(tree.Is(item, "null"))
        kinds: dict[str, Literal["null", "number", "string", "boolean"]] = {
            "undefined": "null",
            "none": "null",
            "number": "number",
            "string": "string",
            "boolean": "boolean",
        }
        return tree.Is(item, kinds[name])

    # Filters and arithmetic

    def _filter(self, node: nodes.Filter) -> Node:
        name = {"d": "default", "count": "length"}.get(node.name, node.name)
        if name not in FILTERS or node.node is None:
            hint = meant(name, FILTERS) or f"there are: {', '.join(FILTERS)}"
            self._fail(f"unknown filter: {name}", hint, node.name)
        item = self._node(node.node)
        arguments = node.args
        if node.kwargs or node.dyn_args or node.dyn_kwargs:
            self._fail(f"{name} takes no named arguments", "write the value alone", node.name)
        if name == "default" and len(arguments) == 1:
            return tree.Default(item, self._node(arguments[0]))
        if name == "round" and len(arguments) <= 1:
            return tree.Rounded(self._amount(item), self._places(arguments))
        if name in ("lower", "upper", "length") and not arguments:
            if name == "length":
                return tree.Length(item)
            return tree.Letters(item, "lower" if name == "lower" else "upper")
        takes = "one value: default(0)" if name == "default" else "none"
        return self._fail(f"{name} takes other arguments", f"it takes {takes}", node.name)

    def _places(self, arguments: list[nodes.Expr]) -> int:
        value = arguments[0].value if arguments and isinstance(arguments[0], nodes.Const) else None
        value = value if arguments else 0
        if type(value) is not int or not 0 <= value <= PLACES:
            self._fail(f"round takes 0 to {PLACES} places", "write round(2)", "round")
        return value

    def _amount(self, node: Node) -> Node:
        if tree.is_truth(node) or isinstance(node, tree.Listing | tree.Letters):
            self._fail("this is not a number", SUMS, 1)
        if isinstance(node, tree.Constant):
            value = node.value
            if isinstance(value, bool) or not isinstance(value, int | float):
                self._fail(f"{value!r} is not a number", SUMS, repr(value))
            if abs(value) >= LARGEST:
                self._fail(f"{value} is too large to calculate with", "write less than 1e18", 1)
        return node

    def _binary(self, node: nodes.BinExpr) -> Node:
        left, right = self._amount(self._node(node.left)), self._amount(self._node(node.right))
        if node.operator in ("//", "%") and not (
            isinstance(right, tree.Constant)
            and isinstance(right.value, int | float)
            and right.value >= 1
        ):
            self._fail(
                f"{node.operator} needs a number from 1 on its right",
                f"write points.earned {node.operator} 100",
                node.operator,
            )
        return tree.Arithmetic(node.operator, left, right)  # type: ignore[arg-type]

    _add = _sub = _mul = _div = _floordiv = _mod = _binary

    def _neg(self, node: nodes.Neg) -> Node:
        item = self._amount(self._node(node.node))
        if isinstance(item, tree.Constant):
            assert isinstance(item.value, int | float)
            return tree.Constant(-item.value)
        return tree.Negative(item)

    def _pos(self, node: nodes.Pos) -> Node:
        return self._amount(self._node(node.node))


def _compared(operator: str, left: Node, right: Node) -> Node:
    match operator:
        case "eq":
            return tree.Same(left, right)
        case "ne":
            return tree.Not(tree.Same(left, right))
        case "in":
            return tree.Contains(right, left)
        case "notin":
            return tree.Not(tree.Contains(right, left))
        case "lt" | "lteq":
            return tree.Less(left, right, operator == "lteq")
        case _:
            return tree.Less(right, left, operator == "gteq")


def _flat(node: nodes.Node, kind: type[nodes.BinExpr]) -> list[nodes.Node]:
    """`a and b and c` as three items."""
    items: list[nodes.Node] = []
    while isinstance(node, kind):
        items.append(node.right)
        node = node.left
    return [node, *reversed(items)]
