"""YAML as plain data that knows where it stands.

libyaml parses; what its events mean is decided here: no tags, no anchors or aliases, no second
document, no key twice. A scalar is text until somebody asks for its value, and then only
`true`, `false`, `null` and plain numbers are anything else: `no`, `0123`, `12:30` and
`2026-01-01` stay what they look like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import yaml
from msgspec import Struct
from yaml import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from orchestrator.project.findings import Finding, Mark, ProjectErrors

MAX_DEPTH = 40
MAX_NODES = 50_000

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})\.\d{1,17}", re.ASCII)
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Among them what turns text around: a reviewer must see what is read (CVE-2021-42574)."""
_TAB = re.compile(r" *\t")
_NO_SPACE_AFTER_DASH = re.compile(r" *-[^\s-]")
_NO_SPACE_AFTER_COLON = re.compile(r" *(- +)?[a-z_]+:[^\s:/]\S*\s*$")
_AFTER_QUOTE = re.compile(r"""(?<![^\s\[{,])(?P<quoted>(['"]).*?\2)[ \t]+(?=[^\s,\]}#:])""")
_COMMENT = re.compile(r"\s+#.*|\s+$")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "": None}


class Scalar(Struct, frozen=True, gc=False):
    """A text; `plain` if it was written without quotes. On one line it begins at `first`."""

    mark: Mark
    text: str
    plain: bool = False
    first: Mark | None = None

    @property
    def value(self) -> str | int | float | bool | None:
        """What it means where any value may stand."""
        if not self.plain:
            return self.text
        if self.text in _WORDS:
            value: bool | None = _WORDS[self.text]
            return value
        if _INTEGER.fullmatch(self.text):
            return int(self.text)
        return float(self.text) if _NUMBER.fullmatch(self.text) else self.text


class Listing(Struct, frozen=True, gc=False):
    mark: Mark
    items: tuple[Node, ...]


class Table(Struct, frozen=True, gc=False):
    """Keys and values, in order."""

    mark: Mark
    pairs: tuple[tuple[Scalar, Node], ...]

    def get(self, key: str) -> Node | None:
        for name, node in self.pairs:
            if name.text == key:
                return node
        return None

    def key(self, key: str) -> Scalar | None:
        return next((name for name, _ in self.pairs if name.text == key), None)


Node: TypeAlias = Scalar | Listing | Table


def plain_value(node: Node) -> Any:
    """The node as lists, dicts and scalars."""
    match node:
        case Scalar():
            return node.value
        case Listing():
            return [plain_value(item) for item in node.items]
        case Table():
            return {name.text: plain_value(value) for name, value in node.pairs}


def parse(file: str, text: str) -> Node | None:
    """The one document in `text`, or None if it is empty. Raises `ProjectErrors`."""
    if found := _CONTROL.search(text):
        raise _refused(
            _mark_at(file, text, found.start()),
            f"the character U+{ord(found[0]):04X} does not belong in a text file",
            "delete it",
        )
    try:
        return _Builder(file, text).document()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(file, text, error) from None
    except yaml.YAMLError as error:
        raise _refused(Mark(file), f"this is not YAML: {error}", "") from None


