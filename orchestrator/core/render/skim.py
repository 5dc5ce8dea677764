"""Most templates, read at a glance: text and simple values in blocks, and nothing else.

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
_VALUE = re.compile(rf"\{{\{{(?:[^{{}}'\"\\#%]|{_TEXT})*\}}\}}")
_TEXT_OF_VALUE = re.compile(_TEXT)
_ODD = re.compile("[\0\ud800-\udfff]")

Names = Callable[[str], frozenset[str] | None]
"""The names that `{{ … }}` takes, or None if it cannot be said."""


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
    for value in _VALUE.findall(body) if "{{" in body else ():
        found = names_of(_TEXT_OF_VALUE.sub("'x'", value))
        if found is None:
            return None
        names |= found
    # A brace may open what Jinja sees where it meets the next one.
    return None if "{" in _VALUE.sub("", body) else names
