"""YAML as plain data: what things look like is what they are, and nothing unbounded gets in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.project.findings import ProjectErrors
from orchestrator.project.yaml import MAX_NODES, parse, plain_value


def value(text: str) -> object:
    node = parse("file.yaml", text)
    return None if node is None else plain_value(node)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "0123",
        "12:30",
        "2026-01-01",
        "1e5",
        "0x1f",
        "1_000",
        "~",
        "True",
        ".5",
        "+1",
        "nan",
        ".inf",
        "=",
        "<<",
        "12345678901234567890",
        "1.2.3",
        "5%",
    ],
)
def test_a_word_stays_what_it_looks_like(text: str) -> None:
    assert value(f"key: {text}") == {"key": text}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("1.50", 1.5),
        ("-0.25", -0.25),
    ],
)
def test_plain_numbers_truths_and_nothing_are_the_only_other_values(
    text: str, meant: object
) -> None:
    found = value(f"key: {text}")
    assert found == {"key": meant}
    assert type(found["key"]) is type(meant)  # type: ignore[index]


@pytest.mark.parametrize("text", ["'12'", '"true"', "'null'", '""', "|-\n  12", ">-\n  12"])
def test_what_is_quoted_or_in_a_block_is_text(text: str) -> None:
    assert isinstance(value(f"key: {text}")["key"], str)  # type: ignore[index]


def test_keys_are_words_whatever_they_look_like() -> None:
    assert value("on: 1\nno: 2\n3: 4\nnull: 5") == {"on": 1, "no": 2, "3": 4, "null": 5}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "--- # nothing\n...\n"])
def test_a_file_without_anything_is_nothing(text: str) -> None:
    assert parse("file.yaml", text) is None


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: &x 1", "1:4"),
        ("a: 1\nb: *x", "2:4"),
        ("a: !!str 1", "1:4"),
        ("a: !ruby/object {}", "1:4"),
        ("a: {b: 1,\n b: 2}", "2:2"),
        ("[a]: 1", "1:1"),
        ("a: 1\n---\nb: 2", "2:1"),
        ("a:\n\t- b", "2:1"),
        ("a: 'b\n\nc: d\n", "1:4"),
        ("a: b\n\0: c", "2:1"),
        ("a: b\n é\x07", "2:3"),
        ("é: {: ]", "1:5"),
        ("a: \ud800", "1:4"),
        ("[" * 5000, "1:41"),
        ("- " * 5000, "1:81"),
        ("%YAML 3.0\n---\na: 1", "1:1"),
    ],
    ids=repr,
)
def test_what_is_refused_is_named_by_line_and_column(text: str, where: str) -> None:
    with pytest.raises(ProjectErrors) as caught:
        parse("file.yaml", text)
    (found,) = caught.value.findings
    assert f"{found.mark.line}:{found.mark.column}" == where
    assert str(found).startswith(f"file.yaml:{where}: error: ")
    assert found.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a: 1\n b: 2", "2:2: error: this line is indented by 1, "),
        ("a:\n  b: 1\n c: 2", "3:2: error: this line is indented by 1, "),
        ("a:\n  - b: 1\n - c: 2", "3:2: error: this line is indented by 1, "),
        ("a:\n  - b: 1\n  -c: 2", "3:3: error: this item of a list has no space after its dash"),
        ("a: 1\nb:2\nc: 3", "2:1: error: this key has no space after its colon"),
        ("a:1\nb: 2", "1:1: error: this key has no space after its colon"),
        ("a: b: c", "1:5: error: there cannot be a colon here"),
        (
            "- if: 'a' in b.c  # or",
            "1:7: error: a text goes on after its quote (quote all of it: \"'a' in b.c\")",
        ),
        (
            'a: 1\nb: "x" == d.e',
            "2:4: error: a text goes on after its quote (quote all of it: '\"x\" == d.e')",
        ),
        (
            "- {on: x, if: 'a' in b}",
            "1:15: error: a text goes on after its quote (quote all of it: \"'a' …\")",
        ),
        ("a: 1\n  b: 2", "2:4: error: there cannot be a colon here"),
    ],
    ids=repr,
)
def test_what_is_askew_is_said_as_an_author_sees_it(text: str, said: str) -> None:
    with pytest.raises(ProjectErrors) as caught:
        parse("file.yaml", text)
    assert str(caught.value).startswith(f"file.yaml:{said}")


def test_a_file_with_too_many_values_is_refused() -> None:
    with pytest.raises(ProjectErrors, match="more than"):
        parse("file.yaml", "- a\n" * (MAX_NODES + 1))


def test_nodes_know_where_they_stand() -> None:
    node = parse("file.yaml", "a:\n  - b: 'c'\n")
    assert "line=2, column=5" in str(node)
    assert "line=2, column=8" in str(node)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}'\"\n\t &*!|>#?%,0.\0é")))
def test_any_text_is_data_or_a_finding_with_its_place(text: str) -> None:
    try:
        value(text)
    except ProjectErrors as errors:
        for found in errors.findings:
            assert 1 <= found.mark.line <= text.count("\n") + 2
            assert found.mark.column >= 1
