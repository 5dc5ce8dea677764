"""`outreach schema`: what an editor must know to complete and check a project's YAML."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.editing import IGNORED, channels
from orchestrator.cli.options import ProjectOption, read_settings
from orchestrator.core.errors import OutreachError
from orchestrator.project import editor, source
from orchestrator.project.findings import did_you_mean
from orchestrator.project.load import read


def schema(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PROJECT]",
            help="The same as --project, as validate takes it.",
            show_default=False,
        ),
    ] = None,
    project: ProjectOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help=f"Where the schemas go [default: {editor.FOLDER} in the project].",
            show_default=False,
        ),
    ] = None,
    print_: Annotated[
        str | None,
        typer.Option(
            "--print",
            metavar="KIND",
            help="Write nothing; print the schema of this kind of file: journey, contact, …",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if anything is out of step.")
    ] = False,
    modelines: Annotated[
        bool,
        typer.Option(
            "--modelines",
            help="Also put the line by which an editor finds its schema into each YAML file that "
            "has none. A journey whose text changes is a new version of it.",
        ),
    ] = False,
) -> None:
    """Write JSON Schemas of the project's YAML, for editors: they complete and check keys, and know
    this project's messages, segments, contact classes and events. `init` and `validate` do it too.

    Exit code 0: the schemas are written, or in step; 1: with --check, they are not.
    """
    folder = read_settings(project or folder).project
    files = source.read_folder(folder)
    wanted = {**editor.written(read(files)), **channels()}
    if print_ is not None:
        typer.echo(_named(print_, wanted), nl=False)
        return
    if out is None:
        wanted |= IGNORED
    target = out or folder / editor.FOLDER
    unlined = _unlined(folder, files, target) if modelines else {}
    if check:
        _check(target, [*editor.stale(target, wanted), *unlined])
        return
    changed = [*editor.write(target, wanted), *editor.write(folder, unlined)]
    typer.echo(f"{target}: {len(wanted)} files, {len(changed)} of them new or changed")


def _named(kind: str, written: Mapping[str, str]) -> str:
    """The schema of this kind. Raises OutreachError if there is none."""
    if (found := written.get(f"{kind}.json")) is not None:
        return found
    kinds = [name.removesuffix(".json") for name in written]
    raise OutreachError(f"there is no kind of file {kind!r}", did_you_mean(kind, kinds))


def _unlined(folder: Path, files: dict[str, str], target: Path) -> dict[str, str]:
    """The YAML files that name no schema yet, as they are when they name theirs in `target`."""
    there = Path(os.path.relpath(target.resolve(), folder.resolve())).as_posix()
    all_files = {**files, **source.read_tests(folder)}
    channels_file = folder / f"{editor.CHANNELS}.yaml"
    if channels_file.is_file():
        all_files[channels_file.name] = channels_file.read_text(encoding="utf-8")
    lined = {name: editor.with_line(name, text, there) for name, text in all_files.items()}
    return {name: text for name, text in lined.items() if text != all_files[name]}


def _check(target: Path, stale: list[str]) -> None:
    if not stale:
        typer.echo(f"{target}: in step")
        return
    raise OutreachError(
        f"{target} is out of step: {', '.join(sorted(stale))}", "write them anew: outreach schema"
    )
