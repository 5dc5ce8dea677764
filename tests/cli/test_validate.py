"""`validate` as a person and as a machine meet it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.options import read_settings
from orchestrator.cli.plan import checked
from orchestrator.cli.validate import command_of, validate
from orchestrator.core.errors import OutreachError
from orchestrator.project import source
from orchestrator.project.rules import RULES

STARTER = Path(source.__file__).parent / "starter"

app = typer.Typer()
app.command()(validate)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    shutil.copytree(STARTER, tmp_path / "p")
    path = tmp_path / "p/journeys/hello.yaml"
    path.write_text(path.read_text().replace("send: hello/welcome", "send: hello/welcom"))
    return tmp_path / "p"


def test_a_good_project_is_counted_and_passes() -> None:
    code, output = run(str(STARTER))
    assert code == 0
    assert output == "my-project: 1 journey, 3 messages, no errors, no warnings\n"


def test_a_mistake_is_one_plain_line_with_its_place_and_the_fix(broken: Path) -> None:
    code, output = run(str(broken))
    assert code == 1
    assert output.splitlines() == [
        "journeys/hello.yaml:21:11: error: there is no message 'hello/welcom' "
        "(did you mean 'hello/welcome'?) [unknown-template]",
        "1 error, no warnings",
    ]


def test_a_machine_gets_the_same_as_json(broken: Path) -> None:
    code, output = run(str(broken), "--json")
    assert code == 1
    assert json.loads(output) == [
        {
            "file": "journeys/hello.yaml",
            "line": 21,
            "column": 11,
            "severity": "error",
            "rule": "unknown-template",
            "message": "there is no message 'hello/welcom'",
            "hint": "did you mean 'hello/welcome'?",
        }
    ]


def test_a_warning_alone_passes(broken: Path) -> None:
    path = broken / "journeys/hello.yaml"
    text = path.read_text().replace("hello/welcom\n", "hello/welcome\n")
    path.write_text(text.replace("enter:\n  - on: subscriber.activated\n", ""))
    code, output = run(str(broken))
    assert code == 0
    assert "warning: nothing brings anybody into this journey" in output
    assert output.endswith("no errors, 1 warning\n")


def test_a_file_that_is_not_utf8_is_a_finding(broken: Path) -> None:
    (broken / "journeys/odd.yaml").write_bytes(b"\xff\xfe")
    code, output = run(str(broken), "--json")
    assert code == 1
    assert json.loads(output)[1]["file"] == "journeys/odd.yaml"


def test_what_cannot_be_read_hides_nothing_else_and_is_not_missed(broken: Path) -> None:
    rewards = broken / "journeys/program/rewards.yaml"
    for name in ("journeys/odd.yaml", "templates/hello/question.de.j2", "templates/a.png"):
        (broken / name).write_bytes(b"\xff\xfe")
    rewards.write_bytes(b"\xff" + rewards.read_bytes())
    (broken / "journeys/two.yaml").write_text(
        "journey: two\nclass: friendly\nenter: [{on: a.b}]\n"
        "steps:\n  - id: go\n    send: hello/question\n  - id: on\n    enroll: odd\n"
    )
    (broken / "templates/hello/more.en.j2").write_text(
        "{% block mms_image %}a.png{% endblock %}{% block mms_text %}a{% endblock %}"
    )
    code, output = run(str(broken), "--json")
    assert code == 1
    assert [(it["file"], it["rule"]) for it in json.loads(output)] == [
        ("journeys/hello.yaml", "unknown-template"),
        ("journeys/odd.yaml", "file"),
        ("journeys/program/rewards.yaml", "file"),
        ("templates/a.png", "picture"),
        ("templates/hello/question.de.j2", "file"),
    ]


def test_a_folder_without_a_project_is_a_wrong_use(tmp_path: Path) -> None:
    code, output = run(str(tmp_path))
    assert code == 2
    assert "outreach init" in output


def test_a_folder_within_a_project_names_the_project(broken: Path) -> None:
    code, output = run(str(broken / "journeys/program"))
    assert code == 2
    assert f"the project it is in is {broken.resolve()}" in output


def test_with_strict_a_warning_fails(broken: Path) -> None:
    path = broken / "journeys/hello.yaml"
    text = path.read_text().replace("hello/welcom\n", "hello/welcome\n")
    path.write_text(text)
    assert run(str(broken), "--strict")[0] == 0
    path.write_text(text.replace("enter:\n  - on: subscriber.activated\n", ""))
    assert run(str(broken), "--strict")[0] == 1


def test_github_gets_an_annotation_for_each_finding(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(broken.parent)
    (broken / "journeys/a,b.yaml").write_text("journey: 100%\nclass: friendly\nsteps: []\n")
    code, output = run("p", "--format", "github")
    assert code == 1
    assert output.splitlines() == [
        "::warning file=p/journeys/a%2Cb.yaml,line=1,col=1,title=nobody-enters::nothing brings "
        "anybody into this journey: write `enter`, or `enroll` it from another journey",
        "::error file=p/journeys/a%2Cb.yaml,line=1,col=10,title=bad-name::'100%25' cannot be a "
        "name: write small letters, digits and hyphens: 100",
        "::error file=p/journeys/a%2Cb.yaml,line=3,col=8,title=no-steps::this journey has no "
        "steps: write at least one",
        "::error file=p/journeys/hello.yaml,line=21,col=11,title=unknown-template::there is no "
        "message 'hello/welcom': did you mean 'hello/welcome'?",
        "3 errors, 1 warning",
    ]


def test_sarif_tells_the_rules_and_what_they_found(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(broken.parent)
    code, output = run("p", "--format", "sarif")
    assert code == 1
    log = json.loads(output)
    assert log["version"] == "2.1.0"
    (ran,) = log["runs"]
    rules = ran["tool"]["driver"]["rules"]
    assert {rule["id"] for rule in rules} >= {*RULES, "form", "yaml", "template"}
    assert all(rule["shortDescription"]["text"] for rule in rules)
    (result,) = ran["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "unknown-template"
    assert result["level"] == "error"
    assert result["message"]["text"].startswith("there is no message 'hello/welcom'")
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "p/journeys/hello.yaml"},
                "region": {"startLine": 21, "startColumn": 11},
            }
        }
    ]


def test_sarif_tells_what_was_allowed_and_why(broken: Path) -> None:
    path = broken / "journeys/hello.yaml"
    text = path.read_text().replace("hello/welcom\n", "hello/welcome\n")
    text = text.replace("enter:\n  - on: subscriber.activated\n", "")
    said = "# outreach: allow nobody-enters because it is entered by hand\n"
    path.write_text(text.replace("journey: hello", f"{said}journey: hello"))
    code, output = run(str(broken), "--format", "sarif")
    assert code == 0
    (result,) = json.loads(output)["runs"][0]["results"]
    assert result["ruleId"] == "nobody-enters"
    assert result["suppressions"] == [
        {"kind": "inSource", "justification": "it is entered by hand"}
    ]
    assert run(str(broken), "--json") == (0, "[]\n")


def test_a_rule_is_explained_whole() -> None:
    code, output = run("--explain", "dead-branch")
    assert code == 0
    assert output.startswith("dead-branch (error)\n\nnobody ever takes this branch\n\nThe first")
    assert "# outreach: allow dead-branch because …" in output
    assert "allow" not in run("--explain", "unknown-template")[1]


def test_a_rule_that_there_is_not_is_a_wrong_use() -> None:
    code, output = run("--explain", "dead-brunch")
    assert code == 2
    assert "did you mean 'dead-branch'?" in output


def test_every_rule_is_listed() -> None:
    code, output = run("--rules")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == sorted(RULES)


@pytest.mark.parametrize(
    ("reply", "command"),
    [("STOP!", "stop"), ("redeem 2", "redeem"), ("积分", "balance"), ("1", None)],
)
def test_the_bots_commands_are_known(reply: str, command: str | None) -> None:
    assert command_of(reply) == command


def test_an_answer_that_the_bot_takes_first_is_found(broken: Path) -> None:
    path = broken / "journeys/hello.yaml"
    path.write_text(path.read_text().replace("['1', 'yes']", "['1', 'cancel']"))
    assert "it says the bot's STOP: ask for another word) [answer-of-bot]" in run(str(broken))[1]


def test_apply_and_plan_refuse_what_validate_refuses_the_bots_words_as_well(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken / "journeys/hello.yaml"
    text = path.read_text().replace("hello/welcom\n", "hello/welcome\n")
    path.write_text(text.replace("['1', 'yes']", "['1', 'cancel']"))
    with pytest.raises(OutreachError, match="has 1 error: nothing was applied") as refused:
        checked(read_settings(broken))
    assert refused.value.hint == "mend it first"
    assert "[answer-of-bot]" in capsys.readouterr().err
