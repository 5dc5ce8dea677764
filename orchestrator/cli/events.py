"""`outreach events set-aside`: reports that could not be taken, and another try."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Annotated

import asyncpg
import msgspec
import typer
from msgspec import Struct

from orchestrator.cli.acting import operator, record
from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    VerboseOption,
    run_once,
    run_process,
)
from orchestrator.cli.show import plain
from orchestrator.core.acts import Deed
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.again import Again, take_again
from orchestrator.runtime.context import Context
from orchestrator.runtime.settings import Settings
from orchestrator.store import acts, set_aside
from orchestrator.store.set_aside import Aside, Kind


class Told(Struct, frozen=True):
    """How many reports are set aside, by event, and the first of them."""

    kinds: list[Kind]
    first: list[Aside]


def events(
    action: Annotated[str, typer.Argument(metavar="set-aside", help="What to look at.")],
    replay: Annotated[
        bool, typer.Option("--replay", help="Take them again, by the project that runs now.")
    ] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="Drop those that stand there now, for good.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Drop them, do not only tell.")] = False,
    most: Annotated[int, typer.Option(help="How many to show at most.", min=1)] = 20,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """List reports of events that were set aside, since they are not as events.yaml declares them.

    With --replay each is taken again, as if it came now, and those that still cannot be are kept.
    An event of long ago is stored, but comes too late for triggers. What was sent by mistake is
    dropped by --drop --yes. Exit code 1: some remain.
    """
    if action != "set-aside":
        raise typer.BadParameter("write: outreach events set-aside")
    if replay and drop:
        raise typer.BadParameter("write --replay or --drop")
    if replay:
        _replay(json, project, verbose)
    elif drop and yes:
        _drop(json, project, verbose)
    elif _list(most, json, project, verbose):
        if drop:
            raise OutreachError("nothing was dropped", "add --yes to drop them all, for good")
        raise typer.Exit(1)


def _list(most: int, json: bool, project: ProjectOption, verbose: int) -> bool:
    """Tells what there is, if there is any."""

    async def look(settings: Settings, connection: asyncpg.Connection) -> Told:
        return Told(await set_aside.count(connection), await set_aside.read(connection, 0, most))

    found = run_once(project, verbose, look)
    if json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        for line in _listed(found):
            typer.echo(line)
    return bool(found.kinds)


def _replay(json: bool, project: ProjectOption, verbose: int) -> None:
    async def again(settings: Settings, context: Context) -> Again:
        done = await take_again(context)
        if done.taken:
            async with context.pool.acquire() as connection, connection.transaction():
                deed = Deed(
                    operator(), "events.taken_again", "events", after={"events": done.taken}
                )
                await acts.record(connection, deed, context.clock.now(), context.secret)
        return done

    done = run_process(project, verbose, again, "command", logging.WARNING)
    if json:
        typer.echo(msgspec.json.encode(done).decode())
    else:
        typer.echo(f"{done.taken} events taken; {done.remain} remain set aside")
    if done.remain:
        raise typer.Exit(1)


def _drop(json: bool, project: ProjectOption, verbose: int) -> None:
    async def drop(settings: Settings, connection: asyncpg.Connection) -> int:
        last = max((it.last for it in await set_aside.count(connection)), default=0)
        async with connection.transaction():
            gone = await set_aside.drop(connection, last)
            if gone:
                await record(settings, connection, "events.dropped", "events", {"events": gone})
        return gone

    dropped = run_once(project, verbose, drop)
    typer.echo(f'{{"dropped":{dropped}}}' if json else f"dropped: {dropped}")


def _listed(found: Told) -> Iterator[str]:
    if not found.kinds:
        yield "nothing is set aside"
        return
    for kind in found.kinds:
        since = f"{kind.since:%Y-%m-%d %H:%M:%S}Z"
        name = plain(kind.name) or "(no event)"
        yield f"{name}: {kind.count} since {since}: {plain(kind.reason)}"
    yield from _shown(found.first)
    yield "once events.yaml, or what they say, is right: outreach events set-aside --replay"
    yield "if they were sent by mistake: outreach events set-aside --drop"


def _shown(first: Sequence[Aside]) -> Iterator[str]:
    for it in first:
        yield f"  {it.at:%Y-%m-%d %H:%M:%S}Z  {plain(it.source_id) or '-'}  {plain(it.reason)}"
        yield f"    {plain(it.body[:200])}"
