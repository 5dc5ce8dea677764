"""`outreach apply`: the project is the one that runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import asyncpg
import msgspec
import typer
from msgspec import Struct

from orchestrator.cli.acting import record
from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    VerboseOption,
    connected,
    read_settings,
    run,
)
from orchestrator.core.errors import OutreachError
from orchestrator.core.project import Project
from orchestrator.project import source
from orchestrator.project.findings import ProjectErrors
from orchestrator.project.load import check, load
from orchestrator.runtime import projects
from orchestrator.runtime.embedded import run_servers
from orchestrator.runtime.logs import set_up_logs
from orchestrator.runtime.settings import Settings
from orchestrator.store import projects as applied_projects
from orchestrator.store.migrate import migrate


class Applied(Struct, frozen=True):
    """What applying came to. Journeys by name."""

    project: str
    changed: bool
    migrations: list[str]
    new: list[str]
    edited: list[str]
    unchanged: list[str]
    removed: list[str]


def apply(
    project: ProjectOption = None, json: JsonOption = False, verbose: VerboseOption = 0
) -> None:
    """Check the project, bring the database up to date, and make this the project that runs.

    People in a journey stay on the version they entered. Safe to repeat.
    """
    set_up_logs(max(logging.DEBUG, logging.WARNING - 10 * verbose))
    settings = read_settings(project)
    files = checked_files(settings)
    pictures = source.read_pictures(settings.project, files)
    with run_servers(settings) as urls:
        applied = run(lambda: apply_files(settings, urls.database_url, files, pictures))
    if json:
        typer.echo(msgspec.json.encode(applied).decode())
    else:
        typer.echo(told(applied))


def checked_files(settings: Settings) -> dict[str, str]:
    """The project's files. If there are errors in them, each is printed, and OutreachError raised
    before anything is touched."""
    try:
        files = source.read_folder(settings.project)
        _, findings = check(files)
        if errors := [found for found in findings if found.severity == "error"]:
            raise ProjectErrors(errors)
    except ProjectErrors as errors:
        for found in errors.findings:
            typer.echo(str(found), err=True)
        raise OutreachError(
            f"the project has {len(errors.findings)} errors, and was not applied", "mend them first"
        ) from None
    return files


async def apply_files(
    settings: Settings,
    database_url: str,
    files: Mapping[str, str],
    pictures: Mapping[str, bytes] | None = None,
) -> Applied:
    """The database has the newest schema, and these files, without errors, are the project that
    runs. `pictures` are the octets of those in it, by hash."""
    async with connected(database_url) as connection:
        migrations = await migrate(connection)
        before = await _running(connection)
        async with connection.transaction():
            project, changed = await projects.apply(
                connection, files, settings.clock.now(), pictures
            )
            applied = _compared(project, changed, migrations, before)
            if changed or migrations:
                summary = msgspec.structs.asdict(applied)
                versions = {"journeys": before}
                after = {"files": source.content_hash(files), **summary}
                about = f"project:{project.name}"
                await record(settings, connection, "project.applied", about, versions, after)
    return applied


def _compared(
    project: Project, changed: bool, migrations: list[str], before: Mapping[str, str]
) -> Applied:
    now = {name: journey.version for name, journey in project.journeys.items()}
    return Applied(
        project=project.name,
        changed=changed,
        migrations=migrations,
        new=sorted(now.keys() - before.keys()),
        edited=sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        unchanged=sorted(name for name in now.keys() & before.keys() if now[name] == before[name]),
        removed=sorted(before.keys() - now.keys()),
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
            f"{applied.project} is applied: {len(applied.new)} journeys new, "
            f"{len(applied.edited)} changed, {len(applied.unchanged)} unchanged, "
            f"{len(applied.removed)} removed"
        )
    return "\n".join(lines)


async def _running(connection: asyncpg.Connection) -> dict[str, str]:
    """The journeys that run now, with their versions; none if nothing was applied, or if it was
    written for another Outreach."""
    found = await applied_projects.current(connection)
    if found is None:
        return {}
    try:
        project: Project = load(found[1])
    except ProjectErrors:
        return {}
    return {name: journey.version for name, journey in project.journeys.items()}
