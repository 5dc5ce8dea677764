"""`outreach explain --replay`: one subscriber's life, decision by decision."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import typer
from msgspec import Struct
from msgspec.structs import replace

from bot import router
from orchestrator.cli.finding import found_by
from orchestrator.cli.options import run_once
from orchestrator.cli.show import plain
from orchestrator.core import calendar
from orchestrator.core.errors import OutreachError
from orchestrator.core.narration import Line
from orchestrator.core.project import Project
from orchestrator.core.retelling import Told, retold
from orchestrator.project.load import load, load_journey
from orchestrator.runtime.lists import Lists
from orchestrator.runtime.settings import Settings
from orchestrator.store import lives, projects

DIFFERS = 1


class Retold(Struct, frozen=True):
    """One subscriber, and every decision about them that concerns the journey asked about."""

    subscriber: str
    timezone: str | None
    decisions: tuple[Told, ...]
    differing: int


def retell(who: str, journey: str | None, json: bool, project: Path | None, verbose: int) -> None:
    """The life of the subscriber `who` is printed."""

    async def ask(settings: Settings, connection: asyncpg.Connection) -> Retold:
        return await life_of(connection, who, journey, settings.clock.now())

    found = run_once(project, verbose, ask)
    if json:
        typer.echo(msgspec.json.encode(found, enc_hook=str).decode())
    else:
        for line in _told(found):
            typer.echo(line)
    if found.differing:
        raise typer.Exit(DIFFERS)


async def life_of(
    connection: asyncpg.Connection, who: str, journey: str | None, now: datetime
) -> Retold:
    """Every decision about the subscriber again. Raises OutreachError."""
    person = await found_by(connection, who)
    past = await lives.read(connection, person.id)
    history = sorted(await projects.history(connection), key=lambda it: it.id)
    texts = await projects.versions(connection, await lives.versions(connection, person.id))
    versions = {it: load_journey(*text) for it, text in texts.items()}
    kept = {it.id: await projects.read(connection, it.id) for it in history}

    @lru_cache(maxsize=8)
    def applied(number: int) -> Project:
        found = kept.get(number)
        if found is None:
            raise OutreachError(f"the project number {number} is not kept")
        whole = load(found.files)
        return replace(whole, versions={**versions, **whole.versions})

    times = [it.applied_at for it in history]

    def ran_at(moment: datetime) -> int:
        return history[max(0, bisect_right(times, moment) - 1)].id

    members = Lists()
    await members.follow(connection, now)
    decisions = tuple(retold(past, applied, router.answer, ran_at, members))
    differing = sum(bool(it.differs) for it in decisions)
    if journey is not None:
        decisions = tuple(it for it in decisions if it.differs or journey in it.journeys)
    return Retold(person.key, person.timezone, decisions, differing)


def _told(found: Retold) -> Iterator[str]:
    zone = calendar.zone(found.timezone) or calendar.UTC_ZONE
    shown = zone.key if calendar.zone(found.timezone) else "UTC: their time zone is unknown"
    yield f"{typer.style(plain(found.subscriber), bold=True)} (times in {shown})"
    project = 0
    for it in found.decisions:
        if it.project and it.project != project:
            project = it.project
            yield typer.style(f"by project {project}:", dim=True)
        yield from _decision(it, zone)
    whole = len(found.decisions)
    if found.differing:
        yield typer.style(f"{found.differing} of {whole} differ from the record", fg="red")
    else:
        yield typer.style(f"{whole} decisions made again, all as on record", fg="green")


def _decision(it: Told, zone: ZoneInfo) -> Iterator[str]:
    at = f"{it.at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    yield f"{at}  {typer.style(plain(it.event), bold=True)}"
    for line in it.lines or (Line("nothing came of it"),):
        yield f"    {_line(line)}"
    for difference in it.differs:
        yield typer.style(f"    differs: {plain(difference)}", fg="red")


def _line(line: Line) -> str:
    rule = typer.style(f" [{plain(line.rule)}]", dim=True) if line.rule else ""
    saw = ", ".join(f"{name} = {value!r}" for name, value in line.saw.items())
    return plain(line.what) + rule + (typer.style(f"  saw {plain(saw)}", dim=True) if saw else "")
