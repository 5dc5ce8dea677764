"""What docstrings say of the Structs that authors write, and of each key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from inspect import cleandoc
from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import FieldInfo

from orchestrator.core import grammar
from orchestrator.core.grammar import Share
from orchestrator.core.journey import InFlight
from orchestrator.core.retention import Keep
from orchestrator.project.reader import keys

_SENTENCE = re.compile(r"(?<=[.])\s+(?=[A-Z`])|\n\n")
_CLAUSE = re.compile(r";\s+")
_WORD = re.compile(r"`(\w+)(?:: [^`]*)?`")
"""A key in a text, alone or with a value: `holidays: avoid`."""


def text(documented: object) -> str:
    """All of it, without its indentation."""
    return cleandoc(documented.__doc__ or "")


def one_line(words: str) -> str:
    return " ".join(words.split())


def label(kind: type) -> str:
    """`LeaveRule` is `leave rule`."""
    word = kind.__name__.removesuffix("Form")
    return "".join(f" {c.lower()}" if c.isupper() else c for c in word).strip()


def said_of(kind: type[Struct], key: str) -> str:
    """What the Struct's docstring says of a key: where it is the first that is spoken of, or else
    wherever it is named; '' if it is not."""
    told = _told(kind)
    first = [part for part, named in told if named[:1] == [key]]
    return " ".join(first or [part for part, named in told if key in named])


@cache
def _told(kind: type[Struct]) -> Sequence[tuple[str, Sequence[str]]]:
    """What the Struct's docstring says, part by part, each with the keys that it speaks of."""
    return [
        (part, [it for it in _WORD.findall(part) if it in keys(kind)])
        for part in _parts(text(kind), keys(kind))
    ]


def _parts(words: str, known: Iterable[str]) -> Iterator[str]:
    """The sentences; where clauses speak of different keys, each by itself."""
    for sentence in _SENTENCE.split(unwrapped(words)):
        part: list[str] = []
        for clause in _CLAUSE.split(sentence):
            if part and any(it in known for it in _WORD.findall(clause)):
                yield _ended(part)
                part = []
            part.append(clause)
        yield _ended(part)


def unwrapped(words: str) -> str:
    """The same, each paragraph on one line."""
    return "\n\n".join(one_line(paragraph) for paragraph in words.split("\n\n"))


def _ended(clauses: list[str]) -> str:
    """The clauses as a sentence."""
    said = "; ".join(clauses)
    return said[:1].upper() + said[1:].removesuffix(".") + "."


def default(field: FieldInfo) -> str:
    """What holds if the key is left out, or ''."""
    if field.required:
        return ""
    value = field.default_factory() if field.default is UNSET else field.default
    shown: dict[type, Callable[[Any], str]] = {
        bool: lambda value: f"`{str(value).lower()}`",
        int: lambda value: f"`{value}`",
        str: lambda value: f"`{value}`" if value else "",
        timedelta: _span,
        Keep: lambda value: f"`{value}`",
        frozenset: lambda value: "all",
        grammar.Again: lambda value: "`never`",
        InFlight: lambda value: "`stay`",
        Share: lambda value: f"`{value.share * 100:g}%`",
    }
    show = shown.get(type(value))
    return show(value) if show else ""


def _span(span: timedelta) -> str:
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if span and not span % timedelta(seconds=seconds):
            return f"`{span // timedelta(seconds=seconds)}{unit}`"
    return ""
