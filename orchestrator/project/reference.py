"""The reference of everything authors write, from the Structs and docstrings that define it.

`python -m orchestrator.project.reference` writes it to docs/reference/journeys.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import FieldInfo

from orchestrator.core import expression, grammar, render
from orchestrator.core.calendar import HolidayPack
from orchestrator.core.contact import ContactClass, ListName
from orchestrator.core.expression import Condition
from orchestrator.core.journey import Entry, Goal, InFlight, LeaveRule, SegmentName, Unless
from orchestrator.core.model import CHANNEL_WORDS
from orchestrator.core.project import EarningRule, PointsProgram, Reward, Tier
from orchestrator.core.retention import Keep, Retention
from orchestrator.core.steps import STEP_TYPES
from orchestrator.core.steps.base import (
    EventName,
    JourneyName,
    Step,
    TemplateName,
    ViaWord,
)
from orchestrator.core.steps.wait import Pause
from orchestrator.project.audience import Arrival, AudienceForm, Habit, People, Prompt, Replies
from orchestrator.project.docstrings import default, label, one_line, text
from orchestrator.project.forms import (
    AreaForm,
    AreasForm,
    ClassName,
    ContactForm,
    EventForm,
    EventsForm,
    HolidaysForm,
    JourneyForm,
    ProjectForm,
    RewardsForm,
    SegmentsForm,
)
from orchestrator.project.reader import keys
from orchestrator.project.rules import RULES
from orchestrator.project.trials.forms import (
    Change,
    Ends,
    Expected,
    Happening,
    Person,
    Trial,
    TrialFile,
)

PATH = Path("docs/reference/journeys.md")

VALUES = (
    *(grammar.At, Pause, grammar.Again, grammar.Schedule),
    *(grammar.Window, grammar.Days, grammar.Pace, grammar.Share, grammar.TagChange, InFlight),
)
"""Values with a grammar of their own."""

_NAMES: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Any: "any value",
    timedelta: "[duration](#duration)",
    Keep: "[duration](#duration) or `forever`",
    date: "date, as `2026-02-15`",
    Condition: "[condition](#conditions)",
    Step: "[step](#steps)",
    TemplateName: "message",
    ViaWord: "channel",
    EventName: "event",
    JourneyName: "journey",
    ClassName: "contact class",
    SegmentName: "segment",
    ListName: "list name",
}

_HEAD = """\
# Reference: journeys and the programme

Everything that may stand in a project's files. This page is generated from the code
(`python -m orchestrator.project.reference`); [authors.md](../authors.md) teaches it.

Keys that are not listed are errors. Where a list is wanted, one value alone will do. Files are YAML
as plain data: no tags, no anchors, no aliases, no key twice; only `true`, `false`, `null` and plain
numbers are anything else than text, so `no`, `0123`, `12:30` and `2026-01-01` stay what they look
like.
"""

_STEPS = """\
Every step has one key that says what it does: the headings below. Each may also have these; the
steps of a journey's first level need an `id`."""

_MESSAGES = """\
One file per message and locale, with a block per channel: `templates/hello/welcome.en.j2` holds the
English words of `hello/welcome`. A subscriber whose locale is `pt-BR` gets `pt-BR`, else `pt`, else
the project's own locale, which every message must have; a file without a locale,
`templates/hello/welcome.j2`, is for everybody else.

A template is told of `subscriber`, `usage`, `points` and `event`, as conditions are, and may say
`link('https://…')`. What is missing cannot be said: the message is withheld, unless
`|default('…')` says what to write instead. There are `{% if %}`, `{% for %}` and `{% set %}`, and
no macros, other files or functions. The work of one rendering is bounded."""


def reference() -> str:
    """The whole page, as Markdown."""
    return "\n".join(line for part in _parts() for line in (part.rstrip(), "")).rstrip() + "\n"


def _parts() -> Iterator[str]:
    yield _HEAD
    yield "## A journey: `journeys/**/*.yaml`"
    yield from _described(JourneyForm, "")
    for kind in (Entry, Unless, Goal, LeaveRule):
        yield from _described(kind)
    yield "## Steps"
    yield f"{_STEPS}\n\n{_table(Step)}"
    for word, step in sorted(STEP_TYPES.items()):
        yield from _step(word, step)
    yield "## Values"
    yield f"### duration\n\n{text(grammar.parse_duration)}"
    for value in VALUES:
        yield f"### {label(value)}\n\n{text(value)}"
    yield f"### channel\n\nOne of: {_words(CHANNEL_WORDS)}. `chat` is any chat channel."
    yield f"## Conditions\n\n{text(expression)}"
    yield from _messages()
    yield "## The programme: `journeys/program/*.yaml`"
    yield from _program()
    yield "## Tests: `journeys/**/*.test.yaml`"
    yield from _described(TrialFile, "")
    for part in (Person, Trial, Happening, Change, Expected, Ends):
        yield from _described(part)
    yield from _rules()


