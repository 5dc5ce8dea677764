"""Most templates, read at a glance: text, simple values and `if` in blocks, and nothing else.

Jinja's own parser takes a hundred times as long. What is not surely understood here is left to it,
and so is every error.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.core.render.grammar import BLOCKS

_PIECE = re.compile(
    r"\s*(?:\{#.*?#\}|\{%-?\s*block\s+(?P<block>\w+)\s*-?%\}(?P<body>.*?)"
    r"\{%-?\s*endblock\s*(?P<again>\w*)\s*-?%\})",
    re.DOTALL,
)
_TEXT = r"'[^'{}\\\n]*'|\"[^\"{}\\\n]*\""
_SAYS = rf"(?:[^{{}}'\"\\#%]|{_TEXT})*?"
_SIGN = re.compile(
    rf"\{{\{{{_SAYS}\}}\}}|\{{%-?\s*(?P<word>if|elif|else|endif)\b(?P<test>{_SAYS})%\}}"
)
_TEXT_OF_VALUE = re.compile(_TEXT)
_ODD = re.compile("[\0\ud800-\udfff]")

_DEEPEST = 20
"""Conditions within each other."""

Names = Callable[[str], frozenset[str] | None]
"""The names that `{{ … }}` takes, or `{% if … %}{% endif %}`; None if it cannot be said, or is not
simple."""


def skimmed(source: str, names_of: Names) -> tuple[frozenset[str], tuple[str, ...]] | None:
    """The names that the template takes and its blocks, or None if it has to be read properly."""
    names: set[str] = set()
    blocks: list[str] = []
    at, end = 0, len(source.rstrip())
    if _ODD.search(source):
        return None
    while at < end:
        piece = _PIECE.match(source, at)
        if piece is None:
            return None
        at = piece.end()
        block = piece["block"]
        if block is None:
            continue
        if block in blocks or block not in BLOCKS or piece["again"] not in ("", block):
            return None
        blocks.append(block)
        said = _said(piece["body"], names_of)
        if said is None:
            return None
        names |= said
    return frozenset(names), tuple(blocks)


def _said(body: str, names_of: Names) -> set[str] | None:
    names: set[str] = set()
    if "{" not in body:
        return names
    # A brace may open what Jinja sees where it meets the next one.
    if "{" in _SIGN.sub("", body):
        return None
    cases: list[str] = []  # of each condition that is open, the last
    for sign in _SIGN.finditer(body):
        simple, word = sign[0], sign["word"]
        if word is not None:
            test = sign["test"].removesuffix("-")
            if not _follows(word, test, cases):
                return None
            if word in ("else", "endif"):
                continue
            simple = f"{{% if{test}%}}{{% endif %}}"
        found = names_of(_TEXT_OF_VALUE.sub("'x'", simple))
        if found is None:
            return None
        names |= found
    return None if cases else names


def _follows(word: str, test: str, cases: list[str]) -> bool:
    """Whether the word can stand here; `cases` are then as they are after it."""
    if word == "if":
        cases.append(word)
        return len(cases) <= _DEEPEST
    if not cases or (word != "endif" and cases[-1] == "else"):
        return False
    if word != "elif" and test.strip():
        return False
    cases.pop()
    if word != "endif":
        cases.append(word)
    return True
