"""A project's texts: from a directory, or from wherever a copy of them is kept.

A picture stands among them as its pointer (`core.media`): its octets are read apart.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from orchestrator.core.errors import OutreachError
from orchestrator.core.media import SUFFIXES, is_picture, pointed
from orchestrator.project import pictures
from orchestrator.project.findings import Finding, Mark, ProjectErrors

MAX_FILE_OCTETS = 256 * 1024
MAX_TABLE_OCTETS = 8 * 1024 * 1024
"""Of a table beside the programme, such as where 100,000 cells stand."""

MAX_PROJECT_OCTETS = 32 * 1024 * 1024
MAX_FILES = 10_000

_UTF8_MARK = b"\xef\xbb\xbf"

PROGRAM = "journeys/program/"
"""Where the programme is, whose tables are part of the project: others below journeys/ are not."""

TABLE = ".csv"

BELONGS: Mapping[str, tuple[str, ...]] = {
    "journeys": (".yaml", ".yml", TABLE),
    "templates": (".j2", *SUFFIXES),
}
"""What belongs to a project: below which of its folders, and how the names of files end."""

TESTS = ".test.yaml"
"""How the names of files of tests end. They stand beside the journeys and are no part of them."""


def read_folder(folder: Path) -> dict[str, str]:
    """The project's files, by path below `folder` with `/`, in order.

    Raises `OutreachError` if there is no project there, and `ProjectErrors` for files that are
    too large, texts that are not UTF-8 and pictures that are none. Hidden files and folders, and
    links that lead out, are passed over.
    """
    texts, findings = look(folder)
    if findings:
        raise ProjectErrors(findings)
    return texts


def look(folder: Path) -> tuple[dict[str, str], list[Finding]]:
    """As `read_folder`: the files that can be read, and a finding for each that cannot."""
    if not (folder / "journeys").is_dir():
        whole = next((it for it in folder.resolve().parents if (it / "journeys").is_dir()), None)
        raise OutreachError(
            f"{folder} is not a project: it has no journeys/ folder",
            f"the project it is in is {whole}"
            if whole
            else "name the folder that holds journeys/ and templates/, or start one: outreach init",
        )
    texts: dict[str, str] = {}
    findings: list[Finding] = []
    octets = 0
    root = folder.resolve()
    for name in _names(root):
        if _tests(name):
            continue
        with open(f"{root}/{name}", "rb") as file:
            raw = file.read(max(MAX_TABLE_OCTETS, pictures.MAX_OCTETS) + 1)
        octets += len(raw)
        if len(texts) >= MAX_FILES or octets > MAX_PROJECT_OCTETS:
            raise OutreachError(
                f"{folder} holds more than {MAX_FILES} files or {MAX_PROJECT_OCTETS} octets",
                "is it really a project? split it, or move what does not belong out of it",
            )
        try:
            picture = is_picture(name)
            texts[name] = pictures.look(name, raw).pointer() if picture else decode(name, raw)
        except ProjectErrors as errors:
            findings += errors.findings
    return texts, findings


def read_tests(folder: Path) -> dict[str, str]:
    """The project's files of tests, by path below `folder`. Raises `ProjectErrors`."""
    root = folder.resolve()
    return {name: decode(name, (root / name).read_bytes()) for name in _names(root) if _tests(name)}


def read_pictures(folder: Path, files: Mapping[str, str]) -> dict[str, bytes]:
    """The octets of the pictures among the files that `read_folder` gave, by their hash.

    Raises `OutreachError` if one is another by now.
    """
    octets: dict[str, bytes] = {}
    for name in filter(is_picture, files):
        with (folder / name).open("rb") as file:
            raw = file.read(pictures.MAX_OCTETS + 1)
        digest = pointed(files[name]).hash
        if sha256(raw).hexdigest() != digest:
            raise OutreachError(f"{name} was changed while it was read", "try again")
        octets[digest] = raw
    return octets


def decode(name: str, raw: bytes) -> str:
    """The file's text; `ProjectErrors` if it is too large or not UTF-8."""
    most = MAX_TABLE_OCTETS if name.endswith(TABLE) else MAX_FILE_OCTETS
    if len(raw) > most:
        message = f"the file is larger than {most} octets"
        raise ProjectErrors([Finding(Mark(name), message, "split it", "file")])
    try:
        return raw.removeprefix(_UTF8_MARK).decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
        raise ProjectErrors(
            [Finding(Mark(name, line, column), "this is not UTF-8", "save it as UTF-8", "file")]
        ) from None


def rewrite(path: Path, before: str, after: str) -> None:
    """The file, which held the text `before`, holds `after`: all of it or, if that fails, none.
    Raises `ProjectErrors` if it holds another text by now."""
    raw = path.read_bytes()
    if decode(path.name, raw) != before:
        message = "the file was changed meanwhile, and is left as it is"
        raise ProjectErrors([Finding(Mark(path.name), message, "try again", "file")])
    mark = _UTF8_MARK if raw.startswith(_UTF8_MARK) else b""
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.new")
    try:
        fresh.write_bytes(mark + after.encode())
        shutil.copymode(target, fresh)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def content_hash(files: Mapping[str, str]) -> str:
    """64 hexadecimal digits that change whenever a path or a text does."""
    digest = sha256()
    for name, text in sorted(files.items()):
        for part in (name, text):
            raw = part.encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


def version_hash(text: str) -> str:
    """16 hexadecimal digits that name one text of one journey."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _tests(name: str) -> bool:
    return name.endswith(TESTS)


def _names(folder: Path) -> list[str]:
    """The paths below the folder of what belongs to a project, in order."""
    names = [
        name
        for top, endings in BELONGS.items()
        if (folder / top).resolve().is_relative_to(folder)
        for name in _below(folder, top, endings)
        if not name.endswith(TABLE) or name.startswith(PROGRAM)
    ]
    return sorted(names, key=lambda name: name.split("/"))


def _below(folder: Path, top: str, endings: tuple[str, ...]) -> Iterator[str]:
    try:
        entries = [*os.scandir(folder / top)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        name = f"{top}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(folder, name, endings)
        elif name.endswith(endings) and entry.is_file() and _inside(folder, entry):
            yield name


def _inside(folder: Path, entry: os.DirEntry[str]) -> bool:
    return not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(folder)
