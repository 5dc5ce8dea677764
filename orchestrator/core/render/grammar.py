"""Text to a checked and metered Jinja tree: what is not known to be harmless is an error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import NoReturn

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from orchestrator.core.errors import GrammarError
from orchestrator.core.render.filters import FILTERS, TESTS

BLOCKS = (
    "sms",
    "chat",
    "chat_image",
    "chat_buttons",
    "mms_subject",
    "mms_text",
    "mms_image",
    "wap_push_text",
    "wap_push_href",
    "wap_push_action",
    "script",
)
FUNCTIONS = ("link",)
LOOP = ("index", "index0", "revindex", "revindex0", "first", "last", "length")
LONGEST = 32_000
"""Characters of one template file."""

DEEPEST = 100
"""Nodes of one template within each other."""

_SHALLOW = 18

_ALLOWED = (
    *(nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.Name),
    *(nodes.Const, nodes.List, nodes.Tuple, nodes.Compare, nodes.Operand, nodes.And, nodes.Or),
    *(nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
    *(nodes.Neg, nodes.Pos, nodes.Concat, nodes.CondExpr, nodes.Filter, nodes.Test),
    *(nodes.Getattr, nodes.Getitem, nodes.Keyword, nodes.Call),
)
_TAKEN = frozenset({"self", "super", "caller", "varargs", "kwargs", *FUNCTIONS})
_INSTEAD = {
    "Macro": "write the text out, or {% set %} it inside the block",
    "Include": "write the text out: a message is one file",
    "Import": "write the text out: a message is one file",
    "FromImport": "write the text out: a message is one file",
    "Extends": "write the text out: a message is one file",
    "Pow": "write x * x",
    "Slice": "write |truncate(10)",
    "Dict": "give it as an attribute or property",
}
_LONE = re.compile(
    r"\{%-?\s*raw\b.*?\bendraw\s*-?%\}"  # left as it is
    r"|^[ \t]*(?P<alone>\{%(?!-?\s*raw\b)(?:(?!%\}).)*%\}|\{#.*?#\})[ \t]*\n"
    r"|\{#.*?#\}",  # left as it is
    re.MULTILINE | re.DOTALL,
)


class TemplateError(GrammarError):
    """A message's template is wrong, at `line` and `column` of `file`. `word` is what is wrong in
    the line, for whoever looks for the column there."""

    def __init__(
        self, message: str, hint: str, file: str, line: int, column: int = 1, word: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.file = file
        self.line = line
        self.column = column
        self.word = word


def without_lone_lines(source: str) -> str:
    """The source such that a tag or comment alone on its line leaves no empty line behind. Lines
    keep their numbers: the line break moves into a comment."""
    return _LONE.sub(
        lambda found: f"{found['alone']}{{#\n#}}" if found["alone"] else found[0], source
    )


def check(template: nodes.Template, file: str) -> tuple[nodes.Template, frozenset[str]]:
    """The template, metered, and the dotted names it uses; TemplateError for what may not be."""
    checker = _Checker(file)
    _check_depth(template, file)
    for node in template.body:
        checker.top(node)
    return template, frozenset(checker.names)


class _Checker(NodeTransformer):
    def __init__(self, file: str) -> None:
        self.file = file
        self.names: set[str] = set()
        self._own: set[str] = set()

    def fail(self, node: nodes.Node, message: str, hint: str, word: str = "") -> NoReturn:
        raise TemplateError(message, hint, self.file, node.lineno or 1, word=word)

    def top(self, node: nodes.Node) -> None:
        """Outside of blocks stand blocks, comments and white space only."""
        if isinstance(node, nodes.Output) and all(
            isinstance(part, nodes.TemplateData) and not part.data.strip() for part in node.nodes
        ):
            return
        if not isinstance(node, nodes.Block):
            self.fail(node, "this stands outside of a block", "put it into {% block sms %}")
        if node.name not in BLOCKS:
            self.fail(node, f"unknown block {node.name}", _meant(node.name, BLOCKS), node.name)
        # Names that a block sets or loops over are its own; the others come from outside.
        self._own = {
            name.name for name in node.find_all(nodes.Name) if name.ctx in ("store", "param")
        } | {"loop", *FUNCTIONS}
        node.body = [self.visit(inner) for inner in node.body]

    def generic_visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        if not isinstance(node, _ALLOWED):
            word = type(node).__name__
            hint = _INSTEAD.get(word, "write the text out")
            self.fail(node, f"a {word.lower()} is not allowed in a message", hint)
        return super().generic_visit(node, *args, **kwargs)

    def visit_Const(self, node: nodes.Const) -> nodes.Node:  # noqa: N802
        value = node.value
        if isinstance(value, str):
            self._storable(node, value)
        elif isinstance(value, int | float) and not abs(value) < 10**18:
            self.fail(node, "this number is too large", "write a smaller one")
        return node

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:  # noqa: N802
        self._storable(node, node.data)
        return node

    def _storable(self, node: nodes.Node, text: str) -> None:
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            self.fail(node, "this text holds a character that cannot be sent", "leave it out")

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        self._name(node, node.name, node.name)
        return node

    def _name(self, node: nodes.Node, name: str, dotted: str) -> None:
        if name.startswith("_") or name in _TAKEN:
            self.fail(node, f"{name} cannot be used here", "choose another name", name)
        if name not in self._own:
            self.names.add(dotted)

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        if node.attr.startswith("_"):
            self.fail(node, f"{node.attr} is no attribute", "names begin with a letter", node.attr)
        if isinstance(node.node, nodes.Name) and node.node.name == "loop" and node.attr not in LOOP:
            self.fail(node, f"loop has no {node.attr}", _meant(node.attr, LOOP))
        dotted = _dotted(node)
        if dotted is None:
            return self.generic_visit(node)
        self._name(node, dotted.partition(".")[0], dotted)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        parts = [self.visit(part) for part in node.nodes]
        return _filtered(node, parts[0], "_concat", parts[1:])

    def visit_List(self, node: nodes.List | nodes.Tuple) -> nodes.Node:  # noqa: N802
        if isinstance(node, nodes.Tuple) and node.ctx != "load":
            return self.generic_visit(node)
        items = [self.visit(item) for item in node.items]
        if all(isinstance(item, nodes.Const) for item in items):
            return nodes.List(items, lineno=node.lineno)
        return _filtered(node, items[0], "_listing", items[1:])

    visit_Tuple = visit_List  # noqa: N815

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _weighed(operand.expr)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            self.fail(node, "a loop cannot call itself", "write {% for x in list %}")
        weight = _weight(node)
        self.generic_visit(node)
        node.iter = _filtered(node, node.iter, "_each", [nodes.Const(weight, lineno=node.lineno)])
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:  # noqa: N802
        if not isinstance(node.target, nodes.Name):
            self.fail(node, "only one name can be set at a time", "write {% set name = value %}")
        return self.generic_visit(node)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        function = node.node
        if isinstance(function, nodes.Getattr):
            hint = f"write a filter: |{function.attr}" if function.attr in FILTERS else ""
            said = f"{function.attr}() cannot be called"
            self.fail(node, said, hint or "use a filter", function.attr)
        if not isinstance(function, nodes.Name) or function.name not in FUNCTIONS:
            name = function.name if isinstance(function, nodes.Name) else "this"
            self.fail(node, f"{name} is no function", _meant(name, FUNCTIONS), name)
        if len(node.args) != 1 or node.kwargs or node.dyn_args or node.dyn_kwargs:
            self.fail(node, "link takes one address", "write link('https://example.com/')")
        return _filtered(node, function, "_called", [self.visit(node.args[0])])

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        if node.name not in FILTERS or node.node is None:
            said = f"unknown filter {node.name}"
            self.fail(node, said, _meant(node.name, FILTERS), node.name)
        if node.dyn_args or node.dyn_kwargs:
            self.fail(node, f"{node.name} takes no * arguments", "write its arguments out")
        named = {str(pair.key): pair.value for pair in node.kwargs}
        try:
            inspect.signature(FILTERS[node.name]).bind(node.node, *node.args, **named)
        except TypeError as error:
            self.fail(node, f"{node.name}: {error}", "see the list of filters for its arguments")
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        if node.name not in TESTS or node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            said = f"unknown test: is {node.name}"
            self.fail(node, said, _meant(node.name, TESTS), node.name)
        return self.generic_visit(node)


def _check_depth(template: nodes.Template, file: str) -> None:
    """TemplateError if the tree is too deep for what walks it, which is slow to find that out."""
    for node, deep in _deep(template):
        if deep > DEEPEST:
            raise TemplateError("this is nested too deeply", "split it", file, node.lineno)


def is_plain(template: nodes.Template) -> bool:
    """Whether what Jinja makes of a template that was checked is surely something that Python
    compiles: it is not deep, which leaves loops within Python's twenty, and no name of its own is
    `loop`."""
    return all(deep <= _SHALLOW and not _takes_loop(node) for node, deep in _deep(template))


def _takes_loop(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "loop" and node.ctx != "load"


def _deep(template: nodes.Template) -> Iterator[tuple[nodes.Node, int]]:
    todo: list[tuple[nodes.Node, int]] = [(template, 0)]
    while todo:
        node, deep = todo.pop()
        yield node, deep
        todo += [(child, deep + 1) for child in node.iter_child_nodes()]


def _dotted(node: nodes.Node) -> str | None:
    """`a.b.c`, or None if it is anything but names."""
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, nodes.Name) else None


def _filtered(
    at: nodes.Node, item: nodes.Node, name: str, arguments: Sequence[nodes.Expr]
) -> nodes.Filter:
    return nodes.Filter(item, name, [*arguments], [], None, None, lineno=at.lineno)


def _weighed(node: nodes.Expr) -> nodes.Expr:
    if isinstance(node, nodes.Const):
        return node
    return _filtered(node, node, "_weighed", [])


def _weight(node: nodes.For) -> int:
    """What one round costs: the nodes it runs and the characters it copies."""
    total = 1
    for part in [*node.body, *node.else_, *([node.test] if node.test else [])]:
        for inner in (part, *part.find_all(nodes.Node)):
            total += len(inner.data) if isinstance(inner, nodes.TemplateData) else 2
    return total


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, [*known], 1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
