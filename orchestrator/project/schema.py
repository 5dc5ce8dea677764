"""JSON Schemas of all that authors write, for editors: from the Structs that the reader reads.

What the reader takes is never red in an editor; what it refuses by its form is. Names of this
project (messages, segments, contact classes …) are offered, not demanded: the message that was
written a moment ago is not among them yet.

It is draft 7, which every version of yaml-language-server and the other editors know. Words beside
it are theirs: `markdownDescription` is shown on hover, `defaultSnippets` are offered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from types import UnionType
from typing import Annotated, Any, Literal, NewType, TypeAlias, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import FieldInfo

from orchestrator.core.contact import ListName
from orchestrator.core.expression import Condition
from orchestrator.core.journey import SegmentName
from orchestrator.core.model import CHANNEL_WORDS
from orchestrator.core.project import PointsProgram
from orchestrator.core.retention import Retention
from orchestrator.core.steps import STEP_TYPES
from orchestrator.core.steps.base import (
    EventName,
    JourneyName,
    Step,
    StepName,
    TemplateName,
    ViaWord,
)
from orchestrator.project.audience import AudienceForm
from orchestrator.project.docstrings import default, label, said_of, text, unwrapped
from orchestrator.project.draft import Draft
from orchestrator.project.forms import (
    AreasForm,
    ClassName,
    ContactForm,
    EventsForm,
    HolidaysForm,
    JourneyForm,
    ProjectForm,
    RewardsForm,
    SegmentsForm,
)
from orchestrator.project.patterns import LOOKS, TEXT
from orchestrator.project.reader import keys
from orchestrator.project.trials.forms import StepPath, TrialFile
from orchestrator.project.vocabulary import Vocabulary, vocabulary

Schema: TypeAlias = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"

FORMS: Mapping[str, type[Struct]] = {
    "journey": JourneyForm,
    "areas": AreasForm,
    "audience": AudienceForm,
    "contact": ContactForm,
    "events": EventsForm,
    "holidays": HolidaysForm,
    "points": PointsProgram,
    "project": ProjectForm,
    "retention": Retention,
    "rewards": RewardsForm,
    "segments": SegmentsForm,
    "tests": TrialFile,
}
"""What each kind of file holds."""

MEANINGS: Mapping[Any, str] = {
    TemplateName: "A message: a file below templates/ without its locale and `.j2`.",
    ViaWord: "A channel, or `chat` for any chat channel. The first that reaches them.",
    EventName: "An event: what was reported of the subscriber, as `order.placed`.",
    JourneyName: "A journey's name.",
    ClassName: "A contact class of program/contact.yaml.",
    StepName: "The `id` of a step of this journey.",
    StepPath: "A step with its journey: `seven-days/quiz`.",
    SegmentName: "A segment of program/segments.yaml.",
    ListName: "A list of numbers, loaded by `outreach list load`.",
    Condition: "A condition, as `usage.mb_7d >= 30`.",
    timedelta: "A duration: `30m`, `24h`, `3d`, `2w` or `1d 12h`.",
    date: "A date: `2026-02-15`.",
    Step: "One step, or several, one after the other.",
}
"""What one value is, where its type has no words of its own."""

_DEFINES = {(JourneyForm, "journey")}
"""Keys that give a thing its name, and do not refer to it."""


def schemas(draft: Draft) -> dict[str, Schema]:
    """The schema of each kind of file, with the names of this project."""
    words = vocabulary(draft)
    return {name: schema(form, words) for name, form in FORMS.items()}


def schema(form: type[Struct], words: Vocabulary) -> Schema:
    """The schema of a file that holds this."""
    walker = Walker(words)
    whole = {"$schema": DIALECT, **walker.struct(form)}
    return {**whole, "definitions": walker.definitions} if walker.definitions else whole


class Walker:
    """Types to schemas. Steps, which hold steps, and the names of the project are `definitions`."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        self.definitions: dict[str, Schema] = {}

    def struct(self, kind: type[Struct]) -> Schema:
        """What is written as keys with values."""
        own = keys(kind)
        return {
            "type": "object",
            "title": kind.word() if issubclass(kind, Step) else label(kind),
            **spoken(unwrapped(text(kind))),
            "properties": {name: self._key(kind, field) for name, field in own.items()},
            "required": [name for name, field in own.items() if field.required],
            "additionalProperties": False,
        }

    def _key(self, kind: type[Struct], field: FieldInfo) -> Schema:
        offered = (kind, field.encode_name) not in _DEFINES
        return {**self.value(field.type, offered), **spoken(self._described(kind, field))}

    def _described(self, kind: type[Struct], field: FieldInfo) -> str:
        """What the key means, what its value means, and what holds without it."""
        is_word = issubclass(kind, Step) and field.encode_name == kind.word()
        if issubclass(kind, Step) and field.encode_name in keys(Step):
            kind = Step
        parts = [unwrapped(text(kind)) if is_word else said_of(kind, field.encode_name)]
        value = _innermost(field.type)
        if value in MEANINGS:
            parts.append(MEANINGS[value])
        elif hasattr(value, "keyed"):
            parts = [unwrapped(text(value))]
        elif value in LOOKS and hasattr(value, "parse"):
            parts.append(unwrapped(text(value)))
        if value is Condition and self._words.conditions:
            names = ", ".join(f"`{name}`" for name in self._words.conditions)
            parts.append(f"Conditions of this project ask about {names}.")
        if without := default(field):
            parts.append(f"If left out: {without}.")
        return "\n\n".join(part for part in parts if part)

    def value(self, kind: Any, offered: bool = True) -> Schema:
        """What may stand for a value of this type."""
        kind = _present(kind)
        if offered and (names := self._words.offered.get(kind)):
            usual = LOOKS[kind].examples if kind in LOOKS else ()
            shown = _offer((*usual, *names))
            self.definitions.setdefault(kind.__name__, self.value(kind, False) | shown)
            return {"$ref": f"#/definitions/{kind.__name__}"}
        if kind is ViaWord:
            return {"enum": [*CHANNEL_WORDS]}
        while isinstance(kind, NewType):
            kind = kind.__supertype__
        origin, arguments = get_origin(kind), get_args(kind)
        if kind is Any:
            return {}
        if kind in LOOKS:
            return _look(kind)
        if origin is Annotated:
            return {"enum": [*arguments[1]]}
        if origin is Literal:
            return {"enum": [*arguments]}
        if origin in SEVERAL:
            one = self.value(arguments[0])
            return {"items": one, "if": {"type": "array"}, "else": one}
        if _is_mapping(kind):
            value = self.value(arguments[1])
            names = self._words.offered.get(arguments[0], ())
            known = {"properties": dict.fromkeys(names, value)} if names else {}
            return {"type": "object", **known, "additionalProperties": value}
        if kind is Step:
            return self._step()
        if kind in _SIMPLE:
            return {"type": _SIMPLE[kind]}
        if hasattr(kind, "keyed"):
            words = kind.keyed
            word = {"enum": [*words]} if isinstance(words, tuple) else self.value(words)
            return {"anyOf": [word, self.struct(kind)]}
        if kind is str or hasattr(kind, "parse"):
            return scalar(TEXT)
        return self.struct(kind)

    def _step(self) -> Schema:
        if "step" not in self.definitions:
            words = sorted(STEP_TYPES, key=lambda word: (word != _FIRST, word))
            each = [{"$ref": f"#/definitions/{word}"} for word in words]
            self.definitions["step"] = {"type": "object", "anyOf": each}
            for word in words:
                self.definitions[word] = self.struct(STEP_TYPES[word])
        return {"$ref": "#/definitions/step"}


