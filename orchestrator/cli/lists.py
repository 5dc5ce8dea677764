"""`outreach list`: lists of numbers that contact classes and conditions may name."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, BinaryIO

import asyncpg
import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from orchestrator.cli.acting import record
from orchestrator.cli.country import usual_country
from orchestrator.cli.numbers import Reader
from orchestrator.cli.options import (
    CountryOption,
    JsonOption,
    ProjectOption,
    VerboseOption,
    run_once,
)
from orchestrator.core.errors import OutreachError
from orchestrator.core.grammar import parse_duration
from orchestrator.runtime.settings import Settings
from orchestrator.store import lists

MOST_TOLD = 20
"""Bad lines that are told one by one."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Summary(Struct):
    """What a load came to: lines read, numbers now on the list, lines that hold none; until when
    the list holds."""

    read: int = 0
    numbers: int = 0
    bad: int = 0
    expires_at: datetime | None = None


def list_numbers(
    action: Annotated[str, typer.Argument(metavar="load|show|drop", help="What to do.")],
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The list, as `not_on` and `in_list` name it: dnd."),
    ] = "",
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="One number a line; # begins a remark.")
    ] = None,
    country: CountryOption = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="How long it holds unless it is loaded again: 30d [default: for ever].",
            show_default=False,
        ),
    ] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="FILE may be empty: then nobody is on the list.")
    ] = False,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Load a list of numbers whole, show which lists there are, or drop one.

    A load takes the place of what the list was, in one step, at its end; workers go by it within
    two seconds. Lines without a number are told on stderr and left out. Once a list has expired or
    been dropped, nobody knows who is on it: what is asked about it is unknown, and contact classes
    that name it send nothing. Exit code 1: there were bad lines, nothing was loaded, or there is no
    such list.
    """
    if action == "show" and file is None:
        _show(name, json, project, verbose)
    elif action == "drop" and name and file is None:
        _drop(name, json, project, verbose)
    elif action == "load" and file is not None:
        _load(name, file, country, expires, empty, json, project, verbose)
    else:
        raise typer.BadParameter(
            "write: outreach list load NAME FILE, outreach list show, or outreach list drop NAME"
        )


def _load(
    name: str,
    file: Path,
    country: str | None,
    expires: str | None,
    empty: bool,
    json: bool,
    project: Path | None,
    verbose: int,
) -> None:
    if not _NAME.fullmatch(name):
        raise OutreachError(f"{name!r} cannot be a list", "write small letters and digits: dnd")
    span = None if expires is None else parse_duration(expires)
    if span == timedelta():
        raise OutreachError("a list that expires at once is none", "write a span: --expires 30d")

    async def load(settings: Settings, connection: asyncpg.Connection) -> Summary:
        reader = Reader(usual_country(country, settings), tell)
        async with lists.loading(connection, name) as version:
            with _opened(file) as octets, _progress("reading", _size(octets)) as show:
                for numbers in reader.numbers(octets):
                    version.add(numbers)
                    show(octets.tell())
            if reader.read == reader.bad and (reader.bad or not empty):
                hint = f"the list {name} stays as it was"
                hint += "" if reader.bad else "; if nobody is to be on it, add --empty"
                raise OutreachError(f"{file} has no numbers", hint)
            before = {it.name: it.numbers for it in await lists.show(connection)}
            now = settings.clock.now().astimezone(UTC)
            until = now + span if span else None
            async with connection.transaction():
                with _progress("writing", version.size) as show:
                    done = await version.put_in_force(file.name, now, until, show)
                await record(
                    settings, connection, "list.loaded", f"list:{name}",
                    {"numbers": before.get(name, 0)},
                    {"numbers": done.numbers, "file": file.name, "version": done.version},
                )  # fmt: skip
        return Summary(reader.read, done.numbers, reader.bad, until)

    told = 0

    def tell(line: int, reason: str) -> None:
        nonlocal told
        told += 1
        if told <= MOST_TOLD:
            typer.echo(f"line {line}: {reason}", err=True)

    summary = run_once(project, verbose, load)
    if told > MOST_TOLD:
        typer.echo(f"… and {told - MOST_TOLD} more lines", err=True)
    if json:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        holds = f", until {_told(summary.expires_at)}" if summary.expires_at else ""
        typer.echo(
            f"{name}: {summary.numbers} numbers{holds}; {summary.bad} bad lines of {summary.read}"
        )
    if summary.bad:
        raise typer.Exit(1)


def _show(name: str, json: bool, project: Path | None, verbose: int) -> None:
    async def look(
        settings: Settings, connection: asyncpg.Connection
    ) -> tuple[list[lists.NumberList], datetime]:
        return await lists.show(connection), settings.clock.now()

    known, now = run_once(project, verbose, look)
    if name:
        known = [it for it in known if it.name == name]
        if not known:
            raise _unknown(name)
    if json:
        typer.echo(msgspec.json.encode(known).decode())
        return
    for it in known:
        line = f"{it.name}: {it.numbers} numbers, loaded {_told(it.loaded_at)} from {it.source}"
        if it.expires_at is not None:
            line += f", {'expired' if it.expired(now) else 'expires'} {_told(it.expires_at)}"
        typer.echo(line)
    if not known:
        typer.echo("no lists")


def _drop(name: str, json: bool, project: Path | None, verbose: int) -> None:
    async def drop(settings: Settings, connection: asyncpg.Connection) -> int:
        async with connection.transaction():
            numbers = await lists.drop(connection, name)
            if numbers is None:
                raise _unknown(name)
            await record(settings, connection, "list.dropped", f"list:{name}", {"numbers": numbers})
        return numbers

    numbers = run_once(project, verbose, drop)
    if json:
        typer.echo(msgspec.json.encode({"dropped": numbers}).decode())
    else:
        typer.echo(f"{name}: dropped, with {numbers} numbers")


def _unknown(name: str) -> OutreachError:
    return OutreachError(f"there is no list {name}", "see which there are: outreach list show")


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        with file.open("rb") as octets:
            yield octets
    except OSError as error:
        raise OutreachError(f"cannot read {file}: {error.strerror}") from None


def _size(octets: BinaryIO) -> int:
    return os.fstat(octets.fileno()).st_size


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """On a terminal, a bar shows how far we are."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
