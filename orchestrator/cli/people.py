"""`outreach export` and `outreach erase`: what somebody may ask of us about their data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import asyncpg
import msgspec
import typer

from orchestrator.cli.acting import operator
from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.cli.show import plain
from orchestrator.core.dossier import Dossier
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Subscriber
from orchestrator.runtime import people
from orchestrator.runtime.settings import Settings, load_secret
from orchestrator.store import erasure, timeline
from orchestrator.store.erasure import Holdings

SubscriberArgument = Annotated[
    str, typer.Argument(help="Their key, phone number, or CHANNEL:ADDRESS.")
]


def export(
    subscriber: Annotated[
        str, typer.Argument(help="Their key, phone number, or CHANNEL:ADDRESS.", show_default=False)
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write there, readable by you only [default: print]."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of the document, and end.")
    ] = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Write everything that is held about a subscriber as one JSON document, to be given to them.

    That it was asked for is in the audit log. The document's shape is in docs/reference/export.md.
    """
    if schema:
        typer.echo(_pretty(msgspec.json.schema(Dossier)))
        return
    if not subscriber:
        raise typer.BadParameter("say whose data: outreach export SUBSCRIBER")

    async def read(settings: Settings, connection: asyncpg.Connection) -> Dossier | None:
        found = await _found(connection, subscriber)
        now, secret = settings.clock.now(), load_secret(settings)
        return await people.export(connection, found.id, operator(), now, secret)

    dossier = run_once(project, verbose, read)
    if dossier is None:
        raise OutreachError(f"{subscriber} was erased just now")
    text = _pretty(dossier)
    if out is None:
        typer.echo(text)
        return
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise OutreachError(f"{out} exists already", "name a file that does not") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
    typer.echo(
        f"{plain(dossier.subscriber.key)}: {len(dossier.messages)} messages, "
        f"{len(dossier.replies)} replies, {len(dossier.events)} events … are in {out}"
    )


def erase(
    subscriber: SubscriberArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Erase a subscriber for good: nothing is left that says who they were.

    Points and counts stay, without a person. A keyed hash of each address keeps them opted out,
    whoever imports it again, until they write START themselves. At a terminal it asks first.
    """

    async def look(
        settings: Settings, connection: asyncpg.Connection
    ) -> tuple[Subscriber, Holdings]:
        found = await _found(connection, subscriber)
        load_secret(settings)  # before anybody is asked
        return found, await erasure.count(connection, found.id)

    found, held = run_once(project, verbose, look)
    if not json:
        for line in told(found, held):
            typer.echo(line)
    if not yes:
        if not sys.stdin.isatty():
            raise OutreachError("nothing was erased", "add --yes to do it; it cannot be undone")
        if not typer.confirm("Erase them for good?"):
            raise OutreachError("nothing was erased")

    async def do(settings: Settings, connection: asyncpg.Connection) -> Holdings | None:
        now, secret = settings.clock.now(), load_secret(settings)
        return await people.erase(connection, found.id, operator(), now, secret)

    had = run_once(project, verbose, do)
    if json:
        typer.echo(msgspec.json.encode({"subscriber": found.id, "erased": had}).decode())
    elif had is None:
        typer.echo("somebody else erased them meanwhile")
    else:
        typer.echo(f"erased; in the audit log as subscriber:{found.id}")


def told(found: Subscriber, held: Holdings) -> Iterator[str]:
    """What an erasure would do, line by line."""
    yield f"{plain(found.key)}, known since {found.created_at:%Y-%m-%d}"
    gone = (
        "name, attributes and tags",
        _several(held.addresses, "address", "addresses"),
        _several(held.consents, "consent on record", "consents on record"),
        _several(held.replies, "reply", "replies"),
        _several(held.events, "event"),
        _several(held.not_sent, "note of what was not sent", "notes of what was not sent"),
        _several(held.failures, "failed turn"),
    )
    yield f"  {'deleted':<12}{', '.join(it for it in gone if it)}"
    if held.messages:
        queued = f"; {held.queued} of them queued, which will not be sent" if held.queued else ""
        words = "words, addresses and carriers' ids"
        yield f"  {'emptied':<12}{_several(held.messages, 'message')}: {words}{queued}"
    if held.points or held.unused_codes:
        lost = (_several(held.points, "point"), _several(held.unused_codes, "unused code"))
        yield f"  {'forfeited':<12}{', '.join(it for it in lost if it)}"
    kept = (
        _several(held.entries, "line of the ledger", "lines of the ledger"),
        _several(held.purchases, "purchase"),
        _several(held.enrollments, "run of journeys", "runs of journeys"),
    )
    if any(kept):
        yield f"  {'kept':<12}{', '.join(it for it in kept if it)}: without a person"
    if held.addresses:
        yield f"  {'remembered':<12}a keyed hash of each address, so that they stay opted out"


def _several(count: int, one: str, many: str = "") -> str:
    return "" if not count else f"{count} {one if count == 1 else many or f'{one}s'}"


async def _found(connection: asyncpg.Connection, who: str) -> Subscriber:
    found = await timeline.find(connection, who)
    if found is None:
        raise OutreachError(
            f"there is no subscriber {who}",
            "ask by key, by phone number with its country (+86…), or by CHANNEL:ADDRESS; "
            "somebody who was erased is no subscriber any more",
        )
    return found


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
