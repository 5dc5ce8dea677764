"""Tests that authors write: lived, compared, counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bot import router
from orchestrator.core.project import Project
from orchestrator.core.scene import Passed
from orchestrator.project import shipped, source
from orchestrator.project.findings import ProjectErrors
from orchestrator.project.load import load
from orchestrator.project.trials import junit
from orchestrator.project.trials.coverage import covered
from orchestrator.project.trials.read import read
from orchestrator.project.trials.run import Result, passed, places, run

HELLO = """\
people:
  ann: {addresses: {sms: '+447700900001', telegram: '7'}, attributes: {name: Ann}}
"""


@pytest.fixture(scope="module")
def starter() -> Project:
    return load(shipped.starter())


def results_of(project: Project, text: str) -> list[Result]:
    return [*run(read({"journeys/a.test.yaml": text}, project), project, router.answer)]


def one(project: Project, trial: str) -> Result:
    """The result of one test of Ann."""
    [result] = results_of(project, f"{HELLO}tests:\n  - test: it\n    who: ann\n{trial}")
    return result


def said(result: Result) -> list[str]:
    return [f"{line.sign} {line.said}" for line in result.lines]


def test_the_shipped_programme_is_tested_whole() -> None:
    folder = shipped.programme_folder()
    project = load(source.read_folder(folder))
    results = [*run(read(source.read_tests(folder), project), project, router.answer)]
    assert [f"{it.mark.file}:{it.mark.line}" for it in results if not it.passed] == []
    assert [it.missed for it in covered(project, passed(results))] == [()] * len(project.journeys)


def test_a_new_project_comes_with_tests_that_try_all_of_it(starter: Project) -> None:
    results = [*run(read(shipped.starter_tests(), starter), starter, router.answer)]
    assert len(results) == 3
    assert all(it.passed for it in results)
    assert covered(starter, passed(results))[0].share == 1.0


def test_every_message_must_be_expected_and_the_difference_shows(starter: Project) -> None:
    result = one(
        starter,
        """
    until: day 5 00:00
    happens: [{at: day 1 09:00, event: subscriber.activated}]
    expect:
      - {at: day 1 09:00, message: hello/welcome, by: sms}
      - {at: day 3 11:00, message: hello/question}
""",
    )
    assert said(result) == [
        "- day 1 09:00   hello/welcome by sms",
        "+ day 1 09:00   hello/welcome by telegram",
        "+ day 3 10:00   hello/question by telegram",
        "- day 3 11:00   hello/question",
    ]


def test_what_is_left_out_may_be_anything(starter: Project) -> None:
    result = one(
        starter,
        """
    until: day 2 00:00
    happens: [{at: day 1 09:00, event: subscriber.activated}]
    expect: [{at: day 1 09:00, message: hello/welcome}]
""",
    )
    assert result.passed


@pytest.mark.parametrize(
    ("expected", "note"),
    [
        ("says: [Ann, Bob]", "it does not say 'Bob'"),
        ("text: Welcome!", "-Welcome!"),
    ],
)
def test_a_wording_that_differs_is_shown(starter: Project, expected: str, note: str) -> None:
    result = one(
        starter,
        f"""
    until: day 2 00:00
    happens: [{{at: day 1 09:00, event: subscriber.activated}}]
    expect: [{{at: day 1 09:00, message: hello/welcome, {expected}}}]
""",
    )
    assert note in result.lines[0].note


def test_a_message_that_was_withheld_says_why(starter: Project) -> None:
    result = one(
        starter,
        """
    but: {refused: [service]}
    until: day 2 00:00
    happens: [{at: day 1 09:00, event: subscriber.activated}]
    expect: [{at: day 1 09:00, message: hello/welcome}]
""",
    )
    assert not result.passed
    assert {line.sign for line in result.lines} == {"-"}


def test_other_kinds_are_compared_whole_once_one_of_them_is_expected(starter: Project) -> None:
    lived = """
    until: day 5 00:00
    happens:
      - {at: day 1 09:00, event: subscriber.activated}
      - {at: day 3 10:30, reply: 'yes'}
    expect:
      - {at: day 1 09:00, message: hello/welcome}
      - {at: day 3 10:00, message: hello/question}
