"""`outreach list`: lists of numbers that contact classes may name, such as do-not-disturb ones."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import asyncpg
import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from orchestrator.cli.acting import record
from orchestrator.cli.country import usual_country
from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.cli.rows import Bad, phone_number
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.settings import Settings
from orchestrator.store import lists

BATCH = 10_000
MOST_TOLD = 20
"""Bad lines that are told one by one."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Summary(Struct):
    """What a load came to: lines read, numbers now on the list, lines that hold none."""

    read: int = 0
    numbers: int = 0
    bad: int = 0


def list_numbers(
    action: Annotated[str, typer.Argument(metavar="load|show", help="What to do.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The list, as `not_on` names it: dnd.")
    ] = "",
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="One number a line; # begins a remark.")
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Completes numbers without one: 86 [default: OUTREACH_COUNTRY].",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Load a list of numbers whole, or show which lists there are.

    A load takes the place of what the list was, in one step, at its end. Lines without a number are
    told on stderr and left out. Exit code 1: there were some, or nothing was loaded.
    """
    if action == "show":
        _show(json, project, verbose)
    elif action == "load" and file is not None:
        _load(name, file, country, json, project, verbose)
    else:
        raise typer.BadParameter("write: outreach list load NAME FILE, or: outreach list show")


def _load(
    name: str, file: Path, country: str | None, json: bool, project: Path | None, verbose: int
) -> None:
    if not _NAME.fullmatch(name):
        raise OutreachError(f"{name!r} cannot be a list", "write small letters and digits: dnd")

    async def load(settings: Settings, connection: asyncpg.Connection) -> Summary:
        code = usual_country(country, settings)
        summary = Summary()
        async with lists.loading(connection, name) as version:
            batch: list[str] = []
            with _opened(file) as octets, _progress(file) as show:
                for number in _numbers(octets, code, summary):
                    batch.append(number)
                    if len(batch) == BATCH:
                        await version.add(batch)
                        batch.clear()
                        show(octets.tell())
            await version.add(batch)
            if summary.read == summary.bad:
                raise OutreachError(f"{file} has no numbers", f"the list {name} stays as it was")
            before = {it.name: it.numbers for it in await lists.show(connection)}
            async with connection.transaction():
                done = await version.put_in_force(file.name, settings.clock.now())
                summary.numbers = done.numbers
                await record(
                    settings, connection, "list.loaded", f"list:{name}",
                    {"numbers": before.get(name, 0)},
                    {"numbers": done.numbers, "file": file.name, "version": done.version},
                )  # fmt: skip
        return summary

    summary = run_once(project, verbose, load)
    if json:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        typer.echo(f"{name}: {summary.numbers} numbers; {summary.bad} bad lines of {summary.read}")
    if summary.bad:
        raise typer.Exit(1)


def _show(json: bool, project: Path | None, verbose: int) -> None:
    async def look(settings: Settings, connection: asyncpg.Connection) -> list[lists.NumberList]:
        return await lists.show(connection)

    known = run_once(project, verbose, look)
    if json:
        typer.echo(msgspec.json.encode(known).decode())
        return
    for it in known:
        when = f"{it.loaded_at:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"{it.name}: {it.numbers} numbers, loaded {when} from {it.source}")
    if not known:
        typer.echo("no lists")


def _numbers(octets: BinaryIO, country: str, summary: Summary) -> Iterator[str]:
    """The numbers of a file, line by line. What is no number is told by its line, not by what it
    says."""
    for line, raw in enumerate(octets, 1):
        text = raw.decode("utf-8-sig", errors="replace").partition("#")[0].strip().strip("\",;'")
        if not text:
            continue
        summary.read += 1
        try:
            yield phone_number(text, country)
        except Bad as reason:
            summary.bad += 1
            if summary.bad <= MOST_TOLD:
                typer.echo(f"line {line}: {reason}", err=True)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        with file.open("rb") as octets:
            yield octets
    except OSError as error:
        raise OutreachError(f"cannot read {file}: {error.strerror}") from None


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    """On a terminal, a bar shows how far we are."""
    if not sys.stderr.isatty():
        yield lambda read_octets: None
        return
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("list", total=file.stat().st_size)
        yield lambda read_octets: progress.update(task, completed=read_octets)
