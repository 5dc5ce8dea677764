"""`outreach simulate`: a whole audience through all journeys, before anybody is written to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orchestrator.cli import forecasts
from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    VerboseOption,
    read_settings,
    run_once,
)
from orchestrator.cli.plan import checked
from orchestrator.cli.sms import languages
from orchestrator.cli.versions import Version, revision
from orchestrator.core import calendar
from orchestrator.core.errors import OutreachError
from orchestrator.core.project import Project
from orchestrator.project import absence
from orchestrator.project.asked import lists_of
from orchestrator.project.audience import AudienceForm
from orchestrator.project.casting import Somebody
from orchestrator.project.findings import ProjectErrors
from orchestrator.project.forecast import Forecast, differences, forecast
from orchestrator.project.likely import likely
from orchestrator.project.load import load, read
from orchestrator.project.plan_words import counted
from orchestrator.project.report import page
from orchestrator.project.simulate import Part, Stage, packed, parts, simulate
from orchestrator.project.traffic import Letter, Replay
from orchestrator.runtime.channels import configured
from orchestrator.runtime.settings import Settings
from orchestrator.store import halts, projects, sampling

ANSWER = "bot.router:answer"

SUBSCRIBERS = 10_000

FEW = 1_000
"""People for whom another process is not worth its start."""


class Audience(msgspec.Struct, frozen=True):
    """Who plays: how many, part by part; and what they need to be known of the installation."""

    people: int
    parts: Callable[[], Iterator[Part]]
    older: tuple[tuple[str, str], ...] = ()
    halted: Mapping[str, Any] = {}
    listed: frozenset[str] | None = None
    """Of real people: the lists that any of them is on."""


def simulated(
    subscribers: Annotated[
        int | None,
        typer.Option(min=1, max=10_000_000, help="How many people are made up [default: 10000]."),
    ] = None,
    from_database: Annotated[
        bool, typer.Option("--from-database", help="Play the real subscribers, as they stand now.")
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Of the real ones only so many, chosen evenly."),
    ] = None,
    days: Annotated[
        int,
        typer.Option(
            min=1,
            max=1_000,
            help="How many days they live; for real people the rest of today is the first.",
        ),
    ] = 90,
    start: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="The first day [default: today; real people: now].",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another number, other chance.")] = 1,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes [default: as many as cores].")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|REV", help="Compare with another project's folder, or a git revision."
        ),
    ] = None,
    replay_traffic: Annotated[
        bool,
        typer.Option(
            "--replay-traffic",
            help="Put the real messages of the last --days days before this contact policy.",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with plots there, as HTML."),
    ] = None,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Play a whole audience through all journeys together, and tell what comes of it.

    Messages by day, hour and channel, what the contact policy keeps back, cost, load on carriers,
    which journey starves which, points owed. Decisions, policy and texts are production's; the
    clock skips. Whom it plays is in journeys/program/audience.yaml. The same seed always gives the
    same figures. Nothing is sent and nothing is written to the database.
    """
    _refuse_together(
        "--replay-traffic" if replay_traffic else "",
        subscribers=subscribers, from_database=from_database, start=start, jobs=jobs,
        against=against, report=report,
    )  # fmt: skip
    real = "--from-database" if from_database else "--sample" if sample is not None else ""
    _refuse_together(real if not replay_traffic else "", subscribers=subscribers, start=start)
    if report is not None:
        _refuse_unwritable(report)
    settings = read_settings(project)
    files, findings = checked(settings)
    if findings:
        them = "it" if len(findings) == 1 else "them"
        said = f"{counted(len(findings), 'warning')}; see {them} with: outreach validate"
        typer.echo(said, err=True)
    whole = load(files)
    if replay_traffic:
        _replay(settings.project, whole, days, sample, seed, json, verbose)
        return
    now = settings.clock.now()
    begin = _begin(start.date() if start else None, now, whole)
    other = _playable(revision(settings.project, against)) if against else None
    if real:
        audience = run_once(
            project, verbose, lambda _, connection: _sampled(connection, whole, now, sample, seed)
        )
    else:
        people = subscribers or SUBSCRIBERS
        audience = Audience(people, lambda: parts(people))
    form = _form(files, whole)
    rates, spoken = _rates(settings), languages(settings)

    def play(texts: Mapping[str, str], name: str) -> Forecast:
        stage = Stage(
            texts, form, begin, days, seed, ANSWER, audience.older, dict(audience.halted), spoken,
            now if real else None,
        )  # fmt: skip
        with _progress(audience.people, name) as progress:
            count = min(jobs or _cores(), -(-audience.people // FEW))
            tally = simulate(stage, audience.parts(), count, progress)
        played = stage.project()
        absent = absence.reasons(
            played, form, stage.since, stage.end, audience.listed, audience.halted
        )
        return forecast(tally, played, begin, days, seed, rates, absent)

    before = play(other.files, other.name) if other else None
    after = play(files, "this project" if other else "simulating")
    changes = differences(before, after) if before else []
    if report is not None:
        _write(report, page(after, changes, other.name if other else ""))
    if json:
        typer.echo(msgspec.json.encode(_as_json(after, before, other)).decode())
        return
    console = Console()
    forecasts.show(console, after)
    if other:
        forecasts.show_changes(console, changes, other.name)
    if report is not None:
        console.print(f"The page with plots is {report}")


def _refuse_together(option: str, **others: object) -> None:
    """Nothing is given that `option` would pass over in silence."""
    for name, value in others.items():
        if option and value:
            raise OutreachError(
                f"--{name.replace('_', '-')} does not go with {option}", "leave one of them out"
            )


def _refuse_unwritable(path: Path) -> None:
    """A page can be written there, before a minute is spent on it."""
    if path.is_dir():
        raise OutreachError(f"{path} is a folder", "name the page: --report autumn.html")
    if not path.parent.is_dir():
        raise OutreachError(f"{path}: there is no folder {path.parent}", "make it first")


def _playable(other: Version) -> Version:
    """The other version, if it can be read by this Outreach; else its errors are printed."""
    try:
        load(other.files)
    except ProjectErrors as errors:
        for found in errors.findings:
            typer.echo(f"{other.name}: {found}", err=True)
        raise OutreachError(
            f"{other.name}, to compare with, has {counted(len(errors.findings), 'error')}",
            "name a version without, or mend it",
        ) from None
    return other


def _as_json(after: Forecast, before: Forecast | None, other: Version | None) -> dict[str, Any]:
    told: dict[str, Any] = {"forecast": after.as_json()}
    if before is not None and other is not None:
        told |= {
            "against": other.name,
            "before": before.as_json(),
            "differences": [
                {"name": it.name, "before": it.before, "after": it.after}
                for it in differences(before, after)
                if it.before != it.after
            ],
        }
    return told


def _form(files: Mapping[str, str], project: Project) -> AudienceForm:
    """The audience that the project describes, or else a likely one."""
    described = "journeys/program/audience.yaml" in files
    return (read(files).audience if described else None) or likely(project)


def _begin(day: date | None, now: datetime, project: Project) -> datetime:
    """When that day, or today, begins in the project's zone."""
    zone = calendar.zone(project.timezone) or calendar.UTC_ZONE
    day = day or calendar.local_day(now, zone)
    return calendar.instant(day, time(), zone)


async def _sampled(
    connection: asyncpg.Connection, project: Project, now: datetime, sample: int | None, seed: int
) -> Audience:
    """Real people, packed by batches, and the journeys' texts that they stand in."""
    chosen = await sampling.choose(connection, sample, seed)
    if not chosen:
        raise OutreachError("there are no subscribers", "import some: outreach import")
    batches: list[bytes] = []
    versions: set[str] = set()
    listed: set[str] = set()
    async for people in sampling.people(connection, chosen, project, lists_of(project), now):
        versions |= {it.version for scene, _ in people for it in scene.enrollments.values()}
        listed.update(*(scene.listed for scene, _ in people))
        batches.append(packed(Somebody.of(*it) for it in people))
    texts = await projects.versions(connection, versions - project.versions.keys())
    halted = await halts.read(connection)
    return Audience(
        len(chosen), lambda: iter(batches), tuple(texts.values()), halted, frozenset(listed)
    )


def _replay(
    folder: Path,
    whole: Project,
    days: int,
    sample: int | None,
    seed: int,
    json: bool,
    verbose: int,
) -> None:
    async def look(settings: Settings, connection: asyncpg.Connection) -> Replay:
        until = settings.clock.now().astimezone(UTC)
        since = until - timedelta(days=days)
        replay = Replay(whole, since, until)
        chosen = await sampling.choose(connection, sample, seed)
        names = whole.contact.lists
        with _progress(len(chosen), "replaying") as progress:
            async for batch in sampling.traffic(
                connection, chosen, names, since - whole.contact.memory, until
            ):
                for it in batch:
                    letters = [Letter(past.sent, past.run, past.reason) for past in it.past]
                    replay.judge(it.subscriber, it.listed, letters)
                progress(min(sampling.BATCH, len(chosen)))
        return replay

    found = run_once(folder, verbose, look)
    if json:
        typer.echo(msgspec.json.encode({"replay": found.as_json()}).decode())
    else:
        forecasts.show_replay(Console(), found, days)


def _rates(settings: Settings) -> dict[str, float]:
    """How many messages a second each configured channel may be given, where that is said."""
    try:
        channels = configured(settings, os.environ)
    except OutreachError:
        return {}  # a simulation needs no carriers
    rates = {name: getattr(it.settings, "rate_per_s", None) for name, it in channels.items()}
    return {name: float(rate) for name, rate in rates.items() if rate}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutreachError(f"cannot write {path}: {error.strerror}") from None


@contextmanager
def _progress(people: int, name: str) -> Iterator[Callable[[int], None]]:
    """On a terminal, a bar shows how far we are."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as progress:
        task = progress.add_task(name, total=people)
        yield lambda more: progress.advance(task, more)