"""
    assert one(starter, lived).passed
    result = one(starter, lived + "      - {at: day 1 09:00, step: hello/welcome}\n")
    assert [line for line in said(result) if line.startswith("+")] == [
        "+ day 3 10:00   begins hello/question",
        "+ day 3 10:30   begins hello/question.reply-1.1",
        "+ day 3 10:30   begins hello/question.reply-1.2",
    ]


def test_the_end_is_compared(starter: Project) -> None:
    result = one(starter, "    ends: {points: 3, tags: [vip], stands: {hello: finished}}\n")
    assert said(result) == [
        "- in the end    points 3",
        "+ in the end    points 0",
        "- in the end    tags ['vip']",
        "+ in the end    tags []",
        "- in the end    stands in hello at finished",
        "+ in the end    stands in hello at None",
    ]


def test_somebody_may_be_changed_and_carriers_may_fail(starter: Project) -> None:
    result = one(
        starter,
        """
    until: day 5 00:00
    happens:
      - {at: day 1 09:00, event: subscriber.activated}
      - {at: day 1 09:01, fails: hello/welcome, as: rejected}
      - {at: day 2 09:00, set: {addresses: {telegram: null}, timezone: America/New_York}}
    expect:
      - {at: day 1 09:00, message: hello/welcome, by: telegram}
      - {at: day 1 09:01, message: hello/welcome, by: sms}
      - {at: day 3 15:00, message: hello/question, by: sms}
""",
    )
    assert said(result)[:2] == [
        "  day 1 09:00   hello/welcome by telegram",
        "  day 1 09:01   hello/welcome by sms",
    ]
    assert result.passed


@pytest.mark.parametrize(
    ("trial", "problem"),
    [
        ("    chance: {nobody: in}\n    expect: []\n", "settles nothing"),
        ("    chance: {hello/welcome: left}\n    expect: []\n", "no split hello/welcome"),
        (
            "    happens: [{at: day 1 09:00, fails: hello/welcome}]\n    expect: []\n",
            "was not sent by then",
        ),
        (
            "    until: day 2 00:00\n    happens: [{at: day 3 09:00, event: x}]\n    expect: []\n",
            "after the test's `until`",
        ),
        (
            "    until: day 1 09:00\n    happens: [{at: day 1 09:00, event: x}]\n    expect: []\n",
            "after the test's `until`",
        ),
        ("    begin: 9999-12-31\n    expect: []\n", "nobody lives then"),
        ("    begin: 0001-01-01\n    expect: []\n", "nobody lives then"),
        ("", "expects nothing yet"),
    ],
)
def test_what_cannot_be_lived_says_why(starter: Project, trial: str, problem: str) -> None:
    assert problem in one(starter, trial).problem


@pytest.mark.parametrize(
    ("trial", "line", "message"),
    [
        ("    whoo: x\n", 6, "unknown key 'whoo'"),
        (
            "    expect: [{at: day 1 09:00, message: hello/welcom}]\n",
            6,
            "no message 'hello/welcom'",
        ),
        ("    expect:\n      - {at: day 1 09:00}\n", 7, "this says nothing"),
        (
            "    expect:\n      - {at: day 1 09:00, enters: hello, points: 3}\n",
            7,
            "points and enters at once",
        ),
        ("    expect: [{at: day 1 09:00, step: hello/welcom}]\n", 6, "no step 'hello/welcom'"),
        ("    happens: [{at: day 1 09:00, reply: x, by: smss}]\n", 6, "no channel 'smss'"),
        ("    happens: [{at: day 1 09:00, reply: x, event: y}]\n", 6, "event and reply at once"),
        ("    until: tomorrow\n", 6, "is not a day and a time"),
        ("    but: {timezone: Mars/Olympus}\n", 6, "no time zone 'Mars/Olympus'"),
        ("    but: {addresses: {smss: '+447700900001'}}\n", 6, "no channel 'smss'"),
        ("    but: {consents: [sevrice]}\n", 6, "no purpose 'sevrice'"),
        ("    but: {lists: [robinson]}\n", 6, "no list 'robinson'"),
        (
            "    happens:\n      - {at: day 1 09:00, set: {timezone: here}}\n",
            7,
            "no time zone 'here'",
        ),
    ],
)
def test_mistakes_are_told_with_their_line(
    starter: Project, trial: str, line: int, message: str
) -> None:
    with pytest.raises(ProjectErrors) as refused:
        one(starter, trial)
    [found] = refused.value.findings
    assert (found.mark.line, message in found.message) == (line, True)


def test_of_two_things_in_one_minute_the_first_comes_first(starter: Project) -> None:
    result = one(
        starter,
        """
    until: day 2 00:00
    happens:
      - {at: day 1 09:00, event: subscriber.activated}
      - {at: day 1 09:00, set: {attributes: {name: Bob}}}
      - {at: day 1 09:00, fails: hello/welcome}
      - {at: day 1 09:00, reply: '?'}
    expect:
      - {at: day 1 09:00, message: hello/welcome, by: telegram, says: [Ann]}
      - {at: day 1 09:00, message: hello/welcome, by: sms, says: [Bob]}
      - {at: day 1 09:00, message: bot/help, by: sms}
