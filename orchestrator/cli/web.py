"""`outreach web`: the API, health, and the web chat."""

from __future__ import annotations

import asyncio
import logging
import os

from channels.base import Called
from orchestrator.cli.listening import listening, shown
from orchestrator.cli.options import (
    ProjectOption,
    VerboseOption,
    run_process,
    serve_until,
    stop_asked,
)
from orchestrator.runtime import channels
from orchestrator.runtime.context import Context
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.settings import Settings, load_api_keys
from orchestrator.runtime.worker import following
from orchestrator.web import clicks, codes, desk, invitations, operations
from orchestrator.web.app import create_app
from orchestrator.web.doors import open_doors
from orchestrator.web.keys import HOLDER

log = logging.getLogger("outreach.web")


def web(project: ProjectOption = None, verbose: VerboseOption = 0) -> None:
    """Answer the API, health checks and the web chat, until SIGTERM."""
    run_process(project, verbose, _serve, "web")


async def _serve(settings: Settings, context: Context) -> None:
    stop = stop_asked()
    keys = load_api_keys(settings)
    if not keys:
        log.warning("api_closed because=OUTREACH_API_KEYS_is_not_set")
    found = channels.configured(settings, os.environ)
    held = channels.build(found.values(), "web", channels.means(context))
    async with (
        holding(context, held) as ingest,
        following(context, min(1.0, context.sweep_s)),
    ):
        intake = Intake(context, ingest)
        called = [
            route for channel in held if isinstance(channel, Called) for route in channel.routes()
        ]
        routes = [
            *called,
            *clicks.routes(context, ingest),
            *desk.routes(context, ingest),
            *codes.routes(context),
            *invitations.routes(context, found, lambda request: request[HOLDER]),
            *operations.routes(context),
        ]
        app = create_app(open_doors(context, intake), api_keys=keys, routes=routes)
        host, port = settings.web_host, settings.web_port

        async def hang_up() -> None:
            await asyncio.gather(*(channel.stop() for channel in held))

        async with listening(app, host, port, "OUTREACH_WEB_PORT", hang_up) as taken:
            log.info("web_ready url=%s", shown(host, taken))
            await serve_until(stop)
    log.info("web_ended name=%s", context.name)
