"""A command starts quickly: it loads what it uses, and the list of commands loads none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import build, describe
from tests.cli.shell import OUTREACH, clean_env

LOADED = """
import sys
from orchestrator.cli.main import main
sys.argv = ["outreach", *sys.argv[1:]]
try:
    main()
finally:
    print(*(it for it in ("asyncpg", "aiohttp", "arq", "redis", "jinja2") if it in sys.modules))
"""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (("--help",), ""),
        (("--version",), ""),
        (("validate", "--help"), "jinja2"),
        (("show", "--help"), "asyncpg"),
        (("failures", "--help"), "asyncpg"),
        (("import", "--help"), "asyncpg jinja2"),
        (("preview", "--help"), "asyncpg jinja2"),
    ],
)
def test_a_command_loads_no_more_than_it_uses(words: tuple[str, ...], loaded: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        env=clean_env(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == loaded


def test_the_list_says_of_each_command_what_the_command_itself_says() -> None:
    light, whole = (CliRunner().invoke(it, ["-h"]) for it in (build(found=describe), build()))
    assert light.output == whole.output


@pytest.mark.parametrize(
    ("line", "offered"),
    [("outreach re", ["replay", "resume", "recall"]), ("outreach show --js", ["--json"])],
)
def test_a_shell_completes_commands_and_their_options(line: str, offered: list[str]) -> None:
    asked = {"_OUTREACH_COMPLETE": "complete_bash", "COMP_WORDS": line}
    ran = subprocess.run(
        OUTREACH,
        env=clean_env(**asked, COMP_CWORD=str(line.count(" "))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.split() == offered, ran.stderr
