"""What an editor is told of the YAML: as much as the reader takes, and what else it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NewType, get_args

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from orchestrator.core.errors import GrammarError
from orchestrator.core.model import CHANNEL_WORDS
from orchestrator.core.steps import STEP_TYPES
from orchestrator.core.steps.base import Step
from orchestrator.project import editor, shipped, source, yaml
from orchestrator.project.draft import Draft
from orchestrator.project.load import PROGRAM_FILES, read
from orchestrator.project.patterns import LOOKS, Look
from orchestrator.project.reader import Reader, keys
from orchestrator.project.schema import FORMS, schema, schemas
from orchestrator.project.vocabulary import vocabulary
from orchestrator.project.yaml import Listing, Node, Scalar, Table
from tests.project.core_yaml import core

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
STARTER = shipped.starter()
PROGRAMME = shipped.programme()
TESTS = source.read_tests(shipped.programme_folder())
WRITTEN = {
    **{f"starter: {path}": text for path, text in STARTER.items() if path.endswith(".yaml")},
    **{f"starter: {path}": text for path, text in shipped.starter_tests().items()},
    **{f"programme: {path}": text for path, text in PROGRAMME.items() if path.endswith(".yaml")},
    **{f"programme: {path}": text for path, text in TESTS.items()},
}
"""Every YAML file that comes with us."""

BEYOND_A_SCHEMA: dict[str, str] = {"form-state-mixed.yaml": "what conditions ask together"}
"""Files whose only mistake of form is one that no schema sees, and which."""


@cache
def programme() -> Draft:
    """The shipped programme, read once."""
    return read(PROGRAMME)


@cache
def validator(name: str) -> Any:
    """What holds a document against the schema of its kind, in the programme."""
    return jsonschema_rs.Draft7Validator(schemas(programme())[name])


def wrong(name: str, text: str) -> list[str]:
    """What an editor underlines."""
    return [f"{it.instance_path}: {it.message}" for it in validator(name).iter_errors(core(text))]


@pytest.mark.parametrize("path", WRITTEN)
def test_nothing_that_comes_with_us_is_red(path: str) -> None:
    name = editor.schema_name(path.partition(": ")[2])
    assert name is not None
    assert wrong(name, WRITTEN[path]) == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_what_the_reader_refuses_by_its_form_is_red(path: Path) -> None:
    text = path.read_text()
    named = re.match(r"# file: (\S+)", text)
    name = editor.schema_name(named[1] if named else "journeys/bad.yaml")
    rules = set(re.findall(r"^# expect: (\S+)", text, re.MULTILINE))
    if "form" in rules:
        assert name is not None
        assert bool(wrong(name, text)) == (path.name not in BEYOND_A_SCHEMA)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_what_only_a_rule_refuses_is_left_to_validate(path: Path) -> None:
    text = path.read_text()
    named = re.match(r"# file: (\S+)", text)
    name = editor.schema_name(named[1] if named else "journeys/bad.yaml")
    rules = set(re.findall(r"^# expect: (\S+)", text, re.MULTILINE))
    if not rules & {"form", "yaml", "file"} and name is not None:
        assert bool(wrong(name, text)) == (rules == {"unknown-channel"})


@pytest.mark.parametrize("name", FORMS)
def test_a_schema_is_a_schema(name: str) -> None:
    jsonschema_rs.meta.validate(schemas(Draft({}))[name])


def test_every_kind_of_file_has_its_schema() -> None:
    assert set(FORMS) == {"journey", "tests", *PROGRAM_FILES}


def described(part: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each key anywhere in a schema, and what is said of it."""
    if isinstance(part, list):
        for inner in part:
            yield from described(inner, path)
    elif isinstance(part, dict):
        for key, value in part.get("properties", {}).items():
            yield f"{path}.{key}", value.get("description", "")
            yield from described(value, f"{path}.{key}")
        for key, inner in part.items():
            if key == "properties":
                continue
            yield from described(inner, path if key in ("items", "anyOf") else f"{path}.{key}")


