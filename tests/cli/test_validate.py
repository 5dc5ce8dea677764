"""`validate` as a person and as a machine meet it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.validate import validate
from orchestrator.project import source

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
    assert output == "my-project: 1 journeys, 3 messages, no errors, 0 warnings\n"


def test_a_mistake_is_one_plain_line_with_its_place_and_the_fix(broken: Path) -> None:
    code, output = run(str(broken))
    assert code == 1
    assert output.splitlines() == [
        "journeys/hello.yaml:21:11: error: there is no message 'hello/welcom' "
        "(did you mean 'hello/welcome'?) [unknown-template]",
        "1 errors, 0 warnings",
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
    assert output.endswith("no errors, 1 warnings\n")


def test_a_file_that_is_not_utf8_is_a_finding(broken: Path) -> None:
    (broken / "journeys/odd.yaml").write_bytes(b"\xff\xfe")
    code, output = run(str(broken), "--json")
    assert code == 1
    assert json.loads(output)[0]["file"] == "journeys/odd.yaml"


def test_a_folder_without_a_project_is_a_wrong_use(tmp_path: Path) -> None:
    code, output = run(str(tmp_path))
    assert code == 2
    assert "outreach init" in output
