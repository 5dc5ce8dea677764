"""What Jinja says of a template that it cannot read, as an author would say it, and where."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from msgspec import Struct

OPENING = ("block", "if", "for", "raw")
"""Tags that are closed by another, which is named `end` and theirs."""

TAGS = (*OPENING, *(f"end{word}" for word in OPENING), "elif", "else", "set")
_MEANT = {"elseif": "elif", "elsif": "elif", "else if": "elif"}

_TAG = re.compile(r"\{%[-+]?\s*(\w+)")
_LONE_BRACE = re.compile(r"(?<![}%#])\}(?!\})")
_SIGNS = {
    "&": "write `and`",
    "?": "write `this if so else that`",
    "!": "write `not`, or != to compare",
    "$": "write {{ name }}",
}


class Mistake(Struct, frozen=True):
    """What is wrong and what to do about it, in a line and a column, from 1."""

    message: str
    hint: str
    line: int
    column: int = 1


def mistake(source: str, said: str, line: int) -> Mistake:
    """What Jinja `said` of this line of the source, in our words; what it says seldom, in its."""
    for pattern, tell in _TOLD:
        if found := pattern.search(said):
            return tell(_Place(source, line), found)
    hint = "see the line above it, too: something may be left open there"
    return Mistake(said or "this is no template", hint, line)


def column_of(source: str, line: int, word: str) -> int:
    """Where the word stands in that line, from 1; 1 if it does not."""
    lines = source.split("\n")
    text = lines[line - 1] if line <= len(lines) else ""
    edges = r"(?<!\w){}(?!\w)" if word[:1].isalnum() else "{}"
    found = re.search(edges.format(re.escape(word)), text) if word else None
    return found.start() + 1 if found else 1


class _Place:
    """A line of a source, and what stands open in it."""

    def __init__(self, source: str, line: int) -> None:
        self.source = source
        self.line = line

    def at(self, word: str, message: str, hint: str) -> Mistake:
        """It is this word of the line."""
        return Mistake(message, hint, self.line, column_of(self.source, self.line, word))

    def index(self, index: int, message: str, hint: str) -> Mistake:
        """It is what begins at this index of the source."""
        line = self.source.count("\n", 0, index) + 1
        return Mistake(message, hint, line, index - self.source.rfind("\n", 0, index))

    def opened(self) -> list[tuple[str, int]]:
        """The tags that are open where the first stands that closes none of them, or at the end,
        and where each begins."""
        stack: list[tuple[str, int]] = []
        for found in _TAG.finditer(self.source):
            word = found[1]
            if word in OPENING:
                stack.append((word, found.start()))
            elif word.startswith("end"):
                if not stack or word != f"end{stack[-1][0]}":
                    return stack
                stack.pop()
        return stack


def _tag(place: _Place, found: re.Match[str]) -> Mistake:
    word = found[1]
    stack = place.opened()
    inner = f"end{stack[-1][0]}" if stack else ""
    if word not in TAGS:
        close = [_MEANT[word]] if word in _MEANT else get_close_matches(word, TAGS, n=1)
        meant = inner if word == "end" and inner else next(iter(close), "")
        hint = f"did you mean {meant!r}?" if meant else f"there are: {', '.join(TAGS)}"
        return place.at(word, f"there is no tag {word!r}", hint)
    if any(word == f"end{opened}" for opened, _ in stack):
        return _open(place, found)
    hint = "take it out, or write above it what it belongs to"
    return place.at(word, f"`{word}` belongs to nothing that is open here", hint)


def _open(place: _Place, found: re.Match[str]) -> Mistake:
    stack = place.opened()
    if not stack:
        return Mistake("something is left open here", "close it", place.line)
    word, index = stack[-1]
    hint = f"write {{% end{word} %}} where it ends"
    return place.index(index, f"this `{word}` is never closed", hint)


def _unclosed(begins: str, ends: str) -> Callable[[_Place, re.Match[str]], Mistake]:
    def tell(place: _Place, found: re.Match[str]) -> Mistake:
        index = max(place.source.rfind(begins), 0)
        return place.index(index, f"this {begins} is never closed", f"write {ends} where it ends")

    return tell


def _letter(place: _Place, found: re.Match[str]) -> Mistake:
    letter = found[1]
    if letter in "'\"":
        return place.at(letter, "this quote is never closed", f"write {letter} where the text ends")
    hint = _SIGNS.get(letter, "put texts in quotes, and leave out what is no part of a name")
    return place.at(letter, f"{letter} cannot stand here", hint)


def _brace(place: _Place, found: re.Match[str]) -> Mistake:
    lines = place.source.split("\n")
    lone = _LONE_BRACE.search(lines[place.line - 1]) if place.line <= len(lines) else None
    hint = "what {{ opens, }} closes; what {% opens, %} closes"
    return Mistake("this } closes nothing", hint, place.line, lone.start() + 1 if lone else 1)


def _following(ends: str) -> Callable[[_Place, re.Match[str]], Mistake]:
    def tell(place: _Place, found: re.Match[str]) -> Mistake:
        word = found[1]
        if word == "=":
            return place.at(" = ", "= does not compare", "write ==")
        if word == "{" and ends == "}}":
            return _unclosed("{{", ends)(place, found)
        hint = f"write {ends} before it, or what is to be done with it: |filter, and, =="
        return place.at(word, f"{word} cannot follow here", hint)

    return tell


def _simply(message: str, hint: str) -> Callable[[_Place, re.Match[str]], Mistake]:
    return lambda place, found: place.at(found["word"] or "", message, hint)


_TOLD: tuple[tuple[re.Pattern[str], Callable[[_Place, re.Match[str]], Mistake]], ...] = tuple(
    (re.compile(pattern), tell)
    for pattern, tell in (
        (r"Encountered unknown tag '(\w+)'", _tag),
        (r"Unexpected end of template", _open),
        (r"Missing end of raw", _open),
        (r"Missing end of comment", _unclosed("{#", "#}")),
        (r"unexpected end of template, expected 'end of print", _unclosed("{{", "}}")),
        (r"unexpected end of template, expected 'end of statement", _unclosed("{%", "%}")),
        (r"unexpected '\}'", _brace),
        (r"unexpected char ['\"]\\?(.)", _letter),
        (r"expected token 'end of print statement', got '(.+)'", _following("}}")),
        (r"expected token 'end of statement block', got '(.+)'", _following("%}")),
        (
            r"block '(?P<word>\w+)' defined twice",
            _simply("this block is here twice", "write all its words in one"),
        ),
        (
            r"Expected an expression(?P<word>)",
            _simply("nothing is said here", "write a name: subscriber.name"),
        ),
        (r"tag name expected(?P<word>)", _simply("this tag is empty", "write {% if … %}")),
        (
            r"Block names in Jinja(?P<word>)",
            _simply("no block's name has a hyphen", "write it with _: wap_push_text"),
        ),
        (
            r"expected token 'name'(?P<word>)",
            _simply("a name is missing here", "write a filter behind |, a block's behind `block`"),
        ),
    )
)