@pytest.mark.parametrize("name", FORMS)
def test_every_key_is_explained(name: str) -> None:
    said = dict(described(schema(FORMS[name], vocabulary(Draft({})))))
    assert said
    assert [key for key, words in said.items() if not words] == []


def kinds(kind: Any, seen: set[Any]) -> set[Any]:
    """Every type within a type."""
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if kind in seen:
        return seen
    seen.add(kind)
    inner = [*get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Step) and kind is Step:
        inner += STEP_TYPES.values()
    elif isinstance(kind, type) and issubclass(kind, Struct):
        inner += [field.type for field in keys(kind).values()]
    for part in inner:
        kinds(part, seen)
    return seen


def test_every_value_with_a_grammar_of_its_own_has_a_look() -> None:
    found: set[Any] = set()
    for form in FORMS.values():
        kinds(form, found)
    parsed = {it for it in found if hasattr(it, "parse") or it in (date, timedelta)}
    assert {it for it in parsed if not hasattr(it, "keyed")} == set(LOOKS)


BEYOND_A_PATTERN = (
    "never opens|no row of days|is not a date|longer than 100 years|is not a share"
    "|not a day and a time|not a pace|tag|is not a price"
)
"""What a value's parser may still say of what looks right."""


@st.composite
def like(draw: st.DrawFn, example: str) -> str:
    """Something like the example: other digits, other spaces, a character more or less."""
    text = re.sub(r"\d", lambda _: draw(st.sampled_from("0123456789")), example)
    text = re.sub(r" +", lambda _: draw(st.sampled_from([" ", "  ", "\t"])), text)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(["", " ", "1", "d", "-", "x"])) + text[at + 1 :]
    return text


def refused(look: Look, text: str) -> str:
    """What the value's parser says of the text; '' if it takes it."""
    try:
        look.parse(text)
    except GrammarError as error:
        return error.message
    return ""


@pytest.mark.parametrize("kind", LOOKS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_pattern_lets_through_what_the_parser_takes(kind: Any, data: st.DataObject) -> None:
    look = LOOKS[kind]
    example = data.draw(st.sampled_from(look.examples or ("+vip", "-vip-2")))
    text = data.draw(like(example))
    fits = re.fullmatch(look.pattern, text) is not None if look.pattern else True
    refusal = refused(look, text)
    assert fits or refusal, "the parser takes it"
    if fits and look.pattern:
        assert re.search(f"^$|{BEYOND_A_PATTERN}", refusal)


def scalars(node: Node | None) -> Iterator[Scalar]:
    """Every value that is written plainly on one line."""
    match node:
        case Scalar(plain=True) if node.first is not None:
            yield node
        case Listing():
            for item in node.items:
                yield from scalars(item)
        case Table():
            for _, value in node.pairs:
                yield from scalars(value)


WORDS = (
    *("1", "0", "-5", "20", "0.05", "5%", "1e3", "0123", "12:30", "3d", "1d 12h", "2026-02-15"),
    *("true", "false", "no", "yes", "on", "~", "'1'", "'no'", "sms", "day 2 10:00", "200/s"),
    *("09:00-20:00", "[sms, chat]", "[]", "{}", "[1, true, no]", "{a: b}", "never", "+20", "-tag"),
)
"""What may come to stand anywhere but for a channel's name."""

FULL = {path: text for path, text in WRITTEN.items() if [*scalars(yaml.parse(path, text))]}


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_what_the_reader_takes_is_never_red(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(FULL)))
    text, name = FULL[path], editor.schema_name(path.partition(": ")[2])
    assert name is not None
    whole = yaml.parse(path, text)
    assert whole is not None
    place = data.draw(st.sampled_from([*scalars(whole)]))
    assert place.first is not None
    lines = text.split("\n")
    line, column = lines[place.first.line - 1], place.first.column - 1
    word = data.draw(st.sampled_from(CHANNEL_WORDS if place.text in CHANNEL_WORDS else WORDS))
    lines[place.first.line - 1] = line[:column] + word + line[column + len(place.text) :]
    changed = "\n".join(lines)
    reader = Reader()
    node = yaml.parse(path, changed)
    if node is not None and reader.read(node, FORMS[name]) is not None and word != "~":
        assert wrong(name, changed) == [], f"{word} at {place.first}"


