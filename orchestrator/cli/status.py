"""`outreach status`: what waits, and what became of the last day's messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import typer

from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.runtime.settings import Settings
from orchestrator.store import counts, halts, matching, moves, pace, set_aside, sharing

SINCE = timedelta(hours=24)


def status(
    json: JsonOption = False, project: ProjectOption = None, verbose: VerboseOption = 0
) -> None:
    """Count what waits, the messages of the last 24 hours by state, and turns that failed."""

    async def count(settings: Settings, connection: asyncpg.Connection) -> dict[str, Any]:
        now = settings.clock.now()
        return {
            **msgspec.to_builtins(await counts.waiting(connection, now)),
            "messages_24h": await counts.messages(connection, now - SINCE),
            "failures_24h": await counts.failures(connection, now - SINCE),
            "paced": await pace.count(connection),
            "moving": {
                it.journey: {"moved": it.moved, "planned": it.planned}
                for it in await moves.current(connection)
                if it.done_at is None
            },
            "set_aside": sum(it.count for it in await set_aside.count(connection)),
            "waiting_triggers": await matching.waiting(connection),
            "matched_partitions": len(await sharing.held(connection)),
            "partitions": settings.partitions,
            "halted": {name: kind for name, (kind, _) in (await halts.look(connection)).items()},
        }

    found = run_once(project, verbose, count)
    if json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    states, halted = found.pop("messages_24h"), found.pop("halted")
    paced, moving = found.pop("paced"), found.pop("moving")
    partitions = found.pop("partitions")
    for name, number in found.items():
        of = f" of {partitions}" if name == "matched_partitions" else ""
        typer.echo(f"{name.replace('_', ' '):<20}{number}{of}")
    for journey, number in paced.items():
        typer.echo(f"{number} wait for the pace of {journey}")
    for journey, it in moving.items():
        typer.echo(f"{it['moved']} of {it['planned']} people have followed the edit of {journey}")
    for journey, kind in halted.items():
        typer.echo(f"{kind:<20}{journey}")
    typer.echo("messages of the last 24 h")
    for state, number in states.items():
        typer.echo(f"  {state:<18}{number}")
