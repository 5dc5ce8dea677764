"""`outreach feed`: a recording of events is played again, or a made-up city's network."""

from __future__ import annotations

import itertools
import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import aiohttp
import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from orchestrator.cli.country import usual_country
from orchestrator.cli.options import (
    CountryOption,
    JsonOption,
    ProjectOption,
    VerboseOption,
    read_settings,
    run,
    run_process,
    stop_asked,
)
from orchestrator.cli.recording import recorded
from orchestrator.core import calendar
from orchestrator.core.errors import GrammarError, OutreachError
from orchestrator.core.feed import Feed, Happened
from orchestrator.core.telephone import number_of
from orchestrator.project import source
from orchestrator.project.city import generate
from orchestrator.project.load import load
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.feeding import Direct, Fed, Feeder, Recorded, Sender, ToServer, ToStream
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.settings import Settings, load_api_keys
from orchestrator.runtime.worker import following
from orchestrator.store import sampling

MOST_TOLD = 20
"""Bad lines that are told one by one."""
MOST_PEOPLE = 2_000_000
FIRST_NUMBER = 8613_8000_0000
"""The first of `--people`; the others follow it."""

_At = Callable[[int, str], None]


class _Wish(Struct, frozen=True):
    """What was asked for."""

    file: Path | None
    speed: float | None
    first: int
    run: str
    as_recorded: bool
    people: int | None
    hours: float
    rate: float
    seed: int
    country: str | None
    again: str
    """The options that another try of it needs as well, but for where it begins."""


class _Report(Struct):
    """What a feed came to, for programs."""

    read: int
    events: int
    stored: int
    known: int
    queued: int
    unmatched: int
    set_aside: int
    strangers: int
    bad: int
    waited: int
    slipped_s: float
    seconds: float
    run: str
    resume: int | None


