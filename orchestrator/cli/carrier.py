"""`outreach carrier`: a simulated SMS carrier, with a wall of telephones to look at."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

import asyncpg
import typer

from channels.carriers.smsc import Smsc, SmscSettings
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
from orchestrator.runtime.logs import set_up_logs
from orchestrator.runtime.settings import Settings
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
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Play an SMS carrier on this machine: SMPP, and a web page with every telephone.

    The account is `outreach`, its password `secret`. Type on the page as any of the phones.
    """
    set_up_logs(logging.DEBUG if verbose else logging.INFO)
    settings = read_settings(project)
    run(lambda: _serve(settings, smpp_port))


def smpp_url(port: int) -> str:
    """What OUTREACH_SMPP_URL must be for the simulated carrier on that port."""
    return f"smpp://outreach:secret@{LOOPBACK}:{port}?source={SHORT_CODE}&reconnect_max_s=2"


async def _serve(settings: Settings, port: int) -> None:
    stop = stop_asked()
    smsc = Smsc(SmscSettings(host=LOOPBACK, port=port), now=settings.clock.now)
    try:
        await smsc.start()
    except OSError as error:
        raise OutreachError(
            f"cannot listen on {LOOPBACK}:{port}: {error.strerror}", "choose another --smpp-port"
        ) from None
    facts = Figures(settings.database_url)
    wall = create_wall(smsc, settings.clock.now, facts.ask, short_code=SHORT_CODE)
    try:
        async with listening(wall, LOOPBACK, settings.wall_port, "OUTREACH_WALL_PORT") as taken:
            log.info("carrier_ready smpp_port=%d wall=%s", smsc.port, shown(LOOPBACK, taken))
            await serve_until(stop)
    finally:
        await smsc.stop()
        await facts.close()
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
