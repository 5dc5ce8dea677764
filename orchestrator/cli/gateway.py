"""`outreach gateway`: holds the carrier connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated

import typer

from channels.base import Channel
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.cli.listening import watched
from orchestrator.cli.options import (
    ProjectOption,
    VerboseOption,
    run_process,
    serve_until,
    stop_asked,
)
from orchestrator.core.errors import OutreachError
from orchestrator.runtime import notify
from orchestrator.runtime.context import Context
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.settings import Settings
from orchestrator.store import lease

log = logging.getLogger("outreach.gateway")


def _sms(settings: Settings) -> SmsChannel | None:
    if settings.smpp_url is None:
        return None
    return SmsChannel(SmppSettings.from_url(settings.smpp_url))


CHANNELS: dict[str, tuple[str, Callable[[Settings], Channel | None]]] = {
    "sms": ("OUTREACH_SMPP_URL", _sms)
}
"""Per channel: the setting that configures it, and the channel, or None if that is not set."""


def gateway(
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            metavar="NAME",
            help=f"Hold this channel ({', '.join(CHANNELS)}); may be repeated "
            "[default: all that are configured].",
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
        await _hold(chosen(settings, channel or []), settings, context)

    run_process(project, verbose, hold, "gateway")


def chosen(settings: Settings, names: list[str]) -> list[Channel]:
    """The channels of these names, or all that are configured. Raises OutreachError."""
    unknown = [name for name in names if name not in CHANNELS]
    if unknown:
        raise OutreachError(
            f"there is no channel {unknown[0]!r} to hold", f"there are: {', '.join(CHANNELS)}"
        )
    built = {
        name: build(settings) for name, (_, build) in CHANNELS.items() if not names or name in names
    }
    missing = [name for name in names if built[name] is None]
    found = [channel for channel in built.values() if channel is not None]
    if missing or not found:
        name = (missing or list(CHANNELS))[0]
        raise OutreachError(f"the channel {name} is not configured", f"set {CHANNELS[name][0]}")
    return found


async def _hold(channels: list[Channel], settings: Settings, context: Context) -> None:
    stop = stop_asked()
    lost = asyncio.Event()

    def lose() -> None:
        lost.set()
        stop.set()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watched(settings, context))
        for channel in channels:
            lease_of = lease.held(
                context.pool, f"gateway:{channel.name}", partial(_stand_by, channel.name), lose
            )
            if not await _unless(stop, stack.enter_async_context(lease_of)):
                return
        await stack.enter_async_context(holding(context, channels))
        log.info("gateway_ready channels=%s", ",".join(channel.name for channel in channels))
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
