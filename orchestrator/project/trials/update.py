"""Tests written anew: what came takes the place of what was expected, everything else in the file
stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from orchestrator.core.grammar import At
from orchestrator.project.findings import Finding, Mark, ProjectErrors
from orchestrator.project.trials.compare import compared, kind_of, told_at
from orchestrator.project.trials.forms import Trial
from orchestrator.project.trials.story import Came, Story

_PLAIN = re.compile(r"(?![-?] )[^\W_][\w ./+%-]*(:\d\d)?", re.ASCII)
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


class Renewed(Struct, frozen=True):
    """A test, where it begins and where its key `expect` stands (None: it has none), and what came
    of it."""

    trial: Trial
    mark: Mark
    expect: Mark | None
    story: Story


def renewed(text: str, tests: Iterable[Renewed]) -> str:
    """The file's text, with these tests of it renewed. Raises `ProjectErrors`."""
    lines = text.split("\n")
    for it in sorted(tests, key=lambda it: it.mark, reverse=True):
        _renew(lines, it)
    return "\n".join(lines)


def _renew(lines: list[str], it: Renewed) -> None:
    indent = it.mark.column - 1
    head = lines[it.mark.line - 1]
    if head[:indent].strip(" -") or head[indent : indent + 1] == "{":
        hint = "write each key of it on a line of its own"
        raise ProjectErrors([Finding(it.mark, "this test cannot be renewed", hint)])
    if it.expect is not None:
        start = it.expect.line - 1
        stop = _end(lines, start + 1, indent, own=True)
    else:
        start = stop = _end(lines, it.mark.line, indent, own=False)
    lines[start:stop] = _written(it.trial, it.story, " " * indent)


def _end(lines: Sequence[str], start: int, indent: int, *, own: bool) -> int:
    """Where the value of a key ends (`own`), or the whole test: after its last line with words."""
    end = start
    for number in range(start, len(lines)):
        line = lines[number]
        words = line.lstrip(" ")
        if not words:
            continue
        depth = len(line) - len(words)
        inside = depth > indent or (depth == indent and (words.startswith("- ") or not own))
        if not inside:
            break
        end = number + 1
    return end


def _written(trial: Trial, story: Story, margin: str) -> Iterator[str]:
    """`expect` as it should be."""
    before = trial.expect or ()
    kinds = {"message", *map(kind_of, before)}
    had = {
        line.number: before[line.number]
        for line in compared(before, story)
        if line.number is not None
    }
    texts = {(it.at, str(it.message)) for it in had.values() if it.text is not None}
    says = {(it.at, str(it.message)): it.says for it in had.values() if it.says}
    came = [it for it in story.came if it.kind in kinds]
    yield f"{margin}expect:" + ("" if came else " []")
    for it in came:
        key = (it.at, str(it.what))
        yield from _item(it, f"{margin}  ", key in texts, says.get(key, ()))


def _item(came: Came, margin: str, worded: bool, says: Sequence[str]) -> Iterator[str]:
    facts = {"at": told_at(came.at), came.kind: _scalar(came.what)}
    text = str(came.facts.get("text", ""))
    for name in ("by", "until", "because", "for"):
        if value := came.facts.get(name):
            facts[name] = told_at(value) if isinstance(value, At) else _scalar(value)
    if says and all(it in text for it in says):
        facts["says"] = "[" + ", ".join(map(_scalar, says)) + "]"
    if not worded:
        yield f"{margin}- {{{', '.join(f'{name}: {value}' for name, value in facts.items())}}}"
        return
    for number, (name, value) in enumerate(facts.items()):
        yield f"{margin}{'  ' if number else '- '}{name}: {value}"
    yield f"{margin}  text: |-"
    for line in text.split("\n"):
        yield f"{margin}    {line}".rstrip()


def _scalar(value: str | int) -> str:
    """The value as YAML, quoted where it needs to be."""
    text = str(value)
    if isinstance(value, int) or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS):
        return text
    return "'" + text.replace("'", "''") + "'"
