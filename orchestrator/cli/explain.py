"""`outreach explain`: why somebody did or did not get a message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import typer
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.cli.finding import found_by
from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.cli.retelling import retell
from orchestrator.cli.show import plain
from orchestrator.core import calendar
from orchestrator.core import explain as core
from orchestrator.core.errors import OutreachError
from orchestrator.core.explain import Explanation, Reason
from orchestrator.runtime.lists import Lists
from orchestrator.runtime.projects import Projects
from orchestrator.runtime.settings import Settings
from orchestrator.store import record


class Answer(Struct, frozen=True):
    """One subscriber, and each journey asked about."""

    subscriber: str
    timezone: str | None
    journeys: tuple[Explanation, ...]


def explain(
    subscriber: Annotated[str, typer.Argument(help="Their key, phone number, or CHANNEL:ADDRESS.")],
    journey: Annotated[
        str | None,
        typer.Option("--journey", "-j", metavar="NAME", help="Only this one [default: all]."),
    ] = None,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay", help="Make every decision again, and say what each one saw and did."
        ),
    ] = False,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Say why a subscriber did or did not get each message, with the rule.

    The journeys are those last applied. Of the message at hand the contact policy is asked as of
    now. With --replay every turn since they came in is taken again, by the project that ran then,
    and compared with the record; the exit code is 1 if anything differs. Reads only.
    """
    if replay:
        retell(subscriber, journey, json, project, verbose)
        return

    async def ask(settings: Settings, connection: asyncpg.Connection) -> Answer:
        return await answer(connection, subscriber, journey, settings.clock.now())

    found = run_once(project, verbose, ask)
    if json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for line in told(found):
        typer.echo(line)


async def answer(
    connection: asyncpg.Connection, who: str, journey: str | None, now: datetime
) -> Answer:
    """Why the subscriber `who` did or did not get messages of `journey`, or of all."""
    person = await found_by(connection, who)
    projects = Projects()
    await projects.follow(connection)
    known = await projects.with_versions(connection, await record.stood_in(connection, person.id))
    scene, on_record = await record.read(connection, person.id, known, now)
    members = Lists()
    await members.follow(connection, now)
    scene = replace(scene, members=members)
    names = {**dict.fromkeys(known.journeys), **dict.fromkeys(scene.enrollments)}
    if journey is not None and journey not in names:
        raise OutreachError(
            f"there is no journey {journey}", f"there are: {', '.join(sorted(names))}"
        )
    chosen = [journey] if journey is not None else sorted(names)
    told = tuple(core.explain(scene, on_record, name, now) for name in chosen)
    return Answer(person.key, person.timezone, told)


def told(found: Answer) -> Iterator[str]:
    """The answer, line by line."""
    zone = calendar.zone(found.timezone) or calendar.UTC_ZONE
    shown = zone.key if calendar.zone(found.timezone) else "UTC: their time zone is unknown"
    yield f"{typer.style(plain(found.subscriber), bold=True)} (times of messages in {shown})"
    for it in found.journeys:
        yield f"{typer.style(it.journey, bold=True)}: {plain(it.standing)}"
        yield from (f"  {_line(reason, zone)}" for reason in it.messages)


def _line(reason: Reason, zone: ZoneInfo) -> str:
    at = f"{reason.at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if reason.at else "now" + " " * 16
    until = f", until {reason.until.astimezone(zone):%Y-%m-%d %H:%M:%S}" if reason.until else ""
    rule = f" [{plain(reason.rule.partition(': ')[0])}]" if reason.rule else ""
    colour = typer.colors.GREEN if reason.outcome in ("delivered", "accepted") else None
    outcome = typer.style(f"{reason.outcome:<11}", fg=colour)
    return f"{at}  {outcome} {reason.step} {reason.template}: {plain(reason.why)}{rule}{until}"
