"""A new project: named after its folder, with somebody to write to."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.project import shipped
from orchestrator.project.load import check
from tests.cli.shell import outreach


def test_a_new_project_has_what_the_bot_says_and_people_to_try_it_on(tmp_path: Path) -> None:
    made = outreach("init", "shop", cwd=tmp_path)
    assert "outreach import shop/people.csv --project shop" in made.stdout
    folder = tmp_path / "shop"
    assert (folder / "templates/bot/stopped.en.j2").exists()
    assert (folder / "people.csv").read_text().startswith("key,phone,name,timezone\nann,+44")


def test_a_new_project_bears_the_name_of_its_folder(tmp_path: Path) -> None:
    outreach("init", "Corner Shop", cwd=tmp_path)
    files = [path.read_text() for path in (tmp_path / "Corner Shop").rglob("*.*") if path.is_file()]
    assert any("name: Corner-Shop\n" in text for text in files)
    assert any("Corner-Shop: you have {{ points.balance }} points" in text for text in files)
    assert not any(name in text for text in files for name in ("Xinghe", "星河", "10099"))


@pytest.mark.parametrize(
    "name", ["", "2026", "null", "{{ 7 }}", "a: b", "- x", "'", "#", "店", "x" * 300, "a\nb", "..."]
)
def test_any_name_of_a_folder_gives_a_project_without_findings(name: str) -> None:
    project, findings = check(shipped.starter(name))
    assert findings == ()
    assert project is not None
    assert project.name
