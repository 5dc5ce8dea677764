"""`outreach show`: one subscriber's whole story."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import typer

from orchestrator.cli.finding import found_by
from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.core import calendar
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.settings import Settings
from orchestrator.store import timeline
from orchestrator.store.timeline import Moment, Standing, Timeline

_COLOURS = {
    "message": typer.colors.GREEN,
    "reply": typer.colors.CYAN,
    "suppression": typer.colors.YELLOW,
    "failure": typer.colors.RED,
    "failed": typer.colors.RED,
    "consent": typer.colors.MAGENTA,
}


LONGEST = 300
"""Characters of one fact that are shown."""


def show(
    subscriber: Annotated[str, typer.Argument(help="Their key, phone number, or CHANNEL:ADDRESS.")],
    last: Annotated[int, typer.Option(help="How many moments to show.", min=1)] = 100,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Tell a subscriber's story: who they are, what they use, where they stand, and all that
    happened.

    Messages come with their state, those that did not go with the reason. Times are local to the
    subscriber.
    """

    from orchestrator.runtime.projects import Projects

    async def load(settings: Settings, connection: asyncpg.Connection) -> Timeline:
        found = await found_by(connection, subscriber)
        try:
            counting = await Projects().follow(connection), settings.clock.now()
        except OutreachError as error:  # their story can be told without
            typer.echo(f"what was counted of their use was not looked at: {error}", err=True)
            return await timeline.load(connection, found, last)
        return await timeline.load(connection, found, last, counting)

    story = run_once(project, verbose, load)
    if json:
        typer.echo(msgspec.json.encode(story).decode())
        return
    for line in told(story):
        typer.echo(line)


def told(story: Timeline) -> Iterator[str]:
    """The story, line by line."""
    zone = calendar.zone(story.subscriber.timezone) or calendar.UTC_ZONE
    yield from _who(story, zone)
    yield typer.style("journeys", bold=True)
    for standing in story.enrollments:
        yield f"  {_standing(standing, zone)}"
    if not story.enrollments:
        yield "  none so far"
    yield typer.style(f"what happened (times in {zone.key})", bold=True)
    for moment in story.moments:
        colour = _COLOURS.get(moment.kind)
        kind = typer.style(f"{moment.kind:<12}", fg=colour)
        yield f"  {_time(moment.at, zone)}  {kind} {plain(moment.what)}{_facts(moment, zone)}"


def _who(story: Timeline, zone: ZoneInfo) -> Iterator[str]:
    subscriber, points = story.subscriber, story.points
    yield typer.style(plain(subscriber.key), bold=True)
    known = subscriber.timezone if calendar.zone(subscriber.timezone) else "time zone unknown"
    yield f"  {subscriber.locale} · {known} · since {_time(subscriber.created_at, zone)}"
    for channel, address in subscriber.addresses.items():
        yield f"  {channel:<11} {plain(address)}"
    if subscriber.tags:
        yield f"  {'tags':<11} {plain(', '.join(sorted(subscriber.tags)))}"
    counted = {f"usage.{name}": value for name, value in story.usage.items()}
    for name, value in _flat(subscriber.attributes):
        if name not in counted:
            yield f"  {plain(name):<11} {plain(str(value))}"
    if counted:
        said = (f"{name} {it}" for name, it in story.usage.items() if it is not None)
        yield f"  {'usage':<11} {' · '.join(said)}"
    for purpose, consent in subscriber.consents.items():
        word = "allowed" if consent.granted else typer.style("REFUSED", fg=typer.colors.RED)
        how = f", {plain(consent.how)}" if consent.how else ""
        yield f"  {'consent':<11} {purpose}: {word} since {_time(consent.at, zone)}{how}"
    yield (
        f"  {'points':<11} {points.balance_points} to spend · {points.held_points} held · "
        f"{points.spent_points} spent · {points.expired_points} expired · "
        f"{points.earned_points} earned"
    )


def _standing(it: Standing, zone: ZoneInfo) -> str:
    where = f"at {it.step}" if it.step else ""
    when = f"next {_time(it.due_at, zone)}" if it.due_at else ""
    ended = f"ended {_time(it.ended_at, zone)}" if it.ended_at else ""
    goal = f"goal reached {_time(it.goal_at, zone)}" if it.goal_at else ""
    parts = (f"{it.status} {where}".strip(), when, ended, goal, plain(it.reason or ""))
    said = " · ".join(part for part in parts if part)
    return f"{it.journey}: {said} · run {it.run} · version {it.version}"


def _facts(moment: Moment, zone: ZoneInfo) -> str:
    facts = dict(moment.facts)
    if moment.kind == "message":
        state, channel, text = (facts.pop(it, "") for it in ("state", "channel", "text"))
        for name in ("address", "class"):
            facts.pop(name, None)
        return f"  {channel} {state}: {plain(text)!r}{_rest(facts, zone)}"
    if moment.kind == "reply":
        return f"  {plain(str(facts.get('text', '')))!r}"
    if moment.kind == "points":
        return f"  {facts['points']} from {facts['debit']} to {facts['credit']}"
    if moment.kind == "consent":
        return f"  {'allowed' if facts.pop('granted') else 'REFUSED'}{_rest(facts, zone)}"
    return _rest(facts, zone)


def _rest(facts: Mapping[str, Any], zone: ZoneInfo) -> str:
    shown = (
        f"{plain(name)}={_time(value, zone) if isinstance(value, datetime) else _brief(str(value))}"
        for name, value in _flat(facts)
        if value not in (None, "")
    )
    text = " ".join(shown)
    return f"  {text}" if text else ""


def _flat(facts: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{group}{name}.")
        else:
            yield f"{group}{name}", value


def _time(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _brief(text: str) -> str:
    """What a line can hold of it; `--json` has all."""
    rest = len(text) - LONGEST
    return plain(text) if rest <= 0 else f"{plain(text[:LONGEST])}… and {rest} more characters"


def plain(text: str) -> str:
    """The text on one line, without what would steer a terminal: subscribers write it."""
    return "".join(it if it.isprintable() else " " for it in text)
