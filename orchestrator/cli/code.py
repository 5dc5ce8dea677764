"""`outreach code`: a counter without a till takes a code."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from orchestrator.cli.acting import operator
from orchestrator.cli.finding import found_by
from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_process
from orchestrator.cli.show import plain
from orchestrator.runtime import counter
from orchestrator.runtime.context import Context
from orchestrator.runtime.counter import Honoured
from orchestrator.runtime.settings import Settings


def code(
    words: Annotated[
        list[str], typer.Argument(metavar="CODE", help="As it was sent; spaces do not matter.")
    ],
    subscriber: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Take only this subscriber's code: key, phone number, or CHANNEL:ADDRESS.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Who takes it [default: you, by login].", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Use the code of somebody who comes for what their points bought. It works once.

    Tills do the same over the API: docs/channels/desk.md. Exit code 1: nothing is to be handed out.
    """

    async def use(settings: Settings, context: Context) -> Honoured:
        whose = None
        async with context.pool.acquire() as connection:
            await context.projects.follow(connection)
            if subscriber is not None:
                whose = (await found_by(connection, subscriber)).id
        who = operator()
        return await counter.use(
            context, " ".join(words), by or who, secrets.token_hex(8), who, whose
        )

    told = run_process(project, verbose, use, "command", logging.WARNING)
    if json:
        typer.echo(msgspec.json.encode(told).decode())
    else:
        for line in said(told):
            typer.echo(line)
    if told.result != "used":
        raise typer.Exit(1)


def said(told: Honoured) -> Iterator[str]:
    """What somebody at a counter reads."""
    reward, whose = plain(told.title), f"subscriber {plain(told.subscriber)}"
    given = f"given {told.given_at:%Y-%m-%d %H:%M}Z" if told.given_at else ""
    match told.result:
        case "used":
            yield f"used: hand out {reward}"
            yield f"  {whose} · {given}"
        case "used_before":
            yield f"used before, {told.used_at:%Y-%m-%d %H:%M}Z, by {plain(told.used_by)}: {reward}"
            yield f"  {whose} · {given}"
        case "not_theirs":
            yield "another subscriber's: it was not used"
        case "unknown":
            yield "unknown: there is no such code; read it again"
        case "unreadable":
            yield "not a code: it has 16 letters and digits, like 7Q2M-0RXA-9KTV-C4HE"
