"""The documents say what is so: generated ones are in step, and every example works."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.core.render import compile_message
from orchestrator.project import shipped
from orchestrator.project.forms import JourneyForm
from orchestrator.project.load import check
from orchestrator.project.reader import keys
from orchestrator.project.reference import PATH, reference
from orchestrator.project.rules import RULES

ROOT = Path(__file__).parent.parent
AUTHORS = (ROOT / "docs/authors.md").read_text()
STARTER = shipped.starter()

PROGRAMME = {
    "areas": "areas",
    "events": "events",
    "classes": "contact",
    "earn": "points",
    "locales": "audience",
    "holidays": "holidays",
    "rewards": "rewards",
    "segments": "segments",
}
"""Which programme file an example is of, by its first key."""

HEAD = {"journey": "example", "class": "friendly", "enter": {"on": "subscriber.activated"}}
"""What an example of steps stands below."""

CELLS = "cell,lon,lat\na17,116.30,39.99\na18,116.31,39.99\nb03,116.34,40.00\nt2,116.60,40.08\n"
"""The table of cells that an example names."""


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", AUTHORS, re.MULTILINE | re.DOTALL)


def as_file(example: str) -> tuple[str, str]:
    """The path and text that make a whole file of an example."""
    example = dedent(example)
    first = re.match(r"(- )?(\w+):", example)
    assert first is not None, example
    if first[2] in PROGRAMME:
        return f"journeys/program/{PROGRAMME[first[2]]}.yaml", example
    if first[2] == "enter":
        rest = {**HEAD, "steps": [{"id": "one", "wait": "1d"}]}
        lines = [f"{key}: {json.dumps(value)}" for key, value in rest.items() if key != "enter"]
        return "journeys/example.yaml", "\n".join([*lines, example])
    if not first[1]:
        return "journeys/example.yaml", example
    lines = [f"{key}: {json.dumps(value)}" for key, value in HEAD.items()]
    return "journeys/example.yaml", "\n".join([*lines, "steps:", example])


@pytest.mark.parametrize("example", examples("yaml"))
def test_an_example_for_authors_is_right(example: str) -> None:
    path, text = as_file(example)
    files = {**STARTER, path: text}
    if "in_area" in text:
        files |= dict(
            as_file(it) for it in examples("yaml") if it.startswith(("areas:", "events:"))
        )
    if any("cells: cells.csv" in it for it in files.values()):
        files["journeys/program/cells.csv"] = CELLS
    project, findings = check(files)
    assert [str(found) for found in findings] == []
    assert project is not None


@pytest.mark.parametrize("example", examples("jinja"))
def test_a_message_for_authors_is_right(example: str) -> None:
    compile_message("example", {"en": example}, "en")


def test_authors_are_told_of_everything_the_bot_says() -> None:
    for path in STARTER:
        if said := re.fullmatch(r"templates/bot/(.*)\.en\.j2", path):
            assert f"`{said[1]}`" in AUTHORS, said[1]


def test_authors_are_taught_every_key_of_a_journey() -> None:
    for key in keys(JourneyForm):
        assert f"`{key}`" in AUTHORS or f"{key}:" in AUTHORS, key


def test_the_reference_is_in_step_with_the_code() -> None:
    written = (ROOT / PATH).read_text()
    assert written == reference(), "run: python -m orchestrator.project.reference"


def test_the_reference_links_to_what_it_has() -> None:
    page = reference()
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors


def test_the_reference_names_every_rule() -> None:
    page = reference()
    assert all(f"| `{name}` |" in page for name in RULES)