def feed(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="A recording: NDJSON as POST /v1/events takes it, or name.csv with the columns "
            "name, at, number (or subscriber), source_id; the others are properties.",
            show_default=False,
        ),
    ] = None,
    synthetic: Annotated[
        bool,
        typer.Option("--synthetic", help="No recording: calls, moves and power in a made-up city."),
    ] = False,
    speed: Annotated[
        str,
        typer.Option(metavar="NUMBERx", help="How much faster than recorded: 10x, or max."),
    ] = "1x",
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Send to this server's POST /v1/events, with the first of OUTREACH_API_KEYS; "
            "what cells of a CSV hold, the project's folder says "
            "[default: straight into this installation].",
            show_default=False,
        ),
    ] = None,
    redis: Annotated[
        bool, typer.Option("--redis", help="Add to this installation's stream outreach:feed.")
    ] = False,
    first: Annotated[
        int, typer.Option("--from", metavar="LINE", min=1, help="Begin at this line of FILE.")
    ] = 1,
    name: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="Ends each source id: the same line of the same run twice is one event "
            "[default: the time].",
            show_default=False,
        ),
    ] = None,
    as_recorded: Annotated[
        bool,
        typer.Option(
            "--as-recorded", help="Keep times and source ids as they are, and do not wait."
        ),
    ] = False,
    people: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MOST_PEOPLE,
            help="Synthetic: so many made-up numbers [default: the subscribers' own].",
            show_default=False,
        ),
    ] = None,
    hours: Annotated[
        float, typer.Option(metavar="H", min=0.001, help="Synthetic: so long, from now on.")
    ] = 24.0,
    rate: Annotated[
        float,
        typer.Option(metavar="N", min=0.001, help="Synthetic: events a second, in a day's mean."),
    ] = 20.0,
    seed: Annotated[int, typer.Option(help="Synthetic: another one, other events.")] = 1,
    country: CountryOption = None,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Play a recording of events again, or a made-up city's network, from now on.

    Times are shifted to now, and the intervals between them divided by --speed. Lines that hold no
    event are told on stderr. If too many events wait for matchers, we wait; what is sent twice is
    one event. Stopped by a signal, it says how to go on. Exit code 1: there were bad lines, events
    were set aside, or it did not come to its end.
    """
    if (file is None) is not synthetic or (to is not None and redis):
        raise typer.BadParameter("give FILE or --synthetic; and --to or --redis or neither")
    if synthetic and (first > 1 or as_recorded):
        raise typer.BadParameter("--from and --as-recorded are for recordings")
    run_name = name or datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    options = {"--speed": speed if speed != "1x" else None, "--to": to, "--country": country}
    options["--project"] = str(project) if project is not None else None
    flags = ("--redis", redis), ("--as-recorded", as_recorded)
    again = [it for flag, is_set in flags if is_set for it in (flag,)]
    again += [it for name, said in options.items() if said is not None for it in (name, said)]
    wish = _Wish(
        file, _speed(speed), first, run_name, as_recorded, people, hours, rate, seed, country,
        shlex.join(again),
    )  # fmt: skip
    if to is not None:
        report = _to_server(wish, to, project)
    else:
        report = run_process(
            project,
            verbose,
            lambda settings, context: _into(settings, context, wish, redis),
            "feed",
            logging.WARNING,
        )
    _tell(report, wish, json)
    if report.bad or report.set_aside or (report.resume and file is not None):
        raise typer.Exit(1)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e9:
        raise GrammarError(f"--speed {text} is none", "write 1x, 10x, 0.5x, or max")
    return speed


async def _into(settings: Settings, context: Context, wish: _Wish, redis: bool) -> _Report:
    async with following(context):
        sender: Sender = ToStream(context.streams.redis) if redis else Direct(Intake(context))
        people: Sequence[int] = ()
        if wish.file is None and wish.people is None:
            async with context.pool.acquire() as connection:
                addresses = await sampling.telephones(connection, MOST_PEOPLE)
            people = [number for it in addresses if (number := number_of(it)) is not None]
            if not people:
                raise OutreachError(
                    "no subscriber has a telephone number",
                    "import some (outreach import), or make some up: --people 10000",
                )
        declared = context.projects.project.feed
        zone = context.projects.project.timezone
        return await _fed(wish, settings, sender, settings.clock, declared, people, zone)


def _to_server(wish: _Wish, url: str, project: Path | None) -> _Report:
    settings = read_settings(project)
    if wish.file is None and wish.people is None:
        raise OutreachError("it is not said how many people there are", "write --people 10000")
    keys = load_api_keys(settings)
    declared, zone = _here(settings.project)

    async def send() -> _Report:
        async with aiohttp.ClientSession() as session:
            sender = ToServer(session, url, keys[0].key if keys else "")
            return await _fed(wish, settings, sender, Clock(), declared, (), zone)

    return run(send)


def _here(folder: Path) -> tuple[Feed, str]:
    """What the project in the folder declares, and its time zone; nothing if there is none."""
    if not (folder / "journeys").is_dir():
        return Feed(), "UTC"
    try:
        whole = load(source.read_folder(folder))
    except OutreachError:
        typer.echo(
            f"{folder} has mistakes, see outreach validate: what cells hold is guessed", err=True
        )
        return Feed(), "UTC"
    return whole.feed, whole.timezone


async def _fed(
    wish: _Wish,
    settings: Settings,
    sender: Sender,
    clock: Clock,
    declared: Feed,
    people: Sequence[int],
    timezone: str,
) -> _Report:
    stop = stop_asked()
    bad = 0

    def tell(line: int, reason: str) -> None:
        nonlocal bad
        bad += 1
        if bad <= MOST_TOLD:
            typer.echo(f"line {line}: {reason}", err=True)

    total = wish.file.stat().st_size if wish.file is not None and wish.file.exists() else None
    with _progress(total) as (at, show):
        events: Iterable[Recorded]
        if wish.file is not None:
            country = usual_country(wish.country, settings)
            events = recorded(wish.file, declared, country, wish.first, tell, at)
        else:
            begin = clock.now().astimezone(calendar.zone(timezone) or UTC)
            numbers = people or range(FIRST_NUMBER, FIRST_NUMBER + (wish.people or 0))
            events = _numbered(generate(wish.seed, numbers, begin, wish.hours, wish.rate))
        feeder = Feeder(sender, clock, wish.run, wish.speed, wish.as_recorded, show)
        try:
            fed = await feeder.feed(events, stop)
        except OutreachError as error:
            line = feeder.fed.resume
            how = f"go on with: {_again(wish, line)}" if line and wish.file else ""
            hint = "; ".join(it for it in (error.hint, how) if it)
            raise OutreachError(error.message, hint) from None
    if bad > MOST_TOLD:
        typer.echo(f"… and {bad - MOST_TOLD} more lines", err=True)
    counts = msgspec.structs.asdict(fed.counts)
    del counts["lines"]
    return _Report(
        read=fed.events + bad,
        events=fed.events,
        **counts,
        bad=bad,
        waited=fed.waited,
        slipped_s=round(fed.slipped_s, 3),
        seconds=round(fed.seconds, 3),
        run=wish.run,
        resume=fed.resume,
    )


def _numbered(batches: Iterable[list[Happened]]) -> Iterator[Recorded]:
    for number, it in enumerate(itertools.chain.from_iterable(batches), 1):
        yield Recorded(number, it.name, it.who, it.at, it.source_id, it.properties)


def _again(wish: _Wish, line: int) -> str:
    command = f"outreach feed {shlex.quote(str(wish.file))} --from {line} --run {wish.run}"
    return f"{command} {wish.again}".rstrip()


def _tell(report: _Report, wish: _Wish, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode(report).decode())
        return
    parts = [
        f"{count} {word}"
        for word, count in (
            ("for a matcher", report.queued),
            ("stored", report.stored),
            ("known already", report.known),
            ("matching nothing", report.unmatched),
            ("about nobody we know", report.strangers),
            ("set aside", report.set_aside),
        )
        if count
    ]
    pace = report.events / report.seconds if report.seconds else 0.0
    typer.echo(
        f"{report.events} events in {report.seconds:.1f} s ({pace:.0f} a second)"
        + (f": {', '.join(parts)}" if parts else "")
    )
    if report.bad:
        typer.echo(f"{report.bad} bad lines left out", err=True)
    if report.set_aside:
        typer.echo("see why some were set aside: outreach events set-aside", err=True)
    if report.waited or report.slipped_s:
        typer.echo(
            f"the installation was busy {report.waited} times; "
            f"the replay is {report.slipped_s:.0f} s longer",
            err=True,
        )
    if report.resume and wish.file is not None:
        typer.echo(f"stopped; go on with: {_again(wish, report.resume)}", err=True)


@contextmanager
def _progress(
    total: int | None,
) -> Iterator[tuple[Callable[[int], None], Callable[[Fed, int], None]]]:
    """On a terminal, a bar shows how far we are, and how fast."""
    if not sys.stderr.isatty():
        yield (lambda octets: None), (lambda fed, line: None)
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    began_at = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)

        def show(fed: Fed, line: int) -> None:
            pace = fed.events / max(time.monotonic() - began_at, 0.001)
            told = f"{fed.events} events, {pace:.0f} a second"
            told += f", {fed.counts.queued} for a matcher"
            told += f", {fed.counts.set_aside} set aside" if fed.counts.set_aside else ""
            progress.update(task, description=told)

        yield (lambda octets: progress.update(task, completed=octets)), show