""",
    )
    assert result.passed, said(result)


def test_a_clock_that_is_set_back_shows_an_hour_twice_and_nobody_gets_twice(
    starter: Project,
) -> None:
    for begin, shown in (("2026-10-25", "02:30"), ("2026-03-29", "03:30")):
        result = one(
            starter,
            f"""
    but: {{timezone: Europe/Berlin}}
    begin: {begin}
    until: day 4 00:00
    happens: [{{at: day 1 02:30, event: subscriber.activated}}]
    expect:
      - {{at: day 1 {shown}, message: hello/welcome}}
      - {{at: day 3 10:00, message: hello/question}}
""",
        )
        assert result.passed, said(result)


def test_an_unknown_person_is_told(starter: Project) -> None:
    with pytest.raises(ProjectErrors, match="no person 'bob'"):
        results_of(starter, HELLO + "tests: [{test: it, who: bob, expect: []}]")


def test_what_was_not_tried_is_told_with_its_place(starter: Project) -> None:
    files = shipped.starter()
    result = one(
        starter,
        """
    happens: [{at: day 1 09:00, event: subscriber.activated}]
    expect: []
""",
    )
    [it] = covered(starter, passed([result]))
    assert (it.steps_passed, it.steps_all, it.branches_passed, it.branches_all) == (3, 6, 1, 3)
    assert Passed("hello", "question", "reply-2") in it.missed
    assert places(files)["hello", "question.reply-2.1"].line == 38


def test_junit_counts_and_tells(starter: Project) -> None:
    cases = [
        junit.Case("a.test.yaml", 3, "good \x01\uffff", 0.01),
        junit.Case("a.test.yaml", 9, "bad", 0.02, "- one\n+ <other> \x00"),
    ]
    root = ElementTree.fromstring(junit.report(cases))
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("name")) == (
        "2",
        "1",
        "a.test.yaml",
    )
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.text == "- one\n+ <other> "


def test_files_of_tests_are_no_part_of_the_project(tmp_path: Path) -> None:
    files: Mapping[str, str] = {**shipped.starter(), **shipped.starter_tests()}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    read_in = source.read_folder(tmp_path)
    assert not any(name.endswith(source.TESTS) for name in read_in)
    assert list(source.read_tests(tmp_path)) == ["journeys/hello.test.yaml"]


TRIGGERS = {
    "journeys/program/project.yaml": "{name: t, locale: en, timezone: Asia/Shanghai}",
    "journeys/program/contact.yaml": """
