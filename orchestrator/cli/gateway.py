"""`outreach gateway`: holds the carrier connections."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated

import typer

from channels.base import Channel
from orchestrator.cli.listening import watched
from orchestrator.cli.options import (
    ProjectOption,
    VerboseOption,
    run_process,
    serve_until,
    stop_asked,
)
from orchestrator.cli.unserved import unserved
from orchestrator.core.errors import OutreachError
from orchestrator.runtime import channels, notify
from orchestrator.runtime.channels import Configured
from orchestrator.runtime.context import Context
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.settings import Settings
from orchestrator.store import lease

log = logging.getLogger("outreach.gateway")


def gateway(
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            metavar="NAME",
            help="Hold this channel; may be repeated [default: all that are configured].",
            show_default=False,
        ),
    ] = None,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Hold the carrier connections: send what is queued, take in replies and receipts.

    A channel belongs to one gateway at a time; a second one stands by and takes over.
    """

    async def hold(settings: Settings, context: Context) -> None:
        there = channels.configured(settings, os.environ)
        found = chosen(there, channel or [])
        held = channels.build(found, "gateway", channels.means(context))
        await _hold(held, there, settings, context)

    run_process(project, verbose, hold, "gateway")


def chosen(found: Mapping[str, Configured], names: Sequence[str]) -> list[Configured]:
    """The channels of these names, those that they go over and all that go over those: they share
    a connection. Without names, all that a gateway holds. Raises OutreachError."""
    held = {name: it for name, it in found.items() if it.place == "gateway"}
    for name in names:
        if name not in held:
            hint = f"there are: {', '.join(held)}" if held else f"write it in {channels.FILE}"
            raise OutreachError(f"there is no channel {name!r} to hold", hint)
    if not held:
        raise OutreachError(
            "no channel is configured that a gateway holds",
            f"set OUTREACH_SMPP_URL, or write {channels.FILE}",
        )
    bearers = {*names, *(held[name].over for name in names)} if names else held.keys()
    return [it for name, it in held.items() if name in bearers or it.over in bearers]


async def _hold(
    held: list[Channel], there: Collection[str], settings: Settings, context: Context
) -> None:
    stop = stop_asked()
    lost = asyncio.Event()

    def lose() -> None:
        lost.set()
        stop.set()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watched(settings, context))
        for channel in held:
            lease_of = lease.held(
                context.pool, f"gateway:{channel.name}", partial(_stand_by, channel.name), lose
            )
            if not await _unless(stop, stack.enter_async_context(lease_of)):
                return
        await stack.enter_async_context(holding(context, held, alone=True))
        for word, names in unserved(context.projects.project, there).items():
            log.warning("channel_missing channel=%s journeys=%s", word, ",".join(names))
        log.info("gateway_ready channels=%s", ",".join(channel.name for channel in held))
        await serve_until(stop)
    log.info("gateway_ended name=%s", context.name)
    if lost.is_set():
        raise OutreachError("the connection to PostgreSQL ended, and the channels' lease with it")


def _stand_by(channel: str) -> None:
    log.info("gateway_stands_by channel=%s", channel)
    notify.tell("READY=1")


async def _unless(stop: asyncio.Event, wanted: Awaitable[None]) -> bool:
    """True once `wanted` is done; False, and it is cancelled, if we are to stop first."""
    task = asyncio.ensure_future(wanted)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.wait({task})
    return False
