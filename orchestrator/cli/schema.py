"""`outreach schema`: what an editor must know to complete and check a project's YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.editing import IGNORED, channels
from orchestrator.cli.options import ProjectOption, read_settings
from orchestrator.core.errors import OutreachError
from orchestrator.project import editor, source
from orchestrator.project.load import read


def schema(
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
    folder = read_settings(project).project
    files = source.read_folder(folder)
    wanted = {**editor.written(read(files)), **channels()}
    if out is None:
        wanted |= IGNORED
    target = out or folder / editor.FOLDER
    unlined = _unlined(folder, files) if modelines else {}
    if check:
        _check(target, [*editor.stale(target, wanted), *unlined])
        return
    changed = [*editor.write(target, wanted), *editor.write(folder, unlined)]
    typer.echo(f"{target}: {len(wanted)} files, {len(changed)} of them new or changed")


def _unlined(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """The YAML files that name no schema yet, as they are when they do."""
    all_files = {**files, **source.read_tests(folder)}
    channels_file = folder / f"{editor.CHANNELS}.yaml"
    if channels_file.is_file():
        all_files[channels_file.name] = channels_file.read_text(encoding="utf-8")
    lined = {name: editor.with_line(name, text) for name, text in all_files.items()}
    return {name: text for name, text in lined.items() if text != all_files[name]}


def _check(target: Path, stale: list[str]) -> None:
    if not stale:
        typer.echo(f"{target}: in step")
        return
    raise OutreachError(
        f"{target} is out of step: {', '.join(sorted(stale))}", "write them anew: outreach schema"
    )
