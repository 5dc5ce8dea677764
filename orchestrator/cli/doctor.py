"""`outreach doctor`: is everything in the database as it must be?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Annotated

import asyncpg
import msgspec
import typer

from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.cli.unserved import known_to_all, unserved
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.channels import FILE, configured
from orchestrator.runtime.projects import Projects
from orchestrator.runtime.settings import Settings
from orchestrator.store import matching, sharing
from orchestrator.store.checks import Finding, examine, reached


def doctor(
    most: Annotated[int, typer.Option(help="How many lines of each kind to show.", min=1)] = 20,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Recompute every invariant of the database, and look whether every channel that journeys name
    is configured, and triggers have a matcher; for each that is broken, say what to do.

    Changes nothing, and may run beside everything else. Exit code 1 if something is wrong.
    """

    async def look(settings: Settings, connection: asyncpg.Connection) -> list[Finding]:
        findings = await examine(connection, settings.clock.now(), most)
        projects = Projects()
        findings += await _channels_are_there(settings, projects, connection, most)
        return [*findings, *await _somebody_matches(settings, projects, connection)]

    findings = run_once(project, verbose, look)
    if json:
        typer.echo(msgspec.json.encode(findings).decode())
    else:
        for line in told(findings, most):
            typer.echo(line)
    if any(finding.found for finding in findings):
        raise typer.Exit(1)


async def _channels_are_there(
    settings: Settings, projects: Projects, connection: asyncpg.Connection, most: int
) -> list[Finding]:
    """Whether somebody could be written to on a channel that nothing sends. Not looked at where the
    channels' file, or what it takes from the environment, is not."""
    try:
        there = known_to_all(configured(settings, os.environ))
    except OutreachError as error:
        typer.echo(f"the channels were not looked at: {error.message}", err=True)
        return []
    found = []
    for word, names in unserved(await projects.follow(connection), there).items():
        if people := await reached(connection, word):
            journeys = ", ".join(names)
            found.append(
                f"{word}: journeys name it ({journeys}), {people} people have an address on it, "
                "and nothing sends it"
            )
    remedy = f"configure it in {FILE}, or take it out of `via`: what is queued on it waits for ever"
    return [Finding("journeys' channels are there", tuple(found[:most]), remedy if found else "")]


async def _somebody_matches(
    settings: Settings, projects: Projects, connection: asyncpg.Connection
) -> list[Finding]:
    """Whether a matcher has any partition, if something waits for one. Whoever takes over from
    another has them within seconds; so only that nobody has any is wrong."""
    try:
        project = await projects.follow(connection)
    except OutreachError as error:
        typer.echo(f"matchers were not looked at: {error.message}", err=True)
        return []
    if not (named := [*dict.fromkeys(journey.name for journey, _, _ in project.triggers)]):
        return []
    if await sharing.held(connection):
        return [Finding("somebody matches events", (), "")]
    last = max((it.at for it in await matching.show(connection)), default=None)
    since = f"since {last:%Y-%m-%d %H:%M} UTC" if last else "so far"
    found = (
        f"no matcher has any of {settings.partitions} partitions, and nothing was matched {since}: "
        f"triggers ({', '.join(named)}) do not fire"
    )
    remedy = (
        "start one: outreach matcher, with the same DATABASE_URL, REDIS_URL and "
        "OUTREACH_PARTITIONS; what was reported waits in Redis until then"
    )
    return [Finding("somebody matches events", (found,), remedy)]


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