_FIRST = "send"
"""The step that an editor thinks is meant if nothing tells."""

SEVERAL = (tuple, list, frozenset)
_SIMPLE = {int: "integer", float: "number", bool: "boolean"}


def scalar(types: Iterable[str]) -> Schema:
    """A scalar of any of these types. Editors offer `true` and `false` wherever they read that a
    boolean may stand; the second branch lets them through unseen."""
    others = [it for it in types if it != "boolean"]
    wanted: Schema = {"type": others if len(others) > 1 else others[0]}
    if "boolean" not in types:
        return wanted
    return {"anyOf": [wanted, {"not": {"type": ["array", "object", "null"]}}]}


def _look(kind: Any) -> Schema:
    look = LOOKS[kind]
    form = scalar(look.types)
    if look.pattern:
        form |= {"pattern": f"^(?:{look.pattern})$", "patternErrorMessage": look.hint}
    return form | _offer(look.examples)


def _offer(names: Iterable[str]) -> Schema:
    return {"defaultSnippets": [{"label": it, "body": it} for it in names]} if names else {}


def spoken(words: str) -> Schema:
    """The same words for editors that show Markdown and for those that do not."""
    if not words:
        return {}
    plain = {"description": words}
    return {**plain, "markdownDescription": words} if "`" in words else plain


def _innermost(kind: Any) -> Any:
    """The type of one value, where there may be several."""
    kind = _present(kind)
    inner = get_args(kind)
    if get_origin(kind) in SEVERAL:
        return _innermost(inner[0])
    return _innermost(inner[1]) if _is_mapping(kind) else kind


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _present(kind: Any) -> Any:
    """The type without its `| None`."""
    if get_origin(kind) in (Union, UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind
