"""What came, beside what a test expects: line by line, so that the difference shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import time
from difflib import unified_diff
from typing import Any, Literal

from msgspec import Struct

from orchestrator.core.grammar import At
from orchestrator.project.trials.forms import KINDS, Ends, Expected
from orchestrator.project.trials.story import Came, Story

Sign = Literal[" ", "-", "+"]


class Line(Struct, frozen=True):
    """A thing that was expected and came (` `), that was expected and did not come (`-`), or that
    came and was not expected (`+`). `number` is its place in `expect`, from 0; `note` says more."""

    sign: Sign
    said: str
    number: int | None = None
    note: str = ""


def compared(expected: Sequence[Expected], story: Story) -> tuple[Line, ...]:
    """Every expected thing, and every other of the kinds that are compared: messages, and those of
    which at least one is expected."""
    wanted = sorted(enumerate(expected), key=lambda it: _order(it[1].at, kind_of(it[1])))
    kinds = {"message", *(kind_of(it) for it in expected)}
    came = [it for it in story.came if it.kind in kinds]
    came.sort(key=lambda it: _order(it.at, it.kind))
    return tuple(_aligned(wanted, came, story.came))


def _order(at: At, kind: str) -> tuple[int, time, int]:
    """By time; of different kinds of things at one time none comes before another."""
    return at.day, at.time, KINDS.index(kind)


def kind_of(expected: Expected) -> str:
    """Which kind of thing this is; it has exactly one."""
    return next(kind for kind in KINDS if getattr(expected, kind) is not None)


def facts_of(expected: Expected) -> dict[str, Any]:
    """What is said of it besides its time, kind and name."""
    said: dict[str, Any] = {"by": expected.by, "text": expected.text, "says": expected.says}
    said |= {"until": expected.until, "because": expected.because, "for": expected.for_}
    return {name: it for name, it in said.items() if it not in (None, ())}


def differing(expected: Ends | None, ends: Ends) -> tuple[Line, ...]:
    """How things stand in the end, where that is not as expected."""
    if expected is None:
        return ()
    pairs: list[tuple[str, Any, Any]] = []
    if expected.points is not None:
        pairs.append(("points", expected.points, ends.points))
    if expected.tags is not None:
        pairs.append(("tags", sorted(expected.tags), [*(ends.tags or ())]))
    pairs += [(f"attribute {k}", v, ends.attributes.get(k)) for k, v in expected.attributes.items()]
    pairs += [(f"stands in {k} at", v, ends.stands.get(k)) for k, v in expected.stands.items()]
    lines: list[Line] = []
    for name, wanted, found in pairs:
        if wanted != found:
            lines.append(Line("-", f"{'in the end':<14}{name} {wanted}"))
            lines.append(Line("+", f"{'in the end':<14}{name} {found}"))
    return tuple(lines)


def _aligned(
    wanted: Sequence[tuple[int, Expected]], came: Sequence[Came], everything: Sequence[Came]
) -> Iterable[Line]:
    """The longest common row of both, and what stands between."""
    rows, columns = len(wanted), len(came)
    common = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            if fits(wanted[i][1], came[j]):
                common[i][j] = common[i + 1][j + 1] + 1
            else:
                common[i][j] = max(common[i + 1][j], common[i][j + 1])
    i = j = 0
    while i < rows or j < columns:
        if i < rows and j < columns and fits(wanted[i][1], came[j]):
            yield Line(" ", told_came(came[j]), wanted[i][0])
            i, j = i + 1, j + 1
        elif j == columns or (i < rows and _goes_first(common, wanted, came, i, j)):
            number, missing = wanted[i]
            yield Line("-", told(missing), number, _why(missing, came, everything))
            i += 1
        else:
            yield Line("+", told_came(came[j]))
            j += 1


def _goes_first(
    common: Sequence[Sequence[int]],
    wanted: Sequence[tuple[int, Expected]],
    came: Sequence[Came],
    i: int,
    j: int,
) -> bool:
    """Whether the expected thing is shown before the other: as it loses nothing, or by time."""
    if common[i + 1][j] != common[i][j + 1]:
        return common[i + 1][j] > common[i][j + 1]
    expected, other = wanted[i][1].at, came[j].at
    return (expected.day, expected.time) <= (other.day, other.time)


def fits(expected: Expected, came: Came) -> bool:
    """Whether this is what was expected, as far as that says."""
    kind = kind_of(expected)
    if (kind, expected.at) != (came.kind, came.at) or getattr(expected, kind) != came.what:
        return False
    for name, wanted in facts_of(expected).items():
        if name == "says":
            if not all(text in came.facts["text"] for text in wanted):
                return False
        elif name == "text":
            if wanted.strip() != came.facts["text"].strip():
                return False
        elif wanted != came.facts.get(name):
            return False
    return True


def _why(missing: Expected, came: Iterable[Came], everything: Iterable[Came]) -> str:
    """Why an expected message did not come, or did not say so."""
    if missing.message is None:
        return ""
    for it in came:
        if it.kind == "message" and it.what == missing.message and it.at == missing.at:
            return _worded_otherwise(missing, str(it.facts["text"]))
    for it in everything:
        if it.kind in ("withheld", "put_off") and it.what == missing.message:
            return told_came(it).partition("  ")[2]
    return ""


def _worded_otherwise(missing: Expected, text: str) -> str:
    absent = [repr(it) for it in missing.says if it not in text]
    if absent:
        return f"it does not say {', '.join(absent)}: {text!r}"
    if missing.text is None or missing.text.strip() == text.strip():
        return ""
    before, after = missing.text.strip().splitlines(), text.strip().splitlines()
    lines = [*unified_diff(before, after, "expected", "said", lineterm="", n=1)]
    return "it says something else:\n" + "\n".join(lines[2:])


def told(expected: Expected) -> str:
    """An expected thing, for people."""
    kind = kind_of(expected)
    return _told(expected.at, kind, getattr(expected, kind), facts_of(expected))


def told_came(came: Came) -> str:
    """A thing that came, for people."""
    return _told(came.at, came.kind, came.what, came.facts)


def told_at(at: At) -> str:
    """`day 2 10:00`."""
    return f"day {at.day} {at.time:%H:%M}"


def _told(at: At, kind: str, what: Any, facts: Mapping[str, Any]) -> str:
    because = f": {facts['because']}" if facts.get("because") else ""
    until = f" until {told_at(facts['until'])}" if facts.get("until") else ""
    by = f" by {facts['by']}" if facts.get("by") else ""
    why = f" for {facts['for']}" if facts.get("for") else ""
    said = {
        "message": f"{what}{by}",
        "withheld": f"withheld: {what}{because}",
        "put_off": f"put off: {what}{until}{because}",
        "points": f"{what:+} points{why}" if isinstance(what, int) else "",
        "enters": f"enters {what}",
        "held_out": f"is held out of {what}",
        "finishes": f"finishes {what}",
        "leaves": f"leaves {what}{because}",
        "reaches_goal": f"reaches the goal of {what}",
        "step": f"begins {what}",
    }
    return f"{told_at(at):<14}{said[kind]}"
