"""`outreach preview`, as an author sees it in a terminal and a program reads it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from orchestrator.cli.main import build
from orchestrator.cli.preview import push_size
from orchestrator.cli.screens import small_screen
from orchestrator.core.model import Content
from orchestrator.project import shipped
from tests.cli.shell import OUTREACH, clean_env

ROOT = Path(__file__).parents[2]
NAMED = "templates/hello/named.en.j2"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The starter project, in a folder of the test's own, with a message that says a name."""
    texts = {
        **shipped.starter(),
        NAMED: "{% block sms %}Shop: hello {{ subscriber.name }}, it’s us{% endblock %}",
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def preview(*arguments: str, folder: Path = ROOT, **env: str) -> Result:
    """What the command prints on a screen of 100 columns."""
    words = ["preview", *arguments, "--project", str(folder)]
    settings: Mapping[str, str] = {"COLUMNS": "100", "NO_COLOR": "1", **env}
    return CliRunner().invoke(build(["preview"]), words, env=settings)


def test_a_message_is_shown_on_every_phone_with_what_it_costs() -> None:
    shown = preview("seven-days/entrance")
    assert shown.exit_code == 0
    assert "seven-days/entrance, sent by seven-days" in shown.output
    for said in (
        *("GSM-7 · 2 parts · ", "part 2 of 2", "UCS-2 because of", "0.10 CNY"),
        *("small phone", "more lines", "MMS", "▦ seven-days/entrance.png", "0.30 CNY"),
        *("WAP push", "→ https://xh.example/start", " octets · 2 SMS", "[ 帮助 ] says /help"),
    ):
        assert said in shown.output, said


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    shown = preview("seven-days/entrance", COLUMNS=str(columns))
    assert max(map(cell_len, shown.output.splitlines())) <= columns
    assert "今天打开不计流量" in re.sub(r"[│\s]", "", shown.output)


def test_colours_are_for_terminals_that_want_them() -> None:
    assert "\x1b[" not in preview("hello/welcome").output
    assert "\x1b[" not in preview("hello/welcome", NO_COLOR="").output


def test_a_locale_that_is_not_written_says_which_takes_its_place(project: Path) -> None:
    assert "\nfr, written in en ─" in preview("hello/named", "-l", "fr", folder=project).output
    assert "\nen ─" in preview("hello/named", "-l", "en", folder=project).output


def test_a_message_may_be_named_by_its_file(project: Path) -> None:
    assert preview(NAMED, folder=project).output == preview("hello/named", folder=project).output


def test_somebody_is_described_by_keys_and_values() -> None:
    shown = preview("lifecycle/month-report", "--as", "usage.mb_7d=7", "--as", "locale=zh")
    assert "usage.mb_7d=7, locale=zh:" in shown.output
    assert "近七天用了7MB" in re.sub(r"[│\s]", "", shown.output)
    assert "en ──" not in shown.output


def test_somebody_is_described_by_a_file(project: Path, tmp_path: Path) -> None:
    people = tmp_path / "people.json"
    people.write_text(json.dumps([{"key": "ann", "name": "Ann"}, {"city": "Bonn"}]))
    shown = preview("hello/named", "--as", str(people), folder=project)
    assert shown.exit_code == 1  # the second has no name
    assert "ann:" in shown.output
    assert "people 2:" in shown.output
    assert "not sent: name is empty or unknown" in shown.output


def test_who_would_get_nothing_is_warned_of_and_that_alone_is_no_failure(project: Path) -> None:
    shown = preview("hello/named", folder=project)
    assert shown.exit_code == 0
    assert f"{NAMED}:1: warning: who lacks subscriber.name gets nothing by sms" in shown.output
    assert "write ' for ’" in shown.output


def test_the_languages_that_the_channel_writes_are_known(project: Path) -> None:
    turkish = "Şu an ğ ile yazıyoruz, " * 6
    (project / NAMED).write_text(f"{{% block sms %}}{turkish}{{% endblock %}}")
    assert "UCS-2 · 3 parts" in preview("hello/named", folder=project).output
    url = "smpp://us:secret@smsc.example:2775"
    (project / "channels.yaml").write_text(f"sms:\n  url: {url}\n  languages: [tr]\n")
    assert "GSM-7 tr · 1 part" in preview("hello/named", folder=project).output


def test_a_program_reads_the_same(project: Path) -> None:
    shown = preview("hello/named", "--json", "--as", "name=Ann", folder=project)
    found = json.loads(shown.output)
    (one,) = found["shown"]
    assert one["content"]["text"] == "Shop: hello Ann, it’s us"
    assert one["sms"] == {
        "encoding": "UCS-2",
        "parts": ["Shop: hello Ann, it’s us"],
        "units": 24,
        "left": 46,
        "forced": [{"letter": "’", "count": 1, "instead": "'"}],
        "forced_count": 1,
        "parts_without": 1,
    }
    assert found["findings"][0]["rule"] == "may-lack"


def test_a_broken_message_fails_with_its_line(project: Path) -> None:
    (project / NAMED).write_text("{% block sms %}\n{{ subscriber.name }{% endblock %}")
    shown = preview("hello/named", folder=project)
    assert shown.exit_code == 1
    assert f"{NAMED}:2: error: " in shown.output


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["hello/welcom"], "there is no message hello/welcom", "did you mean 'hello/welcome'?"),
        ([], "which message?", "--serve"),
        (["hello/welcome", "--as", "nobody.json"], "cannot read nobody.json", "KEY=VALUE"),
        (["hello/welcome", "--as", "a=1", "--as", "a.b=2"], "a is a value already", ""),
    ],
)
def test_what_was_meant_is_asked_back(
    project: Path, arguments: list[str], message: str, hint: str
) -> None:
    shown = preview(*arguments, folder=project)
    assert shown.exit_code == 1
    assert message in str(shown.exception)
    assert hint in str(shown.exception)


@pytest.mark.parametrize("text", ['"a name"', "[1]", "{", "\udcff"])
def test_a_file_that_describes_nobody_is_refused(project: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "some.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    shown = preview("hello/welcome", "--as", str(tmp_path / "some.json"), folder=project)
    assert "some.json" in str(shown.exception)


def test_a_small_phone_shows_five_lines_of_sixteen_letters_or_eight_wide_ones() -> None:
    assert small_screen("a" * 20) == (["a" * 16, "a" * 4], 0)
    assert small_screen("是" * 9) == (["是" * 8, "是"], 0)
    lines, below = small_screen("\n".join("1234567"))
    assert (lines, below) == (["1", "2", "3", "4", "5"], 2)
    assert small_screen("a是" * 6)[0] == ["a是a是a是a是a是a", "是"]


def test_a_push_is_measured_as_it_is_sent() -> None:
    octets, messages = push_size(Content(text="Look", href="https://shop.example/"))
    assert messages == 1
    longer, more = push_size(Content(text="Look " * 40, href="https://shop.example/"))
    assert more == 3
    assert 195 <= longer - octets < 200  # the words, and longer lengths


def test_the_page_is_served_until_it_is_asked_to_end(project: Path) -> None:
    words = ["preview", "hello/welcome", "--serve", "--port", "0", "--project", str(project)]
    with subprocess.Popen(
        [*OUTREACH, *words], env=clean_env(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            address = re.fullmatch(
                r"preview   (http://127\.0\.0\.1:\d+/)\?message=hello/welcome\n", first
            )
            assert address is not None, first
            with urllib.request.urlopen(f"{address[1]}messages/hello/welcome") as answer:
                assert json.load(answer)["preview"]["message"] == "hello/welcome"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
