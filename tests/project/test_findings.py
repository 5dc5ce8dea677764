"""Every mistake in `bad/` is found, where its file says, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.project import source
from orchestrator.project.load import check
from orchestrator.project.rules import RULES
from orchestrator.project.rules.base import Rule

BAD = sorted((Path(__file__).parent / "bad").iterdir())
STARTER = Path(source.__file__).parent / "starter"
CONTACT = "journeys/program/contact.yaml"
GOOD = source.read_folder(STARTER)
GOOD[CONTACT] = GOOD[CONTACT].replace("purpose: service", "purpose: marketing")
GOOD[CONTACT] += "\nsenders: [STOP, Hello]\n"
"""The starter, under the stricter rules of marketing; its senders have odd names."""


def texts(path: Path) -> dict[str, str]:
    """The project's files that a bad file, or a folder of them, stands for, by path."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    named = {}
    for text in (file.read_text() for file in files):
        said = re.match(r"(?:#|\{#) file: (\S+)", text)
        named[said[1] if said else "journeys/bad.yaml"] = text
    return named


def expected(path: Path) -> list[tuple[str, str, int]]:
    return sorted(
        (rule, name, int(line))
        for name, text in texts(path).items()
        for rule, line in re.findall(r"^(?:#|\{#) expect: (\S+) (\d+)", text, re.MULTILINE)
    )


def bot(reply: str) -> str | None:
    return "points" if reply == "points" else None


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_mistake_is_found_where_it_stands(path: Path) -> None:
    files = texts(path)
    project, findings = check({**GOOD, **files}, bot)
    here = [found for found in findings if found.mark.file in files]
    assert sorted((it.rule, it.mark.file, it.mark.line) for it in here) == expected(path)
    assert expected(path)
    assert (project is None) == any(found.severity == "error" for found in findings)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_a_bad_file_and_a_message(rule: type[Rule]) -> None:
    assert rule.__doc__
    tried = {name for path in BAD for name, _, _ in expected(path)}
    assert rule.name() in tried


@pytest.mark.parametrize(
    ("words", "says_how"),
    [
        ("回复TD取消", True),
        ("不想收到请回STOP", True),
        ("Stoppen mit STOP.", True),
        ("To unsubscribe: /stop", True),
        ("Nonstop music at the DTD", False),
        ("Hello{# reply STOP #}", False),
    ],
)
def test_how_to_stop_it_is_found_in_any_script_but_not_in_comments(
    words: str, says_how: bool
) -> None:
    path = "templates/hello/question.en.j2"
    text = f"{{% block sms %}}Hello {words}{{% endblock %}}"
    _, findings = check({**GOOD, path: text + GOOD[path].partition("\n\n")[2]})
    assert ("no-refusal" not in [it.rule for it in findings]) == says_how


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Grüße", "grusse"),
        ("Été à Paris", "ete-a-paris"),
        ("first_app", "first-app"),
        ("夏天", "first-app"),
    ],
)
def test_a_name_is_offered_in_letters_that_it_may_have(name: str, meant: str) -> None:
    text = GOOD["journeys/hello.yaml"].replace("journey: hello", f"journey: {name}")
    _, findings = check({**GOOD, "journeys/hello.yaml": text})
    (found,) = (it for it in findings if it.rule == "bad-name")
    assert found.hint == f"write small letters, digits and hyphens: {meant}"


PARTS = (None, "in_list('vip')", "in_area('here', event.cell)", "event.cell == 'c1'")


@pytest.mark.parametrize("condition", PARTS)
def test_what_is_emitted_may_be_a_goal_or_lead_back_whatever_lists_and_areas_are(
    condition: str | None,
) -> None:
    asked = f', if: "{condition}"' if condition else ""
    text = f"""
journey: round
class: friendly
again: always
enter: [{{on: order.placed}}, {{on: order.again{asked}}}]
goal: {{on: order.again{asked}}}
steps: [{{id: one, emit: order.again, with: {{cell: c1}}}}]
"""
    named = {
        "journeys/program/areas.yaml": "areas: {here: {cells: [c1]}}\n",
        "journeys/program/events.yaml": "events: {order.again: {summary: It is ordered again.}}\n",
    }
    _, findings = check({**GOOD, **named, "journeys/round.yaml": text})
    assert [it.rule for it in findings if it.severity == "error"] == ["endless-loop"]


def test_a_trigger_does_not_hear_what_is_emitted_and_so_leads_nowhere() -> None:
    text = """
journey: round
class: friendly
again: always
enter: [{on: order.again, after: 5m}]
steps: [{id: one, emit: order.again}]
"""
    named = "events: {order.again: {summary: It is ordered again.}}\n"
    files = {"journeys/program/events.yaml": named, "journeys/round.yaml": text}
    assert "endless-loop" not in {it.rule for it in check({**GOOD, **files})[1]}


def test_without_the_mistakes_there_is_no_finding() -> None:
    project, findings = check(GOOD)
    assert findings == ()
    assert project is not None
