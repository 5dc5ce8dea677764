"""`outreach apply`: the project is the one that runs."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import asyncpg
import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orchestrator.cli.acting import operator, record
from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    VerboseOption,
    connected,
    read_settings,
    run,
)
from orchestrator.cli.plan import checked, say
from orchestrator.cli.sms import languages
from orchestrator.core.errors import OutreachError
from orchestrator.core.project import Project
from orchestrator.project import source
from orchestrator.project.findings import Finding
from orchestrator.project.plan import NO_RULINGS, Plan
from orchestrator.project.plan_words import counted, many
from orchestrator.runtime import applying, going_back, moving
from orchestrator.runtime.embedded import run_servers
from orchestrator.runtime.going_back import Back
from orchestrator.runtime.logs import set_up_logs
from orchestrator.runtime.settings import Settings
from orchestrator.store import projects as applied_projects
from orchestrator.store.migrate import migrate
from orchestrator.store.moves import Move

Agree = Callable[[Plan], bool]
"""Shown the plan, somebody says yes."""


class Applied(Struct, frozen=True):
    """What applying came to. Journeys by name; how many people have moved, and how many of them
    were due at once when they were counted. `overtaken_by` is the number of a project that was
    applied while they moved, and runs now."""

    project: str
    changed: bool
    migrations: list[str]
    new: list[str]
    edited: list[str]
    unchanged: list[str]
    removed: list[str]
    moved: int = 0
    now: int = 0
    overtaken_by: int | None = None


def apply(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="A plan that `outreach plan --out` kept."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, also on a terminal.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Check the project, bring the database up to date, and make this the project that runs.

    People in a journey stay on the version they entered, unless it says `in_flight: follow` or
    `move`: then they go on in the new one, while everything runs. On a terminal, asks first if
    people would move. With PLAN it does exactly that, or nothing. Nobody is ever stranded: it
    refuses. Safe to repeat: what was interrupted goes on.
    """
    set_up_logs(max(logging.DEBUG, logging.WARNING - 10 * verbose))
    settings = read_settings(project)
    files, findings = checked(settings)
    pictures = source.read_pictures(settings.project, files)
    planned = read_plan(plan) if plan else None
    agree = ask if not (yes or json or planned) and on_terminal() else None
    with run_servers(settings) as urls:
        applied = run(
            lambda: apply_files(
                settings,
                urls.database_url,
                files,
                pictures,
                planned=planned,
                agree=agree,
                findings=findings,
            )
        )
    if json:
        typer.echo(msgspec.json.encode(applied).decode())
    else:
        typer.echo(told(applied))


def checked_files(settings: Settings) -> dict[str, str]:
    """The project's files. If there are errors in them, each is printed, and OutreachError raised
    before anything is touched."""
    return checked(settings)[0]


