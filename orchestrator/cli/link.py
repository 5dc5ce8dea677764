"""`outreach link`: invite a subscriber onto another channel, as the person they are."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from orchestrator.cli.acting import record
from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_process
from orchestrator.core.errors import OutreachError
from orchestrator.runtime import channels
from orchestrator.runtime.context import Context
from orchestrator.runtime.inviting import Invitation, invite, qr_code
from orchestrator.runtime.settings import Settings
from orchestrator.store import timeline


def link(
    subscriber: Annotated[str, typer.Argument(help="Their key, phone number, or CHANNEL:ADDRESS.")],
    channel: Annotated[str, typer.Option(help="Where to: telegram.")] = "telegram",
    qr: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg",
            help="Write the link there as a QR code, to be photographed.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Invite a subscriber onto another channel: whoever opens the link there is them.

    It is good for seven days, and for one person. Treat it like a password.
    """

    async def make(settings: Settings, context: Context) -> Invitation:
        found = channels.configured(settings, os.environ)
        async with context.pool.acquire() as connection:
            known = await timeline.find(connection, subscriber)
        if known is None:
            raise OutreachError(
                f"there is no subscriber {subscriber}", "import them first: outreach import"
            )
        made = await invite(context, found, known.id, channel)
        async with context.pool.acquire() as connection, connection.transaction():
            about, after = f"subscriber:{known.id}", {"channel": channel}
            await record(settings, connection, "subscriber.invited", about, after=after)
        return made

    made = run_process(project, verbose, make, "command", logging.WARNING)
    if qr is not None:
        qr.write_text(qr_code(made.url or made.say), encoding="utf-8")
    if json:
        typer.echo(msgspec.json.encode(made).decode())
        return
    if made.url:
        typer.echo(made.url)
    typer.echo(f"or say there: {made.say}" if made.url else f"to be said there: {made.say}")
    typer.echo(f"until {made.expires_at:%Y-%m-%d %H:%M}Z, once")
