"""Tests written anew: what came takes the place of what was expected, everything else in the file
stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml
from msgspec import Struct

from orchestrator.core.grammar import At
from orchestrator.project.findings import Finding, Mark, ProjectErrors
from orchestrator.project.trials.compare import compared, kind_of, told_at
from orchestrator.project.trials.forms import Expected, Trial
from orchestrator.project.trials.remarks import Remarks, remarks
from orchestrator.project.trials.story import Came, Story
from orchestrator.project.yaml import parse, plain_value

_PLAIN = re.compile(r"(?![-?] )[^\W_](?:[\w ./+%-]*[\w./+%-])?(:\d\d)?", re.ASCII)
_NUMBER = re.compile(r"\d[\d_.]*(e\d+)?|0[xo][\da-f]+", re.ASCII | re.IGNORECASE)
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
_ESCAPED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
"""What stands in a file of ours only as an escape."""
_LINE = re.compile(r"[^\r\n]*")


class Renewed(Struct, frozen=True):
    """A test, where it begins and where its key `expect` stands (None: it has none), and what came
    of it."""

    trial: Trial
    mark: Mark
    expect: Mark | None
    story: Story


def renewed(text: str, tests: Iterable[Renewed]) -> str:
    """The file's text, with these tests of it renewed: all else in it is the same, octet by octet.
    Raises `ProjectErrors`."""
    stale = list(tests)
    places = _places(text)
    break_ = "\r\n" if "\r\n" in text else "\n"
    after = text
    for it in sorted(stale, key=lambda it: it.mark, reverse=True):
        start, end, lines = _renewal(text, places[it.mark.line, it.mark.column][1], it)
        after = after[:start] + break_.join(lines) + after[end:]
    numbers = {places[it.mark.line, it.mark.column][0] for it in stale}
    try:
        spoilt = _others(after, numbers) != _others(text, numbers)
    except ProjectErrors:
        spoilt = True
    if spoilt:
        raise _refused(stale[0].mark)
    return after


def _refused(mark: Mark) -> ProjectErrors:
    hint = "write each key of it on a line of its own"
    return ProjectErrors([Finding(mark, "this test cannot be renewed", hint)])


def _others(text: str, numbers: Iterable[int]) -> Any:
    """What the file says besides what these of its tests expect."""
    node = parse("", text)
    found = plain_value(node) if node is not None else {}
    for number in numbers:
        found["tests"][number].pop("expect", None)
    return found


def _places(text: str) -> dict[tuple[int, int], tuple[int, yaml.MappingNode]]:
    """Each test's number and node, by the line and the column where it begins."""
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    rows = root.value if root is not None else []
    tests = next(value for key, value in rows if key.value == "tests")
    return {
        (node.start_mark.line + 1, node.start_mark.column + 1): (number, node)
        for number, node in enumerate(tests.value)
    }


def _renewal(text: str, node: yaml.MappingNode, it: Renewed) -> tuple[int, int, list[str]]:
    """Which part of the text is to be replaced by which lines."""
    if node.flow_style:
        raise _refused(it.mark)
    margin = " " * node.start_mark.column
    before = it.trial.expect or ()
    for key, value in node.value:
        if key.value == "expect":
            end = _line_end(text, _end(text, value, key))
            said = remarks(text, key, value, end, before)
            written = [*_written(before, it.story, margin, said)]
            written[0] = written[0].removeprefix(margin)
            return key.start_mark.index, end, written
    key, value = node.value[-1]
    end = _line_end(text, _end(text, value, key))
    return end, end, ["", *_written(before, it.story, margin, Remarks((), (), ""))]


def _end(text: str, node: yaml.Node, before: yaml.Node) -> int:
    """Where the last word of the node ends, or of the one before it if it has none."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _end(text, *reversed(last)) if isinstance(last, tuple) else _end(text, last, node)
    if isinstance(node, yaml.ScalarNode) and not node.value and node.style is None:
        return int(before.end_mark.index)
    end = int(node.end_mark.index)
    return len(text[:end].rstrip()) if getattr(node, "style", None) in ("|", ">") else end


def _line_end(text: str, index: int) -> int:
    found = _LINE.match(text, index)
    return found.end() if found else index


def _written(before: Sequence[Expected], story: Story, margin: str, said: Remarks) -> Iterator[str]:
    """`expect` as it should be."""
    kinds = {"message", *map(kind_of, before)}
    had = {
        line.number: before[line.number]
        for line in compared(before, story)
        if line.number is not None
    }
    texts = {(it.at, str(it.message)) for it in had.values() if it.text is not None}
    says = {(it.at, str(it.message)): it.says for it in had.values() if it.says}
    came = [it for it in story.came if it.kind in kinds]
    head = f"  {said.head}" if said.head else ""
    yield f"{margin}expect:" + ("" if came else " []") + head
    for it in came:
        key, remark = (it.at, str(it.what)), said.of(it)
        item = [*_item(it, f"{margin}  ", key in texts, says.get(key, ()))]
        above, behind = [*remark.above], f"  {remark.behind}" if remark.behind else ""
        if behind and len(item) > 1:
            above, behind = [*above, remark.behind], ""
        yield from (f"{margin}  {words}" for words in above)
        yield item[0] + behind
        yield from item[1:]


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
    said = text.strip()
    if _ESCAPED.search(said) or any(line != line.rstrip() for line in said.split("\n")):
        yield f"{margin}  text: {_quoted(said)}"
        return
    yield f"{margin}  text: |-"
    for line in said.split("\n"):
        yield f"{margin}    {line}".rstrip()


def _scalar(value: str | int) -> str:
    """The value as YAML, quoted where it needs to be."""
    text = str(value)
    if isinstance(value, int):
        return text
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not _NUMBER.fullmatch(text):
        return text
    if "\n" in text or _ESCAPED.search(text):
        return _quoted(text)
    return "'" + text.replace("'", "''") + "'"


def _quoted(text: str) -> str:
    """In double quotes, on one line."""
    written = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", written)
