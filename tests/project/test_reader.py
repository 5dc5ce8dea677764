"""A Struct's fields are the keys; whatever type a field has, it is read or refused with a place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

import pytest
from msgspec import Struct, field

from orchestrator.core.grammar import At, WeekdayNumber, parse_time
from orchestrator.core.steps import STEP_TYPES
from orchestrator.core.steps.base import Block
from orchestrator.core.steps.send import Send
from orchestrator.project.reader import Reader, keys
from orchestrator.project.yaml import parse


class Inner(Struct, frozen=True):
    number: int


class Form(Struct, frozen=True, kw_only=True):
    text: str = ""
    number: int = 0
    share: float = 0.0
    truth: bool = False
    anything: Any = None
    words: tuple[str, ...] = ()
    days: frozenset[WeekdayNumber] = frozenset()
    counts: Mapping[str, int] = {}
    one_of: Literal["a", "b"] = "a"
    maybe: int | None = None
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    span: timedelta = timedelta()
    when: At | None = None
    steps: Block = ()
    if_: str = field(default="", name="if")


def read(text: str) -> tuple[Form | None, list[str]]:
    node = parse("f.yaml", text)
    assert node is not None
    reader = Reader()
    value = reader.read(node, Form)
    return value, [str(found) for found in reader.findings]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("text: 0123", "text", "0123"),
        ("text: true", "text", "true"),
        ("number: 12", "number", 12),
        ("share: 2", "share", 2.0),
        ("truth: true", "truth", True),
        ("anything: {a: [1, null, x]}", "anything", {"a": [1, None, "x"]}),
        ("words: [1, yes, 'no']", "words", ("1", "yes", "no")),
        ("words: sms", "words", ("sms",)),
        ("days: [sunday, monday]", "days", frozenset({6, 0})),
        ("counts: {a: 1}", "counts", {"a": 1}),
        ("one_of: b", "one_of", "b"),
        ("maybe: 3", "maybe", 3),
        ("inner: {number: 1}", "inner", Inner(1)),
        ("inners: {number: 1}", "inners", (Inner(1),)),
        ("span: 1d 12h", "span", timedelta(days=1.5)),
        ("when: day 2 9:30", "when", At(2, parse_time("9:30"))),
        ("if: x", "if_", "x"),
    ],
)
def test_a_value_is_read_as_its_field_says(text: str, name: str, value: object) -> None:
    form, wrong = read(text)
    assert wrong == []
    assert getattr(form, name) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("number: '12'", "f.yaml:1:9: error: expected a whole number, found the quoted text '12'"),
        ("number: true", "1:9: error: expected a whole number, found 'true'"),
        ("truth: yes", "1:8: error: expected true or false, found 'yes'"),
        ("text: [a]", "1:7: error: expected a text, found a list"),
        ("words: [a, {b: c}]", "1:12: error: expected a text, found keys with values"),
        ("days: [mondey]", "did you mean 'monday'?"),
        ("counts: [a]", "1:9: error: expected keys with values, found a list"),
        ("counts: {a: b}", "1:13: error: expected a whole number, found 'b'"),
        ("one_of: c", "'c' cannot stand here (write a or b)"),
        ("inner: {}", "1:8: error: `number` is missing"),
        ("maybe:", "1:7: error: nothing is written here"),
        ("text: null", "nothing is written here"),
        ("span: 3", "write a number and a unit"),
        ("when: noon", "1:7: error: 'noon' is not a day and a time"),
        ("when: [noon]", "1:7: error: expected a text, found a list"),
        ("steps: [{send: a, wait: 1d}]", "1:19: error: one step cannot be `send` and `wait`"),
        ("steps: [{via: sms}]", "1:9: error: this step does not say what it does"),
        ("inner: {numbr: 1, number: 2}", "1:9: error: unknown key 'numbr' (did you mean"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place_and_what_would(text: str, said: str) -> None:
    form, wrong = read(text)
    assert form is None
    assert len(wrong) == 1
    assert said in wrong[0]


def test_a_key_that_is_a_slip_of_another_is_one_mistake_and_read_as_that_one() -> None:
    form, wrong = read("inner: {numbr: 1}\nsteps: [{sned: a}]")
    assert form is not None
    assert (form.inner, form.steps) == (Inner(1), (Send(send="a"),))
    assert [it.partition(" ")[2] for it in wrong] == [
        "error: unknown key 'numbr' (did you mean 'number'?) [form]",
        "error: there is no step 'sned' (did you mean 'send'?) [form]",
    ]


def test_a_step_is_known_by_its_word_wherever_it_stands() -> None:
    form, wrong = read("steps: [{via: sms, id: one, send: hello}]")
    assert wrong == []
    assert form is not None
    assert form.steps == (Send(id="one", send="hello", via=("sms",)),)


@pytest.mark.parametrize("word", STEP_TYPES)
def test_every_step_type_takes_its_own_word_an_id_and_a_time(word: str) -> None:
    assert {word, "id", "at"} <= keys(STEP_TYPES[word]).keys()