def read_plan(path: Path) -> Plan:
    """The plan in a file. Raises OutreachError if there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise OutreachError(
            f"{path}: {error.strerror}", "make it: outreach plan --out FILE"
        ) from None
    except msgspec.MsgspecError:
        raise OutreachError(f"{path} is not a plan", "make one: outreach plan --out FILE") from None


def on_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(plan: Plan) -> bool:
    """Whether somebody who has seen the plan agrees. Nobody is asked if nobody moves. Raises
    OutreachError if it strands somebody."""
    say(plan)
    applying.refuse_stranded(plan)
    return not plan.moving or typer.confirm("apply this?")


async def apply_files(
    settings: Settings,
    database_url: str,
    files: Mapping[str, str],
    pictures: Mapping[str, bytes] | None = None,
    *,
    planned: Plan | None = None,
    agree: Agree | None = None,
    findings: Sequence[Finding] = (),
    back: Back | None = None,
) -> Applied:
    """The database has the newest schema, these files, without errors, are the project that runs,
    and everybody whom it moves has moved. `pictures` are the octets of those in it, by hash.

    With `planned`, or when `agree` has said yes to a plan, exactly that is done. `back` is for a
    rollback. Raises OutreachError, and then nothing is applied.
    """
    async with connected(database_url) as connection:
        migrations = await migrate(connection)
        rulings = await going_back.rulings(connection, back) if back else NO_RULINGS
        spoken = languages(settings)

        async def foresee() -> Plan:
            return await applying.foresee(
                connection,
                files,
                settings.clock.now(),
                findings=findings,
                rulings=rulings,
                back_to=back.to if back else 0,
                languages=spoken,
            )

        if agree is not None:
            planned = await foresee()
            if not agree(planned):
                raise OutreachError("nothing was applied")
        async with connection.transaction():
            await applied_projects.lock(connection)
            now = settings.clock.now()
            plan = await foresee()
            if planned and (why := applying.disagreement(planned, plan)):
                raise OutreachError(
                    f"the plan does not hold any more: {why}",
                    "plan again: outreach plan --out FILE",
                )
            project, changed = await applying.carry_out(
                connection, plan, files, now, pictures, rulings=rulings, by=operator()
            )
            applied = _compared(project, changed, migrations, plan)
            if changed or migrations:
                summary = msgspec.structs.asdict(applied)
                versions = {
                    "journeys": {it.journey: it.before for it in plan.journeys if it.before}
                }
                after = {"files": source.content_hash(files), **summary}
                what = "project.applied"
                if back:
                    what, after = "project.rolled_back", {"to": back.to, **after}
                about = f"project:{project.name}"
                await record(settings, connection, what, about, versions, after)
        moved = await _moved(connection, settings, applied.moved)
        newest = await applied_projects.current(connection)
    overtaken = newest is not None and newest[1] != files
    return msgspec.structs.replace(
        applied, moved=moved, overtaken_by=newest[0] if newest and overtaken else None
    )


async def _moved(connection: asyncpg.Connection, settings: Settings, people: int) -> int:
    """Everybody who is to move has; how many they were. Who interrupts it is told who goes on."""
    total = 0
    with progress(people) as tell:

        def count(move: Move, more: int) -> None:
            nonlocal total
            total += more
            tell(move, more)

        try:
            return await moving.finish(connection, settings.clock, count)
        except asyncio.CancelledError:
            typer.echo(
                f"{total:,} of {many(people)} have moved; sweeps go on with it, and the next "
                "`outreach apply` waits for the end",
                err=True,
            )
            raise


@contextmanager
def progress(people: int) -> Iterator[moving.Told]:
    """How far people have moved is shown on a terminal."""
    console = Console(stderr=True)
    if not people or not console.is_terminal:
        yield lambda move, more: None
        return
    columns = (
        TextColumn("people move"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("move", total=people)

        def tell(move: Move, more: int) -> None:
            bar.advance(task, more)

        yield tell


def _compared(project: Project, changed: bool, migrations: list[str], plan: Plan) -> Applied:
    def of(kind: str) -> list[str]:
        return [it.journey for it in plan.journeys if it.kind == kind and (it.before or it.after)]

    return Applied(
        project=project.name,
        changed=changed,
        migrations=migrations,
        new=of("new"),
        edited=of("changed"),
        unchanged=of("unchanged"),
        removed=of("removed"),
        moved=plan.moving if changed else 0,
        now=plan.now if changed else 0,
    )


def told(applied: Applied) -> str:
    """What happened, for people."""
    lines = [f"migrated: {name}" for name in applied.migrations]
    for word, names in (
        ("new", applied.new),
        ("changed", applied.edited),
        ("removed", applied.removed),
    ):
        lines += [f"{word}: {name}" for name in names]
    if not applied.changed:
        lines.append(f"{applied.project}: nothing has changed")
    else:
        lines.append(
            f"{applied.project} is applied: {counted(len(applied.new), 'journey')} new, "
            f"{len(applied.edited)} changed, {len(applied.unchanged)} unchanged, "
            f"{len(applied.removed)} removed"
        )
    if applied.moved:
        have = "has" if applied.moved == 1 else "have"
        lines.append(f"{many(applied.moved)} {have} moved to new versions")
    if applied.overtaken_by:
        lines.append(
            f"project {applied.overtaken_by} was applied meanwhile, and is the one that runs"
        )
    return "\n".join(lines)
