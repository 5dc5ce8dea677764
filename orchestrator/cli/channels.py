"""`outreach channels`: which channels there are, who holds them, and where carriers call us."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
import typer

from channels.base import Announcing, Means
from channels.registry import kind_names
from orchestrator.cli.options import JsonOption, ProjectOption, read_settings
from orchestrator.cli.unserved import known_to_all, told, unserved
from orchestrator.core.delivery import Spoken
from orchestrator.core.errors import OutreachError
from orchestrator.project import source
from orchestrator.project.load import load
from orchestrator.runtime.channels import build, configured
from orchestrator.runtime.settings import Settings, load_secret


def channels(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the channels that are configured, who holds each, and the addresses to enter at
    carriers' consoles. What is wrong in channels.yaml is told with its line,
    and so is what journeys name and nothing sends.

    The addresses may hold keys: they are as secret as passwords.
    """
    settings = read_settings(project)
    found = configured(settings, os.environ)
    means = Means(load_secret(settings), datetime.now, none_spoken)
    called = {
        channel.name: dict(channel.callbacks())
        for channel in build(found.values(), "web", means)
        if isinstance(channel, Announcing)
    }
    rows = [
        {
            "channel": it.name,
            "kind": it.kind_name,
            "held_by": it.place,
            "callbacks": called.get(it.name, {}),
        }
        for it in found.values()
    ]
    if json:
        typer.echo(msgspec.json.encode(rows).decode())
        return
    for it in found.values():
        over = f", over {it.over}" if it.over else ""
        typer.echo(f"{it.name:<10} {it.kind_name:<10} held by outreach {it.place}{over}")
        for what, address in called.get(it.name, {}).items():
            typer.echo(f"{'':<10} {what:<10} {address}")
    for line in told(_missing(settings, found)):
        typer.echo(line)
    typer.echo(f"\nKinds that channels.yaml may name: {', '.join(kind_names())}.")


def _missing(settings: Settings, there: Collection[str]) -> dict[str, Sequence[str]]:
    """What the journeys beside the file name that is not there; nothing where they cannot be
    read: `outreach validate` says why."""
    try:
        return unserved(load(source.read_folder(settings.project)), known_to_all(there))
    except OutreachError:
        return {}


async def none_spoken(channel: str, address: str, limit: int) -> list[Spoken]:
    """For channels that are built only to be asked."""
    return []
