"""`outreach validate`: what is wrong with a project, before anybody is written to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from orchestrator.core.errors import OutreachError
from orchestrator.core.project import Project
from orchestrator.project import source
from orchestrator.project.findings import Finding, ProjectErrors
from orchestrator.project.load import check

FOUND_ERRORS = 1
NO_PROJECT = 2


def validate(
    project: Annotated[Path, typer.Argument(help="The project's folder.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a project: every mistake with its file, line and what to do about it.

    Exit code 0: no errors (there may be warnings); 1: errors; 2: there is no project.
    """
    try:
        whole, findings = check(source.read_folder(project))
    except ProjectErrors as errors:
        whole, findings = None, tuple(errors.findings)
    except OutreachError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(NO_PROJECT) from None
    if json:
        typer.echo(as_json(findings))
    else:
        _print(whole, findings)
    if any(found.severity == "error" for found in findings):
        raise typer.Exit(FOUND_ERRORS)


def as_json(findings: Sequence[Finding]) -> str:
    """A JSON list of objects: file, line, column, severity, rule, message, hint."""
    rows = [
        {
            "file": found.mark.file,
            "line": found.mark.line,
            "column": found.mark.column,
            "severity": found.severity,
            "rule": found.rule,
            "message": found.message,
            "hint": found.hint,
        }
        for found in findings
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()


def _print(project: Project | None, findings: Sequence[Finding]) -> None:
    colours = False if "NO_COLOR" in os.environ else None  # None: on a terminal only
    for found in findings:
        typer.echo(_line(found), color=colours)
    errors = sum(found.severity == "error" for found in findings)
    warnings = len(findings) - errors
    if project is None:
        typer.echo(f"{errors} errors, {warnings} warnings")
    else:
        typer.echo(
            f"{project.name}: {len(project.journeys)} journeys, {len(project.messages)} messages, "
            f"no errors, {warnings} warnings"
        )


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