class _Builder:
    """Events to nodes, with every bound checked on the way."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        # What `yaml.parse` does, but for a question before every event.
        self._next: Callable[[], Any] = yaml.CSafeLoader(text).get_event
        self._nodes = 0
        self._repeated: list[Finding] = []

    def document(self) -> Node | None:
        root: Node | None = None
        while (event := self._next()) is not None:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise _refused(
                        self._mark(event), "a second document begins here", "one file, one document"
                    )
                root = self._node(self._next(), 1)
        if self._repeated:
            raise ProjectErrors(self._repeated)
        empty = isinstance(root, Scalar) and root.plain and not root.text
        return None if empty else root

    def _node(self, event: Any, depth: int) -> Node:
        mark = self._mark(event)
        self._nodes += 1
        kind = type(event)
        if kind is AliasEvent:
            raise _refused(mark, f"*{event.anchor} is an alias", "write the value out")
        if event.anchor:
            raise _refused(mark, f"&{event.anchor} is an anchor", "write the value out each time")
        if event.tag:
            raise _refused(mark, f"{event.tag} is a tag", "write the plain value")
        if depth > MAX_DEPTH:
            raise _refused(mark, f"this is more than {MAX_DEPTH} levels deep", "split it")
        if self._nodes > MAX_NODES:
            raise _refused(mark, f"more than {MAX_NODES} values in one file", "split it")
        if kind is ScalarEvent:
            return _scalar(event, mark)
        if kind is SequenceStartEvent:
            return Listing(mark, tuple(self._items(depth)))
        return Table(mark, tuple(self._pairs(depth)))

    def _items(self, depth: int) -> Iterator[Node]:
        while type(event := self._next()) is not SequenceEndEvent:
            yield self._node(event, depth + 1)

    def _pairs(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        seen: dict[str, Mark] = {}
        while type(event := self._next()) is not MappingEndEvent:
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise _refused(key.mark, "a key must be a word", "write `word: value`")
            if key.text in seen:
                message = f"the key {key.text!r} is here twice"
                hint = f"it is already on line {seen[key.text].line}"
                self._repeated.append(Finding(key.mark, message, hint, "yaml"))
            seen.setdefault(key.text, key.mark)
            yield key, self._node(self._next(), depth + 1)

    def _mark(self, event: Any) -> Mark:
        start = event.start_mark
        return Mark(self._file, start.line + 1, start.column + 1)


def _scalar(event: Any, mark: Mark) -> Scalar:
    plain = not event.style
    first = None
    if mark.line == event.end_mark.line + 1:
        first = mark if plain else Mark(mark.file, mark.line, mark.column + 1)
    return Scalar(mark, event.value, plain, first)


def _refused(mark: Mark, message: str, hint: str) -> ProjectErrors:
    return ProjectErrors([Finding(mark, message, hint, "yaml")])


_ASKEW = ("did not find expected '-' indicator", "did not find expected key")
"""What libyaml says of a line that is no part of its block."""


def _not_yaml(file: str, text: str, error: yaml.MarkedYAMLError) -> ProjectErrors:
    """What libyaml could not read, said where an author would look for it."""
    problem = error.problem or error.context or "it cannot be read"
    begun = error.context_mark
    if begun and error.context == "while scanning a quoted scalar" and "end of stream" in problem:
        where = Mark(file, begun.line + 1, begun.column + 1)
        return _refused(where, "the quote that begins here is never closed", "close it")
    mark = error.problem_mark or begun
    where = Mark(file, mark.line + 1, mark.column + 1) if mark else Mark(file)
    lines = [*text.split("\n"), ""]
    line = lines[where.line - 1]
    if _TAB.match(line):
        return _refused(where, "a tab cannot indent YAML", "use spaces")
    if _NO_SPACE_AFTER_DASH.match(line):
        return _refused(where, "this item of a list has no space after its dash", "write `- `")
    for quoted in _AFTER_QUOTE.finditer(line):
        if quoted.end() == where.column - 1:
            there = Mark(file, where.line, quoted.start() + 1)
            hint = f"quote all of it: {_requoted(line, quoted)}"
            return _refused(there, "a text goes on after its quote", hint)
    colon = problem == "mapping values are not allowed in this context"
    if colon and _NO_SPACE_AFTER_COLON.match(lines[max(where.line - 2, 0)]):
        there = Mark(file, where.line - 1, 1)
        return _refused(there, "this key has no space after its colon", "write `: `")
    if begun and _NO_SPACE_AFTER_COLON.match(lines[begun.line]):
        there = Mark(file, begun.line + 1, begun.column + 1)
        return _refused(there, "this key has no space after its colon", "write `: `")
    if colon:
        hint = "quote a text that has `: ` in it; if it has none, this line is indented too far"
        return _refused(where, "there cannot be a colon here", hint)
    if begun and problem in _ASKEW and mark and mark.column != begun.column:
        return _refused(
            where,
            f"this line is indented by {mark.column}, and what it seems to belong to, which begins "
            f"on line {begun.line + 1}, by {begun.column}",
            "indent alike what belongs together",
        )
    hint = "quote the text, or look at the line above"
    if error.context and begun:
        hint = f"{error.context} that begins on line {begun.line + 1}"
    return _refused(where, f"this is not YAML: {problem}", hint)


def _requoted(line: str, quoted: re.Match[str]) -> str:
    """The value that begins with this quoted text, with quotes around all of it."""
    in_brackets = re.search(r"[\[{]", line[: quoted.start()])
    said = f"{quoted['quoted']} …" if in_brackets else _COMMENT.sub("", line[quoted.start() :])
    return f'"{said}"' if '"' not in said else "'" + said.replace("'", "''") + "'"


def _mark_at(file: str, text: str, index: int) -> Mark:
    line_start = text.rfind("\n", 0, index) + 1
    return Mark(file, text.count("\n", 0, index) + 1, index - line_start + 1)
