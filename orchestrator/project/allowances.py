"""What authors mean although a rule finds it: `# outreach: allow some-rule because …`, and in a
template `{# outreach: allow some-rule because … #}`.

It stands at the end of the line that the rule finds something in, or on a line of its own above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import yaml
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.project.findings import Mark

WORDS = "outreach: allow"

_SAID = re.compile(r"outreach:\s*allow\b[ \t]*(?P<rule>[\w-]*)[ \t]*(?P<because>.*)", re.DOTALL)
_ELSE = re.compile(r"(?:#|\{#-?)\s*outreach:\s*(?!allow\b)(?P<rule>\w*)(?P<because>)")
"""What can only be meant to say so."""
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#[^\n]*", re.MULTILINE)
_IN_TEMPLATE = re.compile(r"\{#-?(.*?)-?#\}", re.DOTALL)
_BECAUSE = re.compile(r"because\s+(\S.*)", re.DOTALL)


class Allowance(Struct, frozen=True):
    """That what `rule` finds in line `line` is meant, for this reason; not `meant`, if the word
    `allow` is another, which stands for the rule."""

    mark: Mark
    line: int
    rule: str
    because: str
    meant: bool = True


def allowances(files: Mapping[str, str]) -> Iterator[Allowance]:
    """Every allowance in these files."""
    for path, text in files.items():
        if "outreach:" in text:
            found = _of_template(text) if path.endswith(".j2") else comments(text)
            for start, end in found:
                if said := _SAID.search(text, start, end):
                    yield _read(path, text, start, end, said)
                elif said := _ELSE.match(text, start, end):
                    yield replace(_read(path, text, start, end, said), meant=False)


def _read(path: str, text: str, start: int, end: int, said: re.Match[str]) -> Allowance:
    begins = text.rfind("\n", 0, start) + 1
    first = text.count("\n", 0, start) + 1
    mark = Mark(path, first, start - begins + 1)
    because = _BECAUSE.match(said["because"].strip().removesuffix("#}").removesuffix("-").strip())
    alone = not text[begins:start].strip() and not text[end:].partition("\n")[0].strip()
    line = _next_line(path, text, end) if alone else first
    return Allowance(mark, line, said["rule"], because[1].strip() if because else "")


def _next_line(path: str, text: str, end: int) -> int:
    """The first line after `end` that says something, comments passed over."""
    number = text.count("\n", 0, end) + 1
    rest = text[end:]
    if path.endswith(".j2"):
        rest = _IN_TEMPLATE.sub(lambda found: "\n" * found[0].count("\n"), rest)
    for offset, line in enumerate(rest.split("\n")):
        if line.strip() and not (path.endswith((".yaml", ".yml")) and line.lstrip()[0] == "#"):
            return number + offset
    return number


def _of_template(text: str) -> Iterator[tuple[int, int]]:
    for found in _IN_TEMPLATE.finditer(text):
        yield found.start(), found.end()


def comments(text: str) -> Iterator[tuple[int, int]]:
    """Where each comment of a YAML text is, but not what only looks like one within a value."""
    try:
        values = [
            (token.start_mark.index, token.end_mark.index)
            for token in yaml.scan(text, Loader=yaml.CSafeLoader)
            if isinstance(token, yaml.ScalarToken)
        ]
    except yaml.YAMLError:
        return
    for found in _COMMENT.finditer(text):
        if not any(begin <= found.start() < end for begin, end in values):
            yield found.start(), found.end()
