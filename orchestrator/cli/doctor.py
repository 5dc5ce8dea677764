"""`outreach doctor`: is everything in the database as it must be?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import asyncpg
import msgspec
import typer

from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.runtime.settings import Settings
from orchestrator.store.checks import Finding, examine


def doctor(
    most: Annotated[int, typer.Option(help="How many lines of each kind to show.", min=1)] = 20,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Recompute every invariant of the database; for each that is broken, say what to do.

    Changes nothing, and may run beside everything else. Exit code 1 if something is wrong.
    """

    async def look(settings: Settings, connection: asyncpg.Connection) -> list[Finding]:
        return await examine(connection, settings.clock.now(), most)

    findings = run_once(project, verbose, look)
    if json:
        typer.echo(msgspec.json.encode(findings).decode())
    else:
        for line in told(findings, most):
            typer.echo(line)
    if any(finding.found for finding in findings):
        raise typer.Exit(1)


def told(findings: Sequence[Finding], most: int) -> Iterator[str]:
    """The findings, line by line."""
    for finding in findings:
        if not finding.found:
            yield f"{typer.style('ok', fg=typer.colors.GREEN)}     {finding.check}"
            continue
        yield f"{typer.style('wrong', fg=typer.colors.RED)}  {finding.check}"
        yield from (f"         {line}" for line in finding.found)
        if len(finding.found) == most:
            yield "         … and perhaps more: --most"
        yield f"       do: {finding.remedy}"