def offered(name: str, draft: Draft, definition: str) -> list[str]:
    part = schemas(draft)[name]["definitions"].get(definition, {})
    return [it["label"] for it in part.get("defaultSnippets", ())]


def test_the_names_of_the_project_are_offered() -> None:
    draft = programme()
    assert "seven-days/entrance" in offered("journey", draft, "TemplateName")
    classes = offered("journey", draft, "ClassName")
    assert {"account", "answer", "care", "lifecycle", "moment", "onboarding"} <= {*classes}
    assert "zero-use" in offered("journey", draft, "SegmentName")
    assert "lifecycle-month-1" in offered("journey", draft, "JourneyName")
    assert {"data.used", "onboarding.finished", "link.clicked"} <= {
        *offered("journey", draft, "EventName")
    }
    assert "+needs-help" in offered("journey", draft, "TagChange")
    assert {"quiz", "leave"} <= {*offered("journey", draft, "StepName")}
    assert "seven-days/quiz" in offered("tests", draft, "StepPath")


def test_a_name_that_is_not_there_yet_is_not_red() -> None:
    text = "journey: new\nclass: later\nsteps: [{id: a, send: not/yet-written}]"
    assert wrong("journey", text) == []


def test_a_channel_that_does_not_exist_is_red() -> None:
    text = "journey: new\nclass: care\nsteps: [{id: a, send: a/b, via: [%s]}]"
    assert [word for word in CHANNEL_WORDS if wrong("journey", text % word)] == []
    assert wrong("journey", text % "smss")


def test_conditions_are_told_what_the_project_knows() -> None:
    [said] = [
        words
        for key, words in described(schemas(programme())["journey"])
        if key.endswith("goal.if") or key == ".properties.goal.if"
    ]
    assert "`subscriber.network`" in said
    assert "`usage.mb_7d`" in said


def test_a_project_with_errors_is_known_as_far_as_it_can_be_read() -> None:
    files = {
        **STARTER,
        "journeys/broken.yaml": "journey: broken\nsteps: [",
        "journeys/program/points.yaml": "earn: what?",
        "templates/hello/broken.en.j2": "{% block sms %}{{ never closed",
    }
    draft = read(files)
    assert draft.findings
    assert {"hello/welcome", "hello/broken"} <= {*offered("journey", draft, "TemplateName")}


def test_a_name_is_not_offered_where_it_is_given() -> None:
    assert "$ref" not in str(schemas(programme())["journey"]["properties"]["journey"])


def test_conditions_offer_the_areas_and_lists_of_the_project() -> None:
    files = {
        "journeys/program/areas.yaml": "areas: {airport: {cells: [a]}}",
        "journeys/hello.yaml": "journey: hello\nclass: x\nenter: [{on: a.b, if: in_list('vips')}]\n"
        "steps: [{id: one, wait: 1d}]",
    }
    offered = schemas(read(files))["journey"]["definitions"]["Condition"]["defaultSnippets"]
    labels = [it["label"] for it in offered]
    assert labels[-2:] == ["in_area('airport', event.cell)", "in_list('vips')"]
    assert "usage.mb_7d >= 30" in labels


def test_the_events_of_the_feed_are_offered_to_triggers() -> None:
    files = {"journeys/program/events.yaml": "events: {phone.off: {keep: matching}}"}
    definitions = schemas(read(files))["journey"]["definitions"]
    assert "phone.off" in [it["label"] for it in definitions["EventName"]["defaultSnippets"]]
