"""`outreach failures` and `outreach replay`: what went wrong, and another try."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import asyncpg
import msgspec
import typer
from msgspec import Struct

from orchestrator.cli.acting import operator
from orchestrator.cli.finding import found_by
from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    VerboseOption,
    run_once,
    run_process,
)
from orchestrator.cli.show import plain
from orchestrator.runtime.settings import Settings
from orchestrator.store import letters
from orchestrator.store.letters import Failure, Letter

if TYPE_CHECKING:
    from orchestrator.runtime.context import Context
    from orchestrator.runtime.replay import Rehearsal

MostOption = Annotated[int, typer.Option(help="How many to take at most.", min=1)]


class Told(Struct, frozen=True):
    """Events whose turns failed, and the latest failures."""

    letters: list[Letter]
    failures: list[Failure]


def failures(
    hours: Annotated[int, typer.Option(help="How far back to look for failed turns.", min=1)] = 24,
    most: MostOption = 50,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """List events whose turns failed, given up or to be tried again, and the latest failed turns.

    An event is tried five times, ten minutes apart, and then given up; nobody else is held up.
    """

    async def look(settings: Settings, connection: asyncpg.Connection) -> Told:
        since = settings.clock.now() - timedelta(hours=hours)
        return Told(
            await letters.letters(connection, most),
            await letters.latest(connection, since, most),
        )

    found = run_once(project, verbose, look)
    if json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for line in _listed(found, hours):
        typer.echo(line)


def replay(
    subscriber: Annotated[
        str | None, typer.Argument(help="Only theirs: a key, phone number, or CHANNEL:ADDRESS.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would do, and change nothing.")
    ] = False,
    most: MostOption = 50,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Try again the events that were given up, through everything that any event goes through.

    Consent, hours, caps and the journey's state are those of now. With --dry-run each turn is
    taken and rolled back: it says what would be sent, what not, and what would fail again.
    """
    # All that a turn needs: `failures` beside it only reads.
    from orchestrator.runtime.replay import rehearse
    from orchestrator.runtime.replay import replay as replay_letters

    async def again(settings: Settings, context: Context) -> list[Rehearsal] | int:
        async with context.pool.acquire() as connection:
            who = await _id(connection, subscriber) if subscriber is not None else None
            dead = await letters.letters(connection, most, who)
            await context.projects.follow(connection)
        if dry_run:
            return await rehearse(context, dead)
        return await replay_letters(context, dead, operator())

    found = run_process(project, verbose, again, "replay", logging.CRITICAL)
    if json:
        said = {"replayed": found} if isinstance(found, int) else found
        typer.echo(msgspec.json.encode(said).decode())
    elif isinstance(found, int):
        typer.echo(f"{found} events wait for their turn again")
    else:
        for it in found:
            typer.echo(f"{plain(it.key)}: {plain(', '.join(it.events))}")
            for line in it.effects or ["would do nothing"] * (not it.error):
                typer.echo(f"  {plain(line)}")
            if it.error:
                typer.echo(f"  would fail again: {plain(it.error)}")
    if not isinstance(found, int) and any(it.error for it in found):
        raise typer.Exit(1)


async def _id(connection: asyncpg.Connection, who: str) -> int:
    return (await found_by(connection, who)).id


def _listed(found: Told, hours: int) -> Iterator[str]:
    for it in found.letters:
        fate = "given up" if it.given_up else f"tried again from {_time(it.not_before)}"
        yield f"{plain(it.key)}: {it.kind} {plain(it.name)} of {_time(it.at)}, {fate}"
        yield f"  failed {it.tries} times, last with {plain(it.error)}"
    if found.letters:
        yield "try them: outreach replay --dry-run"
    yield f"failed turns of the last {hours} h: {len(found.failures)}"
    for failure in found.failures:
        yield f"  {_time(failure.at)}  {plain(failure.key)}  {failure.what}: {plain(failure.error)}"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z" if moment else "now"
