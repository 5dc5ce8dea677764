"""`outreach rollback` and `history`: what was applied, and an earlier project again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import asyncpg
import msgspec
import typer

from orchestrator.cli.apply import apply_files, ask, on_terminal, told
from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    VerboseOption,
    connected,
    read_settings,
    run,
    run_once,
)
from orchestrator.cli.plan import say, shown
from orchestrator.core.errors import OutreachError
from orchestrator.project import plan_words as words
from orchestrator.project.plan import Plan
from orchestrator.runtime import applying
from orchestrator.runtime.embedded import run_servers
from orchestrator.runtime.going_back import Back, Mappings
from orchestrator.runtime.logs import set_up_logs
from orchestrator.runtime.settings import Settings
from orchestrator.store import projects
from orchestrator.store.projects import Applied, Kept


def history(
    json: JsonOption = False, project: ProjectOption = None, verbose: VerboseOption = 0
) -> None:
    """List every project that was applied, the newest first: when, by whom, its hash."""

    async def look(settings: Settings, connection: asyncpg.Connection) -> list[Applied]:
        return await projects.history(connection)

    found = run_once(project, verbose, look)
    if json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for number, it in enumerate(found):
        runs = "  runs" if not number else ""
        back = f"  = {it.copy_of}" if it.copy_of else ""
        moved = f"  {words.many(it.moved)} moved" if it.moved else ""
        unfinished = "  still moving" if it.unfinished else ""
        typer.echo(
            f"{it.id:>5}  {it.applied_at:%Y-%m-%d %H:%M:%S}  {it.hash[:12]}  "
            f"{it.applied_by or '?'}{back}{moved}{unfinished}{runs}"
        )
    if not found:
        typer.echo("nothing has been applied yet")


def rollback(
    to: Annotated[
        str,
        typer.Option("--to", metavar="VERSION", help="Its number or hash; see `outreach history`."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it, do not only tell.")] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Nobody in flight goes back; they finish where they are.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Also who began in what is taken back goes back, by step."),
    ] = False,
    move: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JOURNEY/STEP=STEP",
            help="Where people go who stand at a step that the older version lacks; `leave` ends "
            "it for them. Can be given several times.",
        ),
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Make the project that was applied before this one the one that runs again.

    Who was moved by what is taken back goes back to the version they came from, at the step they
    stand at; where that is not known it refuses, as `apply` does, and takes --move, or --stay.
    Without --yes it asks on a terminal, and else only tells. The project's folder stays as it is.
    """
    set_up_logs(max(logging.DEBUG, logging.WARNING - 10 * verbose))
    settings = read_settings(project)
    who = _who(stay, follow, mappings := _mappings(move or ()))

    def agree(plan: Plan) -> bool:
        if on_terminal() and not json:
            return ask(plan) if plan.moving or plan.stranded else _sure(plan)
        if json:
            typer.echo(shown(plan))
        else:
            say(plan)
        applying.refuse_stranded(plan)
        raise OutreachError("nothing was rolled back", "add --yes to do this")

    with run_servers(settings) as urls:

        async def whole() -> str:
            async with connected(urls.database_url) as connection:
                target = await _target(connection, to)
            applied = await apply_files(
                settings,
                urls.database_url,
                target.files,
                agree=None if yes else agree,
                back=Back(target.id, who, mappings),
            )
            if json:
                return msgspec.json.encode(applied).decode()
            return f"{told(applied)}\nproject {target.id} runs again; the folder is as it was"

        typer.echo(run(whole))


def _who(stay: bool, follow: bool, mappings: Mappings) -> Literal["moved", "all", "none"]:
    if stay and (follow or mappings):
        raise OutreachError("--stay goes with neither --follow nor --move", "choose one of them")
    return "none" if stay else "all" if follow else "moved"


def _mappings(given: Iterable[str]) -> Mappings:
    """By journey, where people at a step go: of `hello/question=welcome` each."""
    found: dict[str, dict[str, str]] = {}
    for text in given:
        place, _, to = text.partition("=")
        journey, _, step = place.rpartition("/")
        if not (journey and step and to):
            raise OutreachError(
                f"{text} does not say who goes where", "write --move JOURNEY/STEP=STEP"
            )
        found.setdefault(journey, {})[step] = to
    return found


def _sure(plan: Plan) -> bool:
    say(plan)
    return typer.confirm("roll back to this?")


async def _target(connection: asyncpg.Connection, to: str) -> Kept:
    """The project that is asked for; without a word of it, the one before. Of one that was itself
    a rollback, the one before the project that it brought back."""
    every = await projects.history(connection)
    number = _before(every) if not to else _named(every, to)
    found = await projects.read(connection, number)
    assert found is not None
    return found


def _before(every: Sequence[Applied]) -> int:
    by_number = {it.id: it for it in every}
    if every:
        now = every[0]
        while now.copy_of is not None:
            now = by_number[now.copy_of]
        for it in every:
            if it.id < now.id and it.hash != every[0].hash:
                return it.id
        if now.id != every[0].id:
            raise OutreachError(
                f"project {every[0].id} is project {now.id} again, and there is none before that",
                f"to take the rollback back: outreach rollback --to {every[1].id}",
            )
    raise OutreachError("there is no project before this one", "see: outreach history")


def _named(every: Sequence[Applied], to: str) -> int:
    found = [it for it in every if to.isdecimal() and it.id == int(to)]
    if not found and len(to) >= 6:
        found = [it for it in every if it.hash.startswith(to)]
    if not found:
        raise OutreachError(f"no project {to} was ever applied", "see: outreach history")
    if len({it.hash for it in found}) > 1:
        raise OutreachError(f"several projects begin with {to}", "say more of its hash")
    if found[0].hash == every[0].hash:
        raise OutreachError(f"project {found[0].id} runs already")
    return found[-1].id
