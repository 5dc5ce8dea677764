"""Every mistake in `bad/` is found, where its file says, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.project import source
from orchestrator.project.load import check
from orchestrator.project.rules import RULES

BAD = sorted((Path(__file__).parent / "bad").iterdir())
STARTER = Path(source.__file__).parent / "starter"
CONTACT = "journeys/program/contact.yaml"
GOOD = source.read_folder(STARTER)
GOOD[CONTACT] = GOOD[CONTACT].replace("purpose: service", "purpose: marketing")
GOOD[CONTACT] += "\nsenders: [STOP, Hello]\n"
"""The starter, under the stricter rules of marketing; its senders have odd names."""


def expected(text: str) -> list[tuple[str, int]]:
    found = re.findall(r"^(?:#|\{#) expect: (\S+) (\d+)", text, re.MULTILINE)
    return sorted((rule, int(line)) for rule, line in found)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_mistake_is_found_where_it_stands(path: Path) -> None:
    text = path.read_text()
    named = re.match(r"(?:#|\{#) file: (\S+)", text)
    name = named[1] if named else "journeys/bad.yaml"
    project, findings = check({**GOOD, name: text})
    here = [found for found in findings if found.mark.file == name]
    assert sorted((found.rule, found.mark.line) for found in here) == expected(text)
    assert expected(text)
    assert (project is None) == any(found.severity == "error" for found in findings)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_a_bad_file_and_a_message(rule: type) -> None:
    assert rule.__doc__
    tried = {name for path in BAD for name, _ in expected(path.read_text())}
    assert rule.name() in tried


def test_without_the_mistakes_there_is_no_finding() -> None:
    project, findings = check(GOOD)
    assert findings == ()
    assert project is not None