classes:
  now: {purpose: news, consent: opt_out}
  answer: {purpose: answer, consent: answer}
""",
    "journeys/program/events.yaml": """
events:
  call.ended: {keep: matching, properties: {peer: text}, sets: {said: event.peer}}
  call.again: {properties: {}}
  phone.off: {keep: matching}
""",
    "journeys/calls.yaml": """
journey: calls
class: now
enter:
  - {on: call.ended, if: in_list('vip') and event.peer in list('friends'), after: 5m,
     unless: [phone.off]}
  - {on: call.again, after: 1m}
again: always
steps:
  - {id: tell, send: told, via: [sms]}
  - {id: again, emit: call.again}
""",
    "templates/told.en.j2": "{% block sms %}Hello{% endblock %}",
}
CALLS = """\
people:
  ann: {lists: [vip]}
  bob: {addresses: {sms: '+8613800000009'}}
lists: {friends: ['+8613900000001']}
tests:
  - test: it
    who: ann
    until: day 5 00:00
"""


def calls(what: str) -> list[str]:
    project = load(TRIGGERS)
    [result] = results_of(project, CALLS + what)
    return said(result)


def test_a_trigger_fires_when_its_wait_is_over() -> None:
    assert calls("""
    happens:
      - {at: day 1 10:00, event: call.ended, with: {peer: '+8613900000001'}}
      - {at: day 2 10:00, event: call.ended, with: {peer: '+8613900000002'}}
    expect: []
""") == ["+ day 1 10:05   told by sms"], "an event that a journey emits is not of the network"


def test_what_a_trigger_is_about_may_end_at_the_very_end_of_its_wait() -> None:
    assert not calls("""
    happens:
      - {at: day 1 10:00, event: call.ended, with: {peer: '+8613900000001'}}
      - {at: day 1 10:05, event: phone.off}
    expect: []
""")


def test_who_is_on_no_list_is_no_vip() -> None:
    happens = "happens: [{at: day 1 10:00, event: call.ended, with: {peer: '+8613900000001'}}]"
    assert calls(f"    {happens}\n    expect: []\n")
    assert not calls(f"    {happens}\n    expect: []\n    but: {{lists: [friends]}}\n")


def test_an_event_that_is_kept_may_be_a_triggers_too() -> None:
    assert calls("""
    happens: [{at: day 1 10:00, event: call.again}]
    expect: []
""") == ["+ day 1 10:01   told by sms"]


def test_lists_that_nobody_asks_about_and_what_is_no_number_are_told() -> None:
    text = CALLS.replace("friends: ['+8613900000001']", "friend: ['+86139'], vip: ['one']")
    with pytest.raises(ProjectErrors) as refused:
        read({"journeys/a.test.yaml": text}, load(TRIGGERS))
    told = [f"{it.mark.line}: {it.message}" for it in refused.value.findings]
    assert told == ["4: there is no list 'friend'", "4: 'one' is no telephone number"]


def test_an_event_that_would_be_set_aside_is_told() -> None:
    with pytest.raises(ProjectErrors) as refused:
        calls("""
    happens:
      - {at: day 1 10:00, event: call.ended, with: {pear: '+8613900000001'}}
      - {at: day 1 11:00, event: call.ended}
    expect: []
""")
    told = [f"{it.mark.line}: {it.message}" for it in refused.value.findings]
    assert told == [f"{n}: call.ended would be set aside: peer is missing" for n in (11, 12)]


def test_an_event_that_is_another_by_a_slip_is_told_and_one_that_nothing_hears_may_happen() -> None:
    with pytest.raises(ProjectErrors) as refused:
        calls("""
    happens:
      - {at: day 1 10:00, event: call.endet, with: {peer: '+8613900000001'}}
      - {at: day 1 11:00, event: rain.began}
    expect: []
""")
    told = [f"{it.mark.line}: {it.message} ({it.hint})" for it in refused.value.findings]
    assert told == ["11: nothing hears 'call.endet' (did you mean 'call.ended'?)"]
