"""Nodes to values: a Struct's fields are the keys it takes, their types what may stand there.

Nothing here knows a particular Struct. Every mistake is collected, none stops the reading of what
stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import FieldInfo, fields, replace

from orchestrator.core.errors import GrammarError
from orchestrator.core.grammar import parse_date, parse_duration
from orchestrator.core.steps import STEP_TYPES
from orchestrator.core.steps.base import Step
from orchestrator.project.findings import Finding, Mark, closest, did_you_mean
from orchestrator.project.yaml import Listing, Node, Scalar, Table, plain_value

T = TypeVar("T")


class _Bad:
    """What stands for a value that could not be read."""


BAD = _Bad()

_SIMPLE = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_COLUMN = re.compile(r"column (\d+): ")


Named = tuple[Any, str, Mark]
"""A word whose type has a name (a `NewType`), with that type and its place."""


class Places:
    """Where each Struct was written."""

    def __init__(self) -> None:
        self._nodes: dict[int, tuple[object, Table]] = {}

    def keep(self, value: object, node: Table) -> None:
        """`value` was read from `node`. It is held on to, so that its identity stays its own."""
        self._nodes[id(value)] = (value, node)

    def knows(self, value: object) -> bool:
        return id(value) in self._nodes

    def mark(self, value: object, *path: str | int) -> Mark:
        """Where `value` begins, or, with a path of keys and indices, what lies there; a key or an
        item that is not written out stands where the nearest thing around it does."""
        node: Node = self._nodes[id(value)][1]
        for part in path:
            inner: Node | None = None
            if isinstance(node, Table) and isinstance(part, str):
                inner = node.get(part)
            elif isinstance(node, Listing) and isinstance(part, int) and part < len(node.items):
                inner = node.items[part]
            if inner is None:
                break
            node = inner
        return node.mark

    def key_mark(self, value: object, key: str) -> Mark:
        """Where the key `key` of `value` stands."""
        table = self._nodes[id(value)][1]
        found = table.key(key)
        return found.mark if found else table.mark


class Reader:
    """Reads nodes as values, keeping what is wrong in `findings` and what stood where in
    `places`."""

    def __init__(self, places: Places | None = None) -> None:
        self.findings: list[Finding] = []
        self.places = places or Places()
        self.named: list[Named] = []

    def read(self, node: Node, kind: type[T]) -> T | None:
        """The value, or None if any of it cannot be read. A key that is a slip of another is a
        finding, and read as that one."""
        value = self._read(node, kind)
        return None if value is BAD else value

    def _read(self, node: Node, kind: Any) -> Any:
        way, arguments, name = _way(kind)
        if way == "_any":
            return plain_value(node)
        if type(node) is Scalar and node.plain and node.text in ("", "null"):
            return self._wrong(node.mark, "nothing is written here", _write(_bare(kind)))
        if name is not None and type(node) is Scalar:
            self.named.append((name, node.text, node.mark))
        return getattr(self, way)(node, *arguments)

    def _scalar(self, node: Node, kind: type) -> Any:
        if not isinstance(node, Scalar):
            return self._expected(node, kind)
        if kind is str:
            return node.text
        value = node.value
        fits = type(value) is kind or (kind is float and type(value) is int)
        return kind(value) if fits else self._expected(node, kind)

    def _keyed(self, node: Node, kind: Any) -> Any:
        """A word, or keys with values."""
        known = isinstance(node, Table)
        return self._struct(node, kind) if known else self._parsed(node, kind.parse)

    def _parsed(self, node: Node, parse: Callable[[str], Any]) -> Any:
        if not isinstance(node, Scalar):
            return self._expected(node, str)
        try:
            return parse(node.text)
        except GrammarError as error:
            mark, message = _inside(node, error.message)
            return self._wrong(mark, message, error.hint)

    def _one_of(self, node: Node, words: tuple[str, ...]) -> Any:
        if not isinstance(node, Scalar):
            return self._expected(node, str)
        if node.text in words:
            return node.text
        return self._wrong(node.mark, f"{node.text!r} cannot stand here", _meant(node.text, words))

    def _one_of_words(self, node: Node, words: tuple[str, ...]) -> Any:
        word = self._one_of(node, words)
        return word if word is BAD else words.index(word)

    def _several(self, node: Node, kind: Any, make: Callable[[list[Any]], Any]) -> Any:
        items = node.items if isinstance(node, Listing) else (node,)
        values = [self._read(item, kind) for item in items]
        return BAD if BAD in values else make(values)

    def _mapping(self, node: Node, kind: Any) -> Any:
        if not isinstance(node, Table):
            return self._expected(node, dict)
        values = {key.text: self._read(value, kind) for key, value in node.pairs}
        return BAD if BAD in values.values() else values

    def _step(self, node: Node) -> Any:
        if not isinstance(node, Table):
            return self._wrong(node.mark, "expected a step", "write for example `- send: hello`")
        written = [key for key, _ in node.pairs]
        words = [key for key in written if key.text in STEP_TYPES]
        types = [kind for key in words if _takes(kind := STEP_TYPES[key.text], words)]
        if len(types) == 1:
            return self._struct(node, types[0])
        known = {*STEP_TYPES, *(name for kind in STEP_TYPES.values() for name in keys(kind))}
        for key in written if not words else []:
            if key.text not in known:
                hint = did_you_mean(key.text, STEP_TYPES, _step_words())
                self._wrong(key.mark, f"there is no step {key.text!r}", hint)
                for meant in closest(key.text, STEP_TYPES):
                    return self._struct(_renamed(node, key, meant), STEP_TYPES[meant])
                return BAD
        if not words:
            return self._wrong(node.mark, "this step does not say what it does", _step_words())
        said = " and ".join(f"`{key.text}`" for key in words)
        hint = "make it two steps, each with its own `-`"
        return self._wrong(words[1].mark, f"one step cannot be {said}", hint)

    def _struct(self, node: Node, kind: type[Struct]) -> Any:
        if not isinstance(node, Table):
            return self._expected(node, kind)
        wanted = keys(kind)
        values: dict[str, Any] = {}
        for key, inner in node.pairs:
            field = wanted.get(key.text)
            if field is None:
                hint = did_you_mean(key.text, wanted)
                values[key.text] = self._wrong(key.mark, f"unknown key {key.text!r}", hint)
                for meant in closest(key.text, wanted):
                    if node.key(meant) is None:
                        del values[key.text]
                        node, field = _renamed(node, key, meant), wanted[meant]
            if field is not None:
                values[field.name] = self._read(inner, field.type)
        for name, field in _needed(kind):
            if field.name not in values:
                values[field.name] = BAD
                self._wrong(node.mark, f"`{name}` is missing", _write(field.type, name))
        if BAD in values.values():
            return BAD
        value = kind(**values)
        self.places.keep(value, node)
        return value

    def _expected(self, node: Node, kind: Any) -> _Bad:
        hint = "" if kind in _SIMPLE else _write(kind, "it")
        if kind in _SIMPLE and isinstance(node, Scalar) and not node.plain:
            hint = "write it without quotes"
        return self._wrong(node.mark, f"expected {_named(kind)}, found {_seen(node)}", hint)

    def _wrong(self, mark: Mark, message: str, hint: str) -> _Bad:
        self.findings.append(Finding(mark, message, hint))
        return BAD


def _renamed(node: Table, key: Scalar, meant: str) -> Table:
    """The table with this key as it is meant."""
    said = replace(key, text=meant)
    return Table(node.mark, tuple((said if it is key else it, value) for it, value in node.pairs))


def _present(kind: Any) -> Any:
    """The type without its `| None`."""
    if get_origin(kind) in (Union, UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def _bare(kind: Any) -> Any:
    """The type without its `| None` and its `NewType` name."""
    kind = _present(kind)
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    return kind


@cache
def _way(kind: Any) -> tuple[str, tuple[Any, ...], Any]:
    """The method of `Reader` that reads such a value, what it is to be told, and the `NewType`."""
    present = _present(kind)
    return *_method(_bare(present)), present if isinstance(present, NewType) else None


def _method(kind: Any) -> tuple[str, tuple[Any, ...]]:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return "_any", ()
    if origin is Annotated:
        return "_one_of_words", (arguments[1],)
    if origin is Literal:
        return "_one_of", (arguments,)
    if origin in (tuple, list, frozenset):
        return "_several", (arguments[0], origin)
    if origin is not None and issubclass(origin, Mapping):
        return "_mapping", (arguments[1],)
    if kind is timedelta:
        return "_parsed", (parse_duration,)
    if kind is date:
        return "_parsed", (parse_date,)
    if hasattr(kind, "parse"):
        return ("_keyed", (kind,)) if hasattr(kind, "keyed") else ("_parsed", (kind.parse,))
    if kind is Step:
        return "_step", ()
    return ("_struct" if issubclass(kind, Struct) else "_scalar"), (kind,)


@cache
def keys(kind: type[Struct]) -> dict[str, FieldInfo]:
    """The keys a Struct takes, in order."""
    return {field.encode_name: field for field in fields(kind)}


@cache
def _needed(kind: type[Struct]) -> tuple[tuple[str, FieldInfo], ...]:
    """The keys that must be there."""
    return tuple((name, field) for name, field in keys(kind).items() if field.required)


def _takes(kind: type[Step], words: list[Scalar]) -> bool:
    return all(word.text in keys(kind) for word in words)


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text in ("", "null")


def _inside(node: Scalar, message: str) -> tuple[Mark, str]:
    """The mark moved to the column within the text that the message begins with."""
    match = _COLUMN.match(message)
    if not match or node.first is None:
        return node.mark, message
    column = node.first.column + int(match[1]) - 1
    return Mark(node.mark.file, node.mark.line, column), message[match.end() :]


def _meant(word: str, known: tuple[str, ...]) -> str:
    return did_you_mean(word, known, f"write {_alternatives(known)}")


def _alternatives(words: tuple[str, ...]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _step_words() -> str:
    return f"a step is one of: {', '.join(sorted(STEP_TYPES))}"


def _named(kind: Any) -> str:
    kind = _bare(kind)
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if get_origin(kind) in (tuple, list, frozenset):
        return "a list"
    return "a text" if hasattr(kind, "parse") else "keys with values"


def _seen(node: Node) -> str:
    match node:
        case Listing():
            return "a list"
        case Table():
            return "keys with values"
        case Scalar(plain=False):
            return f"the quoted text {node.text[:40]!r}"
    return repr(node.text[:40])


def _write(kind: Any, key: str = "") -> str:
    """A hint: what may be written."""
    kind = _bare(kind)
    if get_origin(kind) is Literal:
        return f"write {_alternatives(get_args(kind))}"
    if kind is timedelta:
        return f"write {f'{key}: ' if key else ''}24h, for example"
    if kind is date:
        return f"write {f'{key}: ' if key else ''}2026-02-15, for example"
    if isinstance(kind, type) and issubclass(kind, Struct) and not hasattr(kind, "parse"):
        return f"its keys are: {', '.join(keys(kind))}" if kind is not Step else _step_words()
    return "" if key else f"write {_named(kind)}, or leave the key out"
