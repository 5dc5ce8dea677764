"""`outreach plan`: what applying the project would do to everybody who is under way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import asyncpg
import msgspec
import typer

from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.cli.show import plain
from orchestrator.cli.sms import languages
from orchestrator.cli.validate import command_of
from orchestrator.core.errors import OutreachError
from orchestrator.project import plan_words as words
from orchestrator.project import source
from orchestrator.project.findings import Finding, ProjectErrors
from orchestrator.project.load import check
from orchestrator.project.plan import JourneyPlan, Plan
from orchestrator.runtime import applying
from orchestrator.runtime.settings import Settings
from orchestrator.store import migrate

STRANDS = 1
CHANGES = 2

_COLOURS = {
    "new": typer.colors.GREEN,
    "changed": typer.colors.YELLOW,
    "removed": typer.colors.RED,
    "moves": typer.colors.CYAN,
    "leaves": typer.colors.MAGENTA,
    "stranded": typer.colors.RED,
}


def plan(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Keep the plan, for `outreach apply`."),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a comment for a pull request.")
    ] = False,
    detailed: Annotated[
        bool,
        typer.Option("--detailed-exitcode", help="Exit with 2 if something would change."),
    ] = False,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Tell what `outreach apply` would do: who stands where, who moves, who is due at once.

    Changes nothing. Exit code 0: it can be applied; 1: it has errors, or would strand somebody;
    with --detailed-exitcode 2: it can be applied, and would change something.
    """

    async def look(settings: Settings, connection: asyncpg.Connection) -> Plan:
        files, findings = checked(settings)
        await _refuse_behind(connection)
        now = settings.clock.now()
        return await applying.foresee(
            connection, files, now, findings=findings, languages=languages(settings)
        )

    found = run_once(project, verbose, look)
    encoded = shown(found)
    if out is not None:
        out.write_text(encoded + "\n", encoding="utf-8")
    if json:
        typer.echo(encoded)
    elif markdown:
        typer.echo(words.markdown(found), nl=False)
    else:
        say(found)
        if out is not None:
            typer.echo(f"apply exactly this: outreach apply {out}")
    if found.stranded:
        raise typer.Exit(STRANDS)
    if detailed and found.changed:
        raise typer.Exit(CHANGES)


async def _refuse_behind(connection: asyncpg.Connection) -> None:
    """Raises OutreachError if who stands where cannot be read before the database is migrated."""
    if behind := await migrate.lacking(connection):
        raise OutreachError(
            f"the database is of an older version: it lacks {', '.join(behind)}, and people cannot "
            "be counted in it",
            "run: outreach apply (it migrates; on a terminal it then shows the plan, and asks "
            "before anybody moves). Of the project that runs already it only migrates",
        )


def checked(settings: Settings) -> tuple[dict[str, str], tuple[Finding, ...]]:
    """The project's files, and warnings about them. If there are errors in them, each is printed,
    and OutreachError raised before anything is touched."""
    try:
        files = source.read_folder(settings.project)
        _, findings = check(files, command_of)
        if errors := [found for found in findings if found.severity == "error"]:
            raise ProjectErrors(errors)
    except ProjectErrors as errors:
        for found in errors.findings:
            typer.echo(str(found), err=True)
        count = len(errors.findings)
        said, them = ("1 error", "it") if count == 1 else (f"{count} errors", "them")
        raise OutreachError(
            f"the project has {said}: nothing was applied", f"mend {them} first"
        ) from None
    return files, findings


def shown(plan: Plan) -> str:
    """The plan for programs, and to be kept."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode()


def say(plan: Plan) -> None:
    """The plan is on the terminal, in colour if that shows colours."""
    colours = False if "NO_COLOR" in os.environ else None  # None: on a terminal only
    for line in told(plan):
        typer.echo(line, color=colours)


def told(plan: Plan) -> Iterator[str]:
    """The plan, line by line."""
    yield typer.style(words.headline(plan), bold=True)
    for it in words.worth_telling(plan):
        yield from _journey(it, plan)
    for kind, sign, changes in words.grouped(plan):
        names = ", ".join(change.name for change in changes)
        yield typer.style(f"{words.SIGNS[sign]} {kind}: {plain(names)}", fg=_COLOURS[sign])
    warnings = [found for found in plan.findings if found.severity == "warning"]
    if warnings:
        said = "1 warning; see it" if len(warnings) == 1 else f"{len(warnings)} warnings; see them"
        yield f"{said} with: outreach validate"
    if plan.changed or plan.moving or plan.stranded:
        colour = typer.colors.RED if plan.stranded else None
        yield typer.style(words.consequence(plan), fg=colour, bold=True)


def _journey(it: JourneyPlan, plan: Plan) -> Iterator[str]:
    sign = words.SIGNS.get(it.kind, " ")
    yield typer.style(f"{sign} journey {words.title(it)}", fg=_COLOURS.get(it.kind), bold=True)
    if said := words.itself(it):
        yield typer.style(f"    ~ {said}", fg=_COLOURS["changed"])
    for change in it.steps:
        line = f"    {words.SIGNS[change.change]} {words.step_line(change)}"
        yield typer.style(line, fg=_COLOURS[change.change])
    for stand in it.stands:
        if stand.fate != "stays":
            where = f"{words.place(stand)} ({words.short(stand.version)})"
            line = f"    {stand.people:>9,} {where:<34} {words.fate(stand, it, plan.back_to > 0)}"
            yield typer.style(line, fg=_COLOURS[stand.fate])
    for version, people, is_new in words.staying(it):
        if not is_new:
            gone = "the journey is removed, they finish it in" if not it.after else "stay in"
            yield f"    {people:>9,} {gone} {words.short(version)}"
    for lost in it.lost:
        line = (
            f"    {lost.people:>9,} in {words.short(lost.version)} will not get {lost.message} at "
            f"{lost.step}: the message is gone"
        )
        yield typer.style(line, fg=typer.colors.YELLOW)
    if said := words.cost(it, plan.currency):
        yield f"    {said}"