def _step(word: str, kind: type[Step]) -> Iterator[str]:
    own = [field for name, field in keys(kind).items() if name not in keys(Step)]
    yield f"### {word}\n\n{text(kind)}\n\n{_rows(own)}"
    seen: list[type[Struct]] = []
    for field in own:
        for inner in _inner(field.type):
            if inner not in seen:
                seen.append(inner)
                yield from _described(inner, "####", f"{word}: {label(inner)}")


def _messages() -> Iterator[str]:
    yield f"## Messages: `templates/**/*.j2`\n\n{_MESSAGES}"
    yield f"The blocks are {_words(render.BLOCKS)}."
    filters = sorted(render.FILTERS.items())
    rows = [f"| `{name}` | {one_line(text(made))} |" for name, made in filters]
    yield "\n".join(["| filter | the value… |", "|---|---|", *rows])


def _program() -> Iterator[str]:
    forms: tuple[type[Struct], ...] = (
        *(ProjectForm, ContactForm, HolidaysForm, PointsProgram, RewardsForm, SegmentsForm),
        *(EventsForm, AreasForm, Retention, AudienceForm),
    )
    for form in forms:
        file = form.__name__.removesuffix("Form").removesuffix("Program").lower()
        yield f"### {file}.yaml\n\n{text(form)}\n\n{_table(form)}"
        inner: dict[Any, tuple[type[Struct], ...]] = {
            AreasForm: (AreaForm,),
            EventsForm: (EventForm,),
            AudienceForm: (Arrival, People, Habit, Prompt, Replies),
            ContactForm: (ContactClass,),
            HolidaysForm: (HolidayPack,),
            PointsProgram: (EarningRule, Tier),
        }
        for kind in inner.get(form, ()):
            yield from _described(kind, "####")
        if form is RewardsForm:
            yield from _described(Reward, "####")


def _rules() -> Iterator[str]:
    yield "## What `validate` finds"
    rows = []
    for name, rule in sorted(RULES.items()):
        said = re.sub(r"\{\w+(!r)?\}", "…", rule.message())
        _, _, more = text(rule).partition("\n\n")
        rows.append(f"| `{name}` | {rule.severity} | {said} | {one_line(more)} |")
    yield "\n".join(["| rule | | says | |", "|---|---|---|---|", *rows])


def _described(kind: type[Struct], level: str = "###", named: str = "") -> Iterator[str]:
    head = f"{level} {named or label(kind)}" if level else ""
    yield "\n\n".join(part for part in (head, text(kind), _table(kind)) if part)


def _table(kind: type[Struct]) -> str:
    return _rows(keys(kind).values())


def _rows(entries: Iterable[FieldInfo]) -> str:
    rows = [
        f"| `{field.encode_name}` | {form(field.type)} | {_default(field)} |" for field in entries
    ]
    return "\n".join(["| key | value | if left out |", "|---|---|---|", *rows])


def form(kind: Any) -> str:
    """What may be written for this type."""
    if get_origin(kind) in (Union, UnionType):
        return form(next(part for part in get_args(kind) if part is not type(None)))
    if kind in _NAMES:
        return _NAMES[kind]
    if isinstance(kind, NewType):
        return form(kind.__supertype__)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(arguments[1])
    if origin is Literal:
        return _words(arguments)
    if origin in (tuple, list, frozenset):
        return f"list of {form(arguments[0])}"
    if origin is not None:
        return f"names with {form(arguments[1])}"
    if kind in VALUES:
        return f"[{label(kind)}](#{label(kind).replace(' ', '-')})"
    return f"keys of *{label(kind)}*"


def _default(field: FieldInfo) -> str:
    return "**needed**" if field.required else default(field)


def _inner(kind: Any) -> Iterator[type[Struct]]:
    """The Structs without a grammar of their own that are written within this type."""
    for part in get_args(kind) or (kind,):
        if get_args(part):
            yield from _inner(part)
        elif _has_keys(part):
            yield part
            for field in keys(part).values():
                yield from _inner(field.type)


def _has_keys(kind: Any) -> bool:
    """Whether it is written as keys with values, and described where it is used."""
    is_struct = isinstance(kind, type) and issubclass(kind, Struct)
    return is_struct and kind is not Step and not hasattr(kind, "parse")


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    PATH.write_text(reference())
