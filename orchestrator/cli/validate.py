"""`outreach validate`: what is wrong with a project, before anybody is written to."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import typer

from orchestrator.cli import editing
from orchestrator.cli.folders import AlsoProjectOption
from orchestrator.core.errors import OutreachError
from orchestrator.core.project import Project
from orchestrator.project import formats, source
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, did_you_mean
from orchestrator.project.load import inspect, whole
from orchestrator.project.rules import RULES

FOUND_ERRORS = 1
NO_PROJECT = 2

Format = Literal["text", "github", "json", "sarif"]


def validate(
    project: Annotated[Path, typer.Argument(help="The project's folder.")] = Path(),
    form: Annotated[
        Format,
        typer.Option("--format", help="How to print the findings: for GitHub, or a program."),
    ] = "text",
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as well.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Print every rule, and exit.")] = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="RULE", help="Print what a rule is about, and exit."),
    ] = None,
    also_project: AlsoProjectOption = None,
) -> None:
    """Check a project: every mistake with its file, line and what to do about it.

    Exit code 0: no errors (there may be warnings); 1: errors, or with --strict warnings; 2: there
    is no such project, or no such rule. The schemas by which an editor knows the project (see
    `outreach schema`) are brought up to date.
    """
    if rules or explain:
        typer.echo(_rules() if rules else _explained(explain or ""))
        return
    project = also_project or project
    try:
        draft, findings, sound = _inspected(project)
    except OutreachError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(NO_PROJECT) from None
    match "json" if json else form:
        case "json":
            typer.echo(formats.as_json(findings))
        case "sarif":
            from importlib.metadata import version  # which takes as long as to start

            about = _folder(project), version("outreach")
            typer.echo(formats.as_sarif(findings, *about, draft.allowed))
        case "github":
            if findings:
                typer.echo(formats.as_github(findings, _folder(project)))
            typer.echo(_summary(sound, findings))
        case _:
            _print(findings)
            typer.echo(_summary(sound, findings))
    if any(strict or found.severity == "error" for found in findings):
        raise typer.Exit(FOUND_ERRORS)


def _inspected(folder: Path) -> tuple[Draft, tuple[Finding, ...], Project | None]:
    """The project, as far as it can be read, what was found, and the whole of it if it is sound.
    Schemas that an editor looks for are in step with it, where we may write them."""
    with _no_collecting():
        files, unread = source.look(folder)
        draft, findings = inspect(files, command_of, unread)
        with suppress(OutreachError):
            editing.refresh(folder, draft)
        return draft, findings, whole(draft, findings)


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Objects that nothing refers to are let go at once, and circles of them are not looked for: a
    check makes many objects and hardly a circle, and looking took a third of its time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@cache
def command_of(reply: str) -> str | None:
    """The command that the bot understands before any question gets the reply, or None."""
    from bot.command import Said
    from bot.registry import understand

    command = understand(Said.of(reply))
    return None if command is None else type(command).__module__.rpartition(".")[2]


def _folder(project: Path) -> PurePosixPath:
    """Where the project lies, as seen from here: that is where a build checks it out."""
    whole = project.resolve()
    here = Path.cwd()
    return PurePosixPath(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def _rules() -> str:
    return "\n".join(
        f"{name:<20} {rule.severity:<8} {formats.plain(rule.message())}"
        for name, rule in sorted(RULES.items())
    )


def _explained(name: str) -> str:
    known = {*RULES, *formats.READING}
    if name not in known:
        typer.echo(f"there is no rule {name!r} ({did_you_mean(name, known)})", err=True)
        raise typer.Exit(NO_PROJECT)
    return formats.explained(name)


def _print(findings: Sequence[Finding]) -> None:
    colours = False if "NO_COLOR" in os.environ else None  # None: on a terminal only
    for found in findings:
        typer.echo(_line(found), color=colours)


def _summary(project: Project | None, findings: Sequence[Finding]) -> str:
    errors = sum(found.severity == "error" for found in findings)
    warnings = _counted(len(findings) - errors, "warning")
    if project is None:
        return f"{_counted(errors, 'error')}, {warnings}"
    journeys = _counted(len(project.journeys), "journey")
    messages = _counted(len(project.messages), "message")
    return f"{project.name}: {journeys}, {messages}, no errors, {warnings}"


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def _line(found: Finding) -> str:
    """`file:line:column: error: message (hint) [rule]`, coloured."""
    mark = found.mark
    colour = typer.colors.RED if found.severity == "error" else typer.colors.YELLOW
    return "".join(
        (
            typer.style(f"{mark.file}:{mark.line}:{mark.column}: ", bold=True),
            typer.style(f"{found.severity}: ", fg=colour, bold=True),
            found.message,
            typer.style(f" ({found.hint})", fg=typer.colors.GREEN) if found.hint else "",
            typer.style(f" [{found.rule}]", dim=True),
        )
    )
