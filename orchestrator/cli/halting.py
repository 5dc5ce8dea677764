"""`outreach pause`, `resume` and `cancel`: a journey held up, and going on."""

from __future__ import annotations

from typing import Annotated

import asyncpg
import typer

from orchestrator.cli.acting import record
from orchestrator.cli.asking import ask, told
from orchestrator.cli.options import ProjectOption, VerboseOption, run_once
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.projects import Projects
from orchestrator.runtime.settings import Settings
from orchestrator.store import errands, halts

JourneyArgument = Annotated[str, typer.Argument(help="The journey's name.")]


def pause(
    journey: JourneyArgument, project: ProjectOption = None, verbose: VerboseOption = 0
) -> None:
    """Hold a journey up: nobody in it moves on, and nothing new of it is queued.

    Who enters meanwhile waits at its first step, whoever answers is understood and waits. Turns
    under way finish, and what is queued already goes out. Nobody loses their place.
    """

    async def do(settings: Settings, connection: asyncpg.Connection) -> str:
        await _known(connection, journey)
        async with connection.transaction():
            fresh = await halts.pause(connection, journey, settings.clock.now())
            if fresh:
                await record(settings, connection, "journey.paused", f"journey:{journey}")
        standing, queued = await halts.count(connection, journey)
        word = "paused" if fresh else "was paused already"
        return (
            f"{journey}: {word}; {standing} stand in it, and {queued} of its messages are queued "
            f"and still go\ngo on with: outreach resume {journey}"
        )

    typer.echo(run_once(project, verbose, do))


def resume(
    journey: JourneyArgument, project: ProjectOption = None, verbose: VerboseOption = 0
) -> None:
    """Let a journey go on after a pause, with everybody where they were; late, never skipped.

    After a cancel it lets people in again; who left stays out of it.
    """

    async def do(settings: Settings, connection: asyncpg.Connection) -> str:
        await _known(connection, journey)
        async with connection.transaction():
            was = await halts.end(connection, journey)
            if was:
                about = f"journey:{journey}"
                await record(settings, connection, "journey.resumed", about, {"was": was})
        await halts.release(connection)
        if not was:
            return f"{journey}: was not held up"
        standing, _ = await halts.count(connection, journey)
        return f"{journey}: no longer {was}; {standing} stand in it, and move within one sweep"

    typer.echo(run_once(project, verbose, do))


def cancel(
    journey: JourneyArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do it, do not only count.")] = False,
    back: Annotated[
        bool,
        typer.Option("--recall", help="Take back what carriers still hold; see `outreach recall`."),
    ] = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """End a journey for everybody in it, drop what is queued, and let nobody in until `resume`.

    Without --yes it only says how many that are. It cannot be undone: who left stays out.
    """

    async def do(settings: Settings, connection: asyncpg.Connection) -> str:
        await _known(connection, journey)
        standing, queued = await halts.count(connection, journey)
        if not yes:
            raise OutreachError(
                f"{standing} people would leave {journey}, and {queued} queued messages would not "
                "be sent",
                "add --yes to do it; `outreach pause` can be undone",
            )
        async with connection.transaction():
            await halts.close(connection, journey, settings.clock.now())
            before = {"standing": standing, "queued": queued}
            await record(settings, connection, "journey.cancelled", f"journey:{journey}", before)
        left, dropped = await halts.cancel(connection, journey, settings.clock.now())
        said = [f"{journey}: cancelled; {left} people left, {dropped} queued messages dropped"]
        if back:
            meant = errands.of_journey(journey, settings.clock.now())
            said += told(await ask(settings, connection, "recall", meant))
        return "\n".join(said)

    typer.echo(run_once(project, verbose, do))


async def _known(connection: asyncpg.Connection, journey: str) -> None:
    """Raises OutreachError unless the journey is in the project, or somebody stands in it."""
    projects = Projects()
    await projects.follow(connection)
    names = projects.project.journeys
    if journey not in names and not any(await halts.count(connection, journey)):
        raise OutreachError(
            f"there is no journey {journey}", f"there are: {', '.join(sorted(names))}"
        )
