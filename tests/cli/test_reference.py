"""The reference is what the code says, and every command can be understood from its help."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import COMMANDS, build
from orchestrator.cli.reference import FOLDER, cli_reference, export_reference, settings_reference
from orchestrator.runtime.settings import SETTINGS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("page", "written"),
    [
        ("cli.md", cli_reference),
        ("export.md", export_reference),
        ("settings.md", settings_reference),
    ],
)
def test_a_page_is_in_step_with_the_code(page: str, written: object) -> None:
    assert callable(written)
    text = (ROOT / FOLDER / page).read_text(encoding="utf-8")
    assert text == written(), "run: python -m orchestrator.cli.reference"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(build([name]), [name, "--help"])
    assert shown.exit_code == 0
    assert f"Example: {COMMANDS[name][1]}" in " ".join(shown.output.split())


def test_operators_are_told_of_every_setting_and_process() -> None:
    guide = (ROOT / "docs/operators.md").read_text(encoding="utf-8")
    for setting in SETTINGS:
        assert setting.variable in guide, setting.variable
    for name in ("up", "apply", "worker", "gateway", "web", "import", "show", "status"):
        assert f"outreach {name}" in guide, name
