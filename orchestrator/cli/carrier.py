"""`outreach carrier`: a simulated carrier, with a wall of telephones to look at."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from typing import Annotated

import asyncpg
import typer

from channels.base import Announcing, Means
from channels.carriers.mmsc import Mmsc, MmscSettings
from channels.carriers.smsc import Smsc, SmscSettings
from orchestrator.cli.channels import none_spoken
from orchestrator.cli.listening import listening, shown
from orchestrator.cli.options import (
    ProjectOption,
    VerboseOption,
    read_settings,
    run,
    serve_until,
    stop_asked,
)
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.channels import build, configured
from orchestrator.runtime.logs import set_up_logs
from orchestrator.runtime.settings import Settings, load_secret
from orchestrator.store import counts
from orchestrator.store.counts import Facts
from orchestrator.web.wall import create_wall

SHORT_CODE = "10086"
"""What handsets write to, and who writes to them."""
LOOPBACK = "127.0.0.1"

log = logging.getLogger("outreach.carrier")


def carrier(
    smpp_port: Annotated[
        int, typer.Option(help="The TCP port on which to speak SMPP.", min=0, max=65535)
    ] = 2775,
    mm7_port: Annotated[
        int, typer.Option(help="The TCP port on which to take MMS, by MM7.", min=0, max=65535)
    ] = 8082,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Play a carrier on this machine: SMS and WAP push over SMPP, MMS over MM7, and a web page with
    every telephone.

    The account is `outreach`, its password `secret`. What becomes of an MMS is told to the
    `public_url` of the channel `mms`. Type on the page as any of the phones.
    """
    set_up_logs(logging.DEBUG if verbose else logging.INFO)
    settings = read_settings(project)
    run(lambda: _serve(settings, smpp_port, mm7_port))


def smpp_url(port: int) -> str:
    """What OUTREACH_SMPP_URL must be for the simulated carrier on that port."""
    return f"smpp://outreach:secret@{LOOPBACK}:{port}?source={SHORT_CODE}&reconnect_max_s=2"


def mms_callback(settings: Settings) -> str:
    """Where the channel `mms` is told what becomes of its messages; empty if nowhere."""
    found = configured(settings, os.environ).get("mms")
    if found is None or found.place != "web":
        return ""
    means = Means(load_secret(settings), settings.clock.now, none_spoken)
    (channel,) = build([found], "web", means)
    return "".join(channel.callbacks().values()) if isinstance(channel, Announcing) else ""


async def _serve(settings: Settings, smpp_port: int, mm7_port: int) -> None:
    stop = stop_asked()
    smsc = Smsc(SmscSettings(host=LOOPBACK, port=smpp_port), now=settings.clock.now)
    mmsc = Mmsc(smsc, MmscSettings(host=LOOPBACK, port=mm7_port))
    mmsc.callback = mms_callback(settings)
    async with AsyncExitStack() as stack:
        for centre, port, option in ((smsc, smpp_port, "smpp"), (mmsc, mm7_port, "mm7")):
            try:
                await centre.start()
            except OSError as error:
                raise OutreachError(
                    f"cannot listen on {LOOPBACK}:{port}: {error.strerror}",
                    f"choose another --{option}-port",
                ) from None
            stack.push_async_callback(centre.stop)
        facts = Figures(settings.database_url)
        stack.push_async_callback(facts.close)
        wall = create_wall(smsc, settings.clock.now, facts.ask, short_code=SHORT_CODE)
        async with listening(wall, LOOPBACK, settings.wall_port, "OUTREACH_WALL_PORT") as taken:
            wall_at = shown(LOOPBACK, taken)
            log.info(
                "carrier_ready smpp_port=%d mm7_port=%d wall=%s", smsc.port, mmsc.port, wall_at
            )
            await serve_until(stop)
    log.info("carrier_ended")


class Figures:
    """The figures at the top of the wall, if there is a database to ask."""

    def __init__(self, database_url: str | None) -> None:
        self._url = database_url
        self._connection: asyncpg.Connection | None = None
        self._asking = asyncio.Lock()

    async def ask(self) -> Facts:
        if self._url is None:
            return Facts(0, 0, 0, 0, 0, 0)
        async with self._asking:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self._url)
            return await counts.facts(self._connection)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
