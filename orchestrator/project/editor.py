"""What an editor finds in a project's folder: the schemas, and in each file the line that names its
own. Schemas lie where git does not look, and are written anew from what is there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from orchestrator.core.errors import OutreachError
from orchestrator.project import source
from orchestrator.project.draft import Draft
from orchestrator.project.schema import FORMS, Schema, schemas

FOLDER = ".outreach/schema"
"""Where the schemas are, below the project's folder."""

CHANNELS = "channels"
"""The schema that is not of the project, but of the installation: that of channels.yaml."""

_PROGRAM = "journeys/program/"
_LINE = re.compile(r"^#\s*(?:yaml-language-server\s*:|\$schema\s*:)", re.MULTILINE)
_WIRED = re.compile(rf"^# yaml-language-server: \$schema=(?:\.\./)*{re.escape(FOLDER)}/", re.M)

_SETTINGS = {
    ".vscode/settings.json": {
        "yaml.schemas": {
            f"{FOLDER}/journey.json": [
                "/journeys/**/*.yaml",
                f"!/{_PROGRAM}**",
                f"!/journeys/**/*{source.TESTS}",
            ],
            f"{FOLDER}/tests.json": [f"/journeys/**/*{source.TESTS}"],
            **{
                f"{FOLDER}/{name}.json": [f"/{_PROGRAM}{name}.yaml"]
                for name in FORMS
                if name not in ("journey", "tests")
            },
            f"{FOLDER}/{CHANNELS}.json": [f"/{CHANNELS}.yaml"],
        }
    },
    ".vscode/extensions.json": {"recommendations": ["redhat.vscode-yaml"]},
}
"""For VS Code, so that files that are still to be written have their schema as well."""


def schema_name(path: str) -> str | None:
    """Which schema the file at this path has, below the project's folder; None if it has none."""
    name = PurePosixPath(path)
    if path == f"{CHANNELS}.yaml":
        return CHANNELS
    if not path.startswith("journeys/") or name.suffix not in (".yaml", ".yml"):
        return None
    if path.startswith(_PROGRAM):
        return name.stem if name.stem in FORMS and name.stem not in ("journey", "tests") else None
    return "tests" if path.endswith(source.TESTS) else "journey"


def line(path: str, folder: str = FOLDER) -> str:
    """The comment by which an editor finds the schema of the file at this path, which has one. It
    leads there from the file, so that the project may lie anywhere in what the editor opened.
    `folder` is where the schemas are, seen from the project's."""
    up = "../" * (len(PurePosixPath(path).parts) - 1)
    return f"# yaml-language-server: $schema={up}{folder}/{schema_name(path)}.json\n"


def with_line(path: str, text: str, folder: str = FOLDER) -> str:
    """The text with that line at its top, unless it names a schema already or can have none."""
    if schema_name(path) is None or _LINE.search(text):
        return text
    first = line(path, folder)
    return (first.replace("\n", "\r\n") if "\r\n" in text else first) + text


def vs_code() -> dict[str, str]:
    """What a folder that VS Code opens says of our files, by path."""
    return {name: f"{json.dumps(it, indent=2)}\n" for name, it in _SETTINGS.items()}


def is_wired(files: Iterable[str]) -> bool:
    """Whether any of these texts looks for its schema where we put it."""
    return any(_WIRED.search(text) for text in files)


def written(draft: Draft) -> dict[str, str]:
    """The project's own schemas as files, by name."""
    return {f"{name}.json": encoded(it) for name, it in schemas(draft).items()}


def encoded(schema: Schema) -> str:
    """The schema as a file: two of one project differ only where the project does."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=1).decode() + "\n"


def stale(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Those of the files that do not stand like that in the folder."""
    return [name for name, text in files.items() if _read(folder / name) != text]


def write(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The files stand in the folder, each whole at any moment; which of them are new or other than
    before. Raises OutreachError."""
    changed = stale(folder, files)
    try:
        for name in changed:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.{os.getpid()}")
            new.write_text(files[name], encoding="utf-8")
            new.replace(path)
    except OSError as error:
        raise OutreachError(f"cannot write {folder}: {error.strerror}") from None
    return changed


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
