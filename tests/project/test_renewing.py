"""`outreach test --update` changes what is expected, and not an octet more."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import router
from orchestrator.core.project import Project
from orchestrator.project import shipped
from orchestrator.project.findings import ProjectErrors
from orchestrator.project.load import load
from orchestrator.project.trials.read import read
from orchestrator.project.trials.run import Result, run
from orchestrator.project.trials.update import Renewed, renewed
from tests.project.test_trials import HELLO

FILE = "journeys/a.test.yaml"
PEOPLE = "people:\n  ann: {addresses: {sms: '+447700900001'}, attributes: {name: Ann}}\n"
HAPPENS = "    happens: [{at: day 1 09:00, event: subscriber.activated}]\n"
OLD = "      - {at: day 9 09:00, message: hello/welcome}\n"
NEW = "      - {at: day 1 09:00, message: hello/welcome, by: sms}\n"
BLOCK = "  - test: |\n      a\n       b\n\n      c\n    who: ann\n    until: day 2 00:00\n"
IT = "  - test: it\n    who: ann\n    until: day 2 00:00\n"


@pytest.fixture(scope="module")
def starter() -> Project:
    return load(shipped.starter())


def lived(project: Project, text: str) -> list[Result]:
    return [*run(read({FILE: text}, project), project, router.answer)]


def fresh(project: Project, text: str) -> str:
    whole = read({FILE: text}, project)
    stale = [
        Renewed(
            it.trial,
            it.mark,
            whole.places.key_mark(it.trial, "expect") if it.trial.expect is not None else None,
            it.story,
        )
        for it in run(whole, project, router.answer)
        if it.story is not None
    ]
    return renewed(text, stale)


def test_comments_stay_with_what_they_are_about(starter: Project) -> None:
    before = (
        f"{PEOPLE}tests:\n  - test: it\n    who: ann\n    until: day 4 00:00\n{HAPPENS}"
        "    expect:  # in order\n"
        "      # First of all\n\n"
        "# and so on\n"
        "      - {at: day 1 08:00, message: hello/welcome}  # it's # this\n"
        "      # gone with it\n"
        "      - {at: day 2 09:00, message: hello/reminder}\n"
        "      # The question\n"
        "      - at: day 3 11:00\n"
        "        # in words\n"
        "        message: hello/question\n"
        "        says: ['# no comment']\n"
        "    # hers\n"
    )
    before = before.replace("hello/reminder", "bot/help")
    assert fresh(starter, before) == (
        before[: before.index("      # First")] + "      # First of all\n"
        "      # and so on\n"
        "      - {at: day 1 09:00, message: hello/welcome, by: sms}  # it's # this\n"
        "      # The question\n"
        "      # in words\n"
        "      - {at: day 3 10:00, message: hello/question, by: sms}\n"
        "    # hers\n"
    )
    windows = before.replace("\n", "\r\n")
    assert fresh(starter, windows) == fresh(starter, before).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{IT}    expect:\n{OLD}# why\n{OLD}{HAPPENS}", f"{IT}    expect:\n{NEW}{HAPPENS}"),
        (f"{IT}    expect:\n{OLD}\n\n{OLD}{HAPPENS}", f"{IT}    expect:\n{NEW}{HAPPENS}"),
        (f"{IT}    expect: [\n]\n{HAPPENS}", f"{IT}    expect:\n{NEW}{HAPPENS}"),
        (
            f"{IT}    expect: [\n {{at: day 9 09:00, message: hello/welcome}},\n ]\n{HAPPENS}",
            f"{IT}    expect:\n{NEW}{HAPPENS}",
        ),
        (
            f"  - expect: []\n    test: it\n    who: ann\n    until: day 2 00:00\n{HAPPENS}",
            f"  - expect:\n{NEW}    test: it\n    who: ann\n    until: day 2 00:00\n{HAPPENS}",
        ),
        (
            f'  - test: "it\nis"\n    who: ann\n    until: day 2 00:00\n{HAPPENS}',
            f'  - test: "it\nis"\n    who: ann\n    until: day 2 00:00\n{HAPPENS}'
            f"    expect:\n{NEW}",
        ),
        (
            f'  - who: ann\n    until: day 2 00:00\n{HAPPENS}    test: "it\nis"\n# end',
            f'  - who: ann\n    until: day 2 00:00\n{HAPPENS}    test: "it\nis"\n    expect:\n'
            f"{NEW}# end",
        ),
        (
            f"{IT}    expect: []\n{HAPPENS}    # hers\n\n{IT}{HAPPENS}...\n",
            f"{IT}    expect:\n{NEW}{HAPPENS}    # hers\n\n{IT}{HAPPENS}    expect:\n{NEW}...\n",
        ),
        (
            f"{BLOCK}{HAPPENS}",
            f"{BLOCK}{HAPPENS}    expect:\n{NEW}",
        ),
    ],
)
@pytest.mark.parametrize("break_", ["\n", "\r\n"])
def test_everything_else_stays_as_it_is(
    starter: Project, before: str, after: str, break_: str
) -> None:
    before, after = (f"{PEOPLE}tests:\n{it}".replace("\n", break_) for it in (before, after))
    found = fresh(starter, before)
    assert found == after
    assert fresh(starter, found) == found
    assert all(it.passed for it in lived(starter, found))


@pytest.mark.parametrize(
    "odd", ["    ? expect\n    : []\n", "    expect: &a []\n", "    !!str expect: []\n"]
)
def test_what_would_come_out_otherwise_is_not_written(starter: Project, odd: str) -> None:
    with pytest.raises(ProjectErrors):
        fresh(starter, f"{PEOPLE}tests:\n{IT}{odd}{HAPPENS}")


def project_that_says() -> Project:
    files = {**shipped.starter()}
    files["journeys/hello.yaml"] = (
        "journey: hello\nclass: friendly\nenter: [{on: subscriber.activated}]\n"
        "steps:\n  - {id: hi, send: hello/welcome}\n"
    )
    name = next(it for it in files if it.startswith("templates/hello/welcome"))
    files[name] = "{% block sms %}> {{ subscriber.words }} <{% endblock %}"
    return load(files)


@pytest.fixture(scope="module")
def echo() -> Project:
    return project_that_says()


ODD = [
    '"',
    "'",
    ": ",
    "# ",
    "{",
    "}",
    "\n",
    "  ",
    "\t",
    "- ",
    "é",
    "😀",
    "\u2028",
    "\x85",
    "%",
    "a",
]


@settings(max_examples=120, deadline=None)
@given(words=st.lists(st.sampled_from(ODD), min_size=1, max_size=12).map("".join))
def test_any_text_that_was_said_can_be_kept(echo: Project, words: str) -> None:
    name = json.dumps(words).replace("\\ud83d\\ude00", "😀")
    text = (
        f"people:\n  ann: {{addresses: {{sms: '+447700900001'}}, attributes: {{words: {name}}}}}\n"
        f"tests:\n{IT}    expect:\n      - at: day 1 09:00\n        message: hello/welcome\n"
        f"        text: old\n{HAPPENS}"
    )
    after = fresh(echo, text)
    assert fresh(echo, after) == after
    (result,) = lived(echo, after)
    assert [line.note for line in result.lines if line.sign != " "] == []
    assert after.startswith(text.partition("      - at:")[0])
    assert after.endswith(HAPPENS)


@pytest.mark.parametrize("says", ["'two\\nlines'", "12", "'a '", "true", "'1.50'"])
def test_what_it_must_say_is_kept_as_it_was(echo: Project, says: str) -> None:
    says = says.replace("\\n", "\n\n")
    text = (
        "people:\n  ann: {addresses: {sms: '+447700900001'}, attributes: {words: "
        '"a b two\\nlines 12 true 1.50 c"}}\n'
        f"tests:\n{IT}    expect:\n"
        f"      - {{at: day 1 09:00, message: hello/welcome, says: [{says}]}}\n"
        f"      - {{at: day 9 09:00, message: hello/welcome}}\n{HAPPENS}"
    )
    after = fresh(echo, text)
    (result,) = lived(echo, after)
    assert result.passed
    (wanted,) = result.trial.expect or ()
    (before, _) = lived(echo, text)[0].trial.expect or ()
    assert wanted.says == before.says


def test_renewing_writes_what_came_and_leaves_the_rest(starter: Project) -> None:
    before = f"""{HELLO}
