"""`outreach event`: something happened to a subscriber."""

from __future__ import annotations

import logging
import secrets
from datetime import datetime
from typing import Annotated

import asyncpg
import msgspec
import typer

from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_process
from orchestrator.cli.properties import nested, typed
from orchestrator.core.errors import OutreachError
from orchestrator.core.steps.wait_for import WaitFor
from orchestrator.project.findings import did_you_mean
from orchestrator.runtime.context import Context
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.projects import Projects
from orchestrator.runtime.reports import EventShape, Taken
from orchestrator.runtime.settings import Settings
from orchestrator.runtime.worker import following
from orchestrator.store import timeline

SOURCE = "cli"


def event(
    subscriber: Annotated[str, typer.Argument(help="Their key, phone number, or CHANNEL:ADDRESS.")],
    name: Annotated[str, typer.Argument(help="What happened: subscriber.activated")],
    properties: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Its properties; dots in a key nest."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When, with its zone: 2026-03-02T10:00:00+08:00 [default: now]"
        ),
    ] = None,
    source_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Names it for ever: the same one twice is one event. [default: random]",
        ),
    ] = None,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Report that something happened to a subscriber; journeys that wait for it go on."""
    moment = _moment(at)
    facts = nested(_pair(text) for text in properties or [])
    named = source_id or secrets.token_hex(8)

    async def post(settings: Settings, context: Context) -> tuple[Taken, str]:
        async with context.pool.acquire() as connection:
            found = await timeline.find(connection, subscriber)
            known = await awaited(connection)
        if found is None:
            raise OutreachError(
                f"there is no subscriber {subscriber}", "import them first: outreach import"
            )
        report = EventShape(name, named, subscriber=found.key, at=moment, properties=facts)
        async with following(context):
            taken = await Intake(context).take([report], SOURCE)
        return taken, "" if name in known else did_you_mean(name, known)

    counts, unheard = run_process(project, verbose, post, "command", logging.WARNING)
    if json:
        typer.echo(msgspec.json.encode(counts).decode())
    else:
        typer.echo(_told(counts, named))
    if unheard:
        typer.echo(f"hint: nothing in the project that runs waits for it; {unheard}", err=True)


async def awaited(connection: asyncpg.Connection) -> frozenset[str]:
    """The events of which something comes in the project that runs; none if none does."""
    try:
        project = await Projects().follow(connection)
    except OutreachError:
        return frozenset()
    found = {rule.on for rule in project.points.earn}
    for journey in project.versions.values():
        found |= {entry.on for entry in journey.enter if entry.on is not None}
        found |= {rule.on for rule in journey.leave if rule.on is not None}
        found |= {journey.goal.on} if journey.goal is not None else set()
        steps = (placed.step for placed in journey.steps.values())
        found |= {step.wait_for for step in steps if isinstance(step, WaitFor)}
    return frozenset(found)


def _told(taken: Taken, named: str) -> str:
    """What became of the report, for people."""
    if taken.set_aside:
        return "set aside: it is not as events.yaml declares it; see: outreach events set-aside"
    if taken.unmatched:
        return "no trigger needs it, and of its kind nothing else is kept"
    if taken.known:
        return f"known already: {named} was reported before"
    return "stored" if taken.stored else "it waits for a matcher: a trigger may need it"


def _pair(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE")
    return name, typed(value)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"--at: {text!r} is not a time like 2026-03-02T10:00:00+08:00"
        ) from None
    if moment.tzinfo is None:
        raise typer.BadParameter("--at needs its zone: write Z or +08:00 at its end")
    return moment
