"""`outreach validate`: what is wrong with a project, before anybody is written to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

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
    console = Console(file=sys.stdout, soft_wrap=True, highlight=False, markup=False)
    for found in findings:
        console.print(_line(found))
    errors = sum(found.severity == "error" for found in findings)
    warnings = len(findings) - errors
    if project is None:
        console.print(f"{errors} errors, {warnings} warnings")
    else:
        console.print(
            f"{project.name}: {len(project.journeys)} journeys, {len(project.messages)} messages, "
            f"no errors, {warnings} warnings"
        )


def _line(found: Finding) -> Text:
    """`file:line:column: error: message (hint) [rule]`, coloured where a terminal shows it."""
    mark = found.mark
    colour = "bold red" if found.severity == "error" else "bold yellow"
    return Text.assemble(
        (f"{mark.file}:{mark.line}:{mark.column}: ", "bold"),
        (f"{found.severity}: ", colour),
        found.message,
        (f" ({found.hint})" if found.hint else "", "green"),
        (f" [{found.rule}]", "dim"),
    )