tests:
  - test: without
    who: ann
    until: day 5 00:00
    happens:
      - {{at: day 1 09:00, event: subscriber.activated}}   # as usual

  # the next one
  - test: with
    who: ann
    until: day 5 00:00
    expect:
      - {{at: day 9 09:00, message: hello/welcome}}
      - {{at: day 9 09:00, points: 1}}
    # between
    happens:
      - {{at: day 1 09:00, event: subscriber.activated}}
      - {{at: day 3 10:30, reply: 'yes'}}
  - test: inline
    expect: []
    who: ann
    until: day 2 00:00
    happens: [{{at: day 1 09:00, event: subscriber.activated}}]
"""
    after = fresh(starter, before)
    results = lived(starter, after)
    assert [it.passed for it in results] == [True, True, True]
    assert (
        after
        == f"""{HELLO}
tests:
  - test: without
    who: ann
    until: day 5 00:00
    happens:
      - {{at: day 1 09:00, event: subscriber.activated}}   # as usual
    expect:
      - {{at: day 1 09:00, message: hello/welcome, by: telegram}}
      - {{at: day 3 10:00, message: hello/question, by: telegram}}

  # the next one
  - test: with
    who: ann
    until: day 5 00:00
    expect:
      - {{at: day 1 09:00, message: hello/welcome, by: telegram}}
      - {{at: day 3 10:00, message: hello/question, by: telegram}}
      - {{at: day 3 10:30, points: 10, for: answered}}
    # between
    happens:
      - {{at: day 1 09:00, event: subscriber.activated}}
      - {{at: day 3 10:30, reply: 'yes'}}
  - test: inline
    expect:
      - {{at: day 1 09:00, message: hello/welcome, by: telegram}}
    who: ann
    until: day 2 00:00
    happens: [{{at: day 1 09:00, event: subscriber.activated}}]
"""
    )


def test_golden_texts_are_renewed_where_they_were_kept(starter: Project) -> None:
    before = f"""{HELLO}
tests:
  - test: golden
    who: ann
    until: day 2 00:00
    happens: [{{at: day 1 09:00, event: subscriber.activated}}]
    expect:
      - at: day 1 09:00
        message: hello/welcome
        by: telegram
        text: something old
"""
    after = fresh(starter, before)
    results = lived(starter, after)
    assert results[0].passed
    assert "text: |-\n          Hello Ann" in after
    assert fresh(starter, after) == after


def test_a_test_on_one_line_is_not_rewritten(starter: Project) -> None:
    with pytest.raises(ProjectErrors, match="cannot be renewed"):
        fresh(starter, HELLO + "tests:\n  - {test: it, who: ann, expect: []}\n")
