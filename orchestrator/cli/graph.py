"""`outreach graph`: a journey drawn, with the people in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import asyncpg
import msgspec
import typer

from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    VerboseOption,
    read_settings,
    run_once,
)
from orchestrator.core.errors import OutreachError
from orchestrator.core.journey import Journey
from orchestrator.project import source
from orchestrator.project.drawing import svg
from orchestrator.project.findings import ProjectErrors, did_you_mean
from orchestrator.project.graph import NOBODY, People, elsewhere, journeys, sketch
from orchestrator.project.graph import graph as graph_of
from orchestrator.project.load import read
from orchestrator.project.mermaid import mermaid
from orchestrator.runtime.settings import Settings
from orchestrator.store import counts

Format = Literal["svg", "mermaid"]
_BY_SUFFIX: dict[str, Format] = {
    ".svg": "svg",
    **dict.fromkeys((".mmd", ".mermaid", ".md", ".txt", ""), "mermaid"),
}


def graph(
    journey: Annotated[
        str | None, typer.Argument(help="The journey's name, or its file.", show_default=False)
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            help="A picture, or a diagram for Markdown [default: as --out ends, else mermaid].",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it there [default: print it].", dir_okay=False),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Count who stands at each step, by version.")
    ] = False,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Draw a journey: its steps, waits and branches, and the journeys it leads to.

    The journey is the one in the project's folder; other journeys may have errors. With --live the
    database is asked how many people stand where; those of other versions are counted at the step
    of the same id. The picture is light or dark as its reader's screen is. Exit code 1: there is no
    such journey, or it cannot be read.
    """
    wanted = "json" if json else format or _meant(out)
    drawn, others = _found(project, journey)
    people = _standing(project, verbose, drawn.name) if live else NOBODY
    if wanted == "json":
        said = msgspec.json.encode(graph_of(drawn, others, people)).decode() + "\n"
    elif wanted == "svg":
        tree = sketch(drawn, others, people)
        said = svg(tree, elsewhere=elsewhere(drawn, people))
    else:
        said = mermaid(graph_of(drawn, others, people))
    if out is None:
        typer.echo(said, nl=False)
    else:
        out.write_text(said, encoding="utf-8")
        typer.echo(f"{out}: {drawn.name} drawn")


def _meant(out: Path | None) -> Format:
    """What the name of the file asks for. Raises OutreachError."""
    if out is None:
        return "mermaid"
    if (found := _BY_SUFFIX.get(out.suffix.lower())) is None:
        hint = f"name it {out.with_suffix('.svg')}, or {out.with_suffix('.mmd')} for Mermaid"
        raise OutreachError(f"{out}: nothing is drawn as {out.suffix}", hint)
    return found


def _found(project: Path | None, name: str | None) -> tuple[Journey, list[Journey]]:
    """The journey, by its name or its file, and all that could be read. Raises OutreachError."""
    folder = read_settings(project).project
    draft = read(source.read_folder(folder))
    known = journeys(draft)
    if name is None:
        raise OutreachError("which journey?", f"there are: {', '.join(sorted(known))}")
    if name in draft.journeys:
        name = draft.journeys[name].journey
    if name in known:
        return known[name], [*known.values()]
    unread = [it for it in draft.findings if it.mark.file.startswith("journeys/")]
    if draft.broken_journeys and unread:
        raise ProjectErrors(unread)
    hint = did_you_mean(name, known, f"there are: {', '.join(sorted(known))}")
    raise OutreachError(f"there is no journey {name}", hint)


def _standing(project: Path | None, verbose: int, journey: str) -> People:
    async def count(settings: Settings, connection: asyncpg.Connection) -> People:
        return await counts.standing(connection, journey)

    return run_once(project, verbose, count)
