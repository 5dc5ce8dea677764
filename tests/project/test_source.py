"""A project's texts, from a folder or from anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.errors import OutreachError
from orchestrator.project import shipped, source
from orchestrator.project.findings import ProjectErrors
from orchestrator.project.load import load, load_folder, load_journey


def write(folder: Path, name: str, raw: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def test_what_belongs_to_a_project_is_read_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "journeys/a.yaml", b"a")
    write(tmp_path, "journeys/deep/b.yml", b"b")
    write(tmp_path, "templates/x/y.en.j2", "é".encode())
    write(tmp_path, "journeys/notes.txt", b"no")
    write(tmp_path, "journeys/.hidden/c.yaml", b"no")
    write(tmp_path, "other/d.yaml", b"no")
    assert source.read_folder(tmp_path) == {
        "journeys/a.yaml": "a",
        "journeys/deep/b.yml": "b",
        "templates/x/y.en.j2": "é",
    }


def test_a_link_out_of_the_project_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "secret.yaml", b"password")
    write(tmp_path, "project/journeys/a.yaml", b"a")
    (tmp_path / "project/journeys/b.yaml").symlink_to(tmp_path / "secret.yaml")
    assert source.read_folder(tmp_path / "project") == {"journeys/a.yaml": "a"}


def test_a_folder_that_is_no_project_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutreachError, match="not a project"):
        source.read_folder(tmp_path)


def test_every_file_that_is_too_large_or_not_utf8_is_named(tmp_path: Path) -> None:
    write(tmp_path, "journeys/a.yaml", b"ok: 1\nname: \xc3\xa9 \xff\n")
    write(tmp_path, "journeys/b.yaml", b"x" * (source.MAX_FILE_OCTETS + 1))
    with pytest.raises(ProjectErrors) as caught:
        source.read_folder(tmp_path)
    assert [(f.mark.file, f.mark.line, f.mark.column) for f in caught.value.findings] == [
        ("journeys/a.yaml", 2, 9),
        ("journeys/b.yaml", 1, 1),
    ]


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    write(tmp_path, "journeys/a.yaml", b"\xef\xbb\xbfa: 1")
    assert source.read_folder(tmp_path) == {"journeys/a.yaml": "a: 1"}


def test_the_hash_changes_with_any_path_or_text_and_not_with_the_order() -> None:
    files = {"a": "1", "b": "2"}
    assert source.content_hash(files) == source.content_hash({"b": "2", "a": "1"})
    others = [{"a": "2", "b": "1"}, {"a": "1"}, {"a": "1", "c": "2"}, {"a1": "", "b": "2"}]
    assert source.content_hash(files) not in map(source.content_hash, others)


def test_the_same_texts_make_the_same_project_wherever_they_come_from() -> None:
    project = load_folder(shipped.programme_folder())
    again = load(shipped.programme())
    assert project.journeys == again.journeys
    assert project.versions.keys() == again.versions.keys()


def test_an_older_version_is_loaded_from_its_text_alone() -> None:
    files = shipped.programme()
    path = "journeys/seven-days.yaml"
    version = source.version_hash(files[path])
    assert load_journey(path, files[path]) == load(files).versions[version]


def test_an_older_version_that_cannot_be_read_says_where() -> None:
    with pytest.raises(ProjectErrors, match=r"old\.yaml:1:1: error: unknown key 'jorney'"):
        load_journey("journeys/old.yaml", "jorney: old\n")


def test_a_project_without_its_programme_says_which_files_are_missing() -> None:
    with pytest.raises(ProjectErrors) as caught:
        load({})
    assert [found.mark.file for found in caught.value.findings] == [
        "journeys/program/contact.yaml",
        "journeys/program/project.yaml",
    ]
