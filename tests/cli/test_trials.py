"""`outreach test` as a person and as a machine meet it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.init import init
from orchestrator.cli.trials import trials

app = typer.Typer()
app.command()(trials)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    init(tmp_path / "shop")
    return tmp_path / "shop"


def edit(folder: Path, before: str, after: str) -> None:
    path = folder / "journeys/hello.yaml"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


def test_a_new_project_passes_its_tests(shop: Path) -> None:
    code, output = run(str(shop), "--fail-under", "100")
    assert code == 0
    assert "hello    6 of 6   steps    3 of 3   branches   100 %" in output
    assert "3 passed, 0 failed, 100 % of steps and branches tried: 27 days" in output


def test_an_edit_that_changes_what_people_get_fails_with_the_difference(shop: Path) -> None:
    edit(shop, "at: day 3 10:00", "at: day 4 10:00")
    code, output = run(str(shop), "-k", "ten points")
    assert code == 1
    assert "✗ a yes is worth ten points" in output
    assert "journeys/hello.test.yaml:11" in output
    assert "- day 3 10:00   hello/question by sms" in output
    assert "+ day 4 10:00   hello/question by sms" in output


def test_what_came_can_be_written_as_what_is_expected(shop: Path) -> None:
    edit(shop, "at: day 3 10:00", "at: day 3 09:30")
    code, output = run(str(shop), "--update")
    assert (code, "renewed: journeys/hello.test.yaml" in output) == (0, True)
    assert "{at: day 3 09:30, message: hello/question, by: sms}" in (
        shop / "journeys/hello.test.yaml"
    ).read_text("utf-8")
    assert run(str(shop))[0] == 0


def test_an_update_keeps_what_an_editor_put_there_and_what_only_ends_otherwise(shop: Path) -> None:
    path = shop / "journeys/hello.test.yaml"
    edit(shop, "at: day 3 10:00", "at: day 3 09:30")
    before = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + before)
    path.chmod(0o640)
    assert run(str(shop), "--update")[0] == 0
    after = path.read_bytes()
    assert after.startswith(b"\xef\xbb\xbf" + before[:200])
    assert after.count(b"\n") == after.count(b"\r\n")
    assert path.stat().st_mode & 0o777 == 0o640
    tests = b"tests:\n- test: ends\n  who: ann\n  until: day 2 00:00\n  ends: {points: 3}\n"
    path.write_bytes(before.partition(b"tests:")[0].replace(b"\r", b"") + tests)
    code, output = run(str(shop), "--update")
    assert (code, "renewed" in output) == (1, False)
    assert path.read_bytes().endswith(tests)


def test_a_test_that_cannot_be_renewed_is_named_and_the_others_are(shop: Path) -> None:
    path = shop / "journeys/a.test.yaml"
    path.write_text("tests: [{test: flow, who: ann, until: day 2 00:00}]\n", "utf-8")
    edit(shop, "at: day 3 10:00", "at: day 3 09:30")
    code, output = run(str(shop), "--update")
    assert code == 1
    assert "journeys/a.test.yaml:1:9: error: this test cannot be renewed" in output
    assert "renewed: journeys/hello.test.yaml" in output


def test_what_steers_a_terminal_is_not_said(shop: Path) -> None:
    path = shop / "journeys/a.test.yaml"
    path.write_text('tests: [{test: "a\\e[31mb", who: ann, until: day 2 00:00}]\n', "utf-8")
    assert "\x1b" not in run(str(shop))[1]


def test_a_share_of_all_is_not_asked_of_some(shop: Path) -> None:
    code, output = run(str(shop), "-k", "yes", "--fail-under", "100")
    assert (code, "--fail-under is about all tests" in output) == (2, True)


def test_too_little_tried_fails_where_that_is_asked_for(shop: Path) -> None:
    path = shop / "journeys/hello.test.yaml"
    path.write_text(path.read_text("utf-8").partition("  - test: a no ends it")[0], "utf-8")
    assert run(str(shop))[0] == 0
    code, output = run(str(shop), "--fail-under", "100")
    assert code == 1
    assert "not tried: journeys/hello.yaml:39  question.reply-2.1" in output
    assert "not tried: journeys/hello.yaml:26  question, way silence" in output
    assert "tried too little" in run(str(shop), "--fail-under", "100", "--json")[1]


def test_machines_get_json_and_junit(shop: Path, tmp_path: Path) -> None:
    edit(shop, "award: 10", "award: 11")
    code, output = run(str(shop), "--json", "--junit", str(tmp_path / "r.xml"))
    told = json.loads(output)
    assert code == 1
    assert (told["passed"], told["failed"], told["coverage_percent"]) == (2, 1, 100.0)
    [failed] = [it for it in told["tests"] if not it["passed"]]
    assert {"sign": "+", "said": "day 3 12:00   +11 points for answered", "note": ""} in failed[
        "lines"
    ]
    root = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("3", "1")


@pytest.mark.parametrize("broken", ["journeys/hello.yaml", "journeys/hello.test.yaml"])
def test_files_that_cannot_be_read_are_told_with_their_line(shop: Path, broken: str) -> None:
    path = shop / broken
    path.write_text(path.read_text("utf-8") + "\nwhat: is this\n", "utf-8")
    code, output = run(str(shop))
    assert code == 2
    assert f"{broken}:" in output
    assert "unknown key 'what'" in output


def test_nothing_to_test_is_no_success(shop: Path, tmp_path: Path) -> None:
    assert run(str(tmp_path / "nowhere"))[0] == 2
    assert run(str(shop), "-k", "no such test")[0] == 2
    (shop / "journeys/hello.test.yaml").unlink()
    code, output = run(str(shop))
    assert code == 2
    assert "write journeys/hello.test.yaml" in output
