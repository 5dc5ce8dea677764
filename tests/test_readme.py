"""The documents name what exists: files, links, commands; and the README's journey runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.cli.main import COMMANDS
from orchestrator.project import shipped
from orchestrator.project.load import check

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")

TOP = ("orchestrator", "channels", "bot", "journeys", "templates", "tests", "docs")
OF_PROJECTS = ("journeys/", "templates/")
"""Folders that every project has: a path below them may be one of the reader's own."""


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """What `#…` may name on a page, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_file_that_is_named_exists(page: Path) -> None:
    for word in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")):
        path = re.match(rf"(?:{'|'.join(TOP)})/[\w./-]*$", word)
        if path and not (page != PAGES[0] and word.startswith(OF_PROJECTS)):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_name_that_is_said_to_be_in_a_file_is_there(page: Path) -> None:
    text = " ".join(page.read_text(encoding="utf-8").split())
    for name, path in re.findall(r"`([\w.]+)` (?:in |\()`([\w/]+\.py)`", text):
        assert name.split(".")[-1] in (ROOT / path).read_text(encoding="utf-8"), (name, path)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_module_that_is_to_be_run_exists(page: Path) -> None:
    for module in re.findall(r"python -m ([\w.]+)", page.read_text(encoding="utf-8")):
        path = ROOT / module.replace(".", "/")
        if module.partition(".")[0] in TOP:
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_command_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command in re.findall(r"(?:^|`|^\. \S+ && |; )outreach ([a-z]+)", text, re.MULTILINE):
        assert command in COMMANDS, command
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile, target


def test_the_readmes_journey_is_right() -> None:
    blocks = re.findall(r"^```(?:yaml|jinja)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    files = {}
    for text in blocks:
        path = re.match(r"(?:#|\{#) (\S+)", text)
        assert path is not None, "the first line names the file"
        files[path[1]] = text
    assert len(files) == 3
    project, findings = check({**shipped.starter(), **files})
    assert [str(found) for found in findings] == []
    assert project is not None
    assert "first-week" in project.journeys


def test_the_readmes_house_is_this_one() -> None:
    rooms = re.search(r"^## The house\n\n```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert rooms is not None
    for line in rooms[1].splitlines():
        for room in re.split(r"  +", line)[0].split(", "):
            assert (ROOT / room).is_dir(), room
    assert {path.parent.name for path in (ROOT / "orchestrator").glob("*/__init__.py")} <= set(
        re.findall(r"orchestrator/(\w+)/", rooms[1])
    )


def test_every_room_of_the_house_has_its_line() -> None:
    for room in TOP[:-1]:
        assert f"{room}/" in README, room


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_picture_is_small_and_says_what_it_shows(page: Path) -> None:
    for words, picture in re.findall(r"!\[(.*?)\]\((.*?)\)", page.read_text(encoding="utf-8")):
        assert len(words) > 20
        assert (page.parent / picture).stat().st_size <= 400_000, picture
