"""`outreach matcher`: matches the events of a feed with triggers."""

from __future__ import annotations

import asyncio
import logging

from orchestrator.cli.listening import watched
from orchestrator.cli.options import (
    ProjectOption,
    VerboseOption,
    run_process,
    serve_until,
    stop_asked,
)
from orchestrator.runtime.context import Context
from orchestrator.runtime.matcher import feeding
from orchestrator.runtime.settings import Settings

log = logging.getLogger("outreach.matcher")


def matcher(project: ProjectOption = None, verbose: VerboseOption = 0) -> None:
    """Match the events of feeds with triggers, until SIGTERM. Start as many as you like.

    They share the partitions of the feed fairly. One that is asked to stop hands its own over at
    once; those of one that was killed are taken over within seconds, and nothing is lost or comes
    twice. What others add to the Redis stream outreach:feed is taken in too.
    """
    run_process(project, verbose, _match, "matcher")


async def _match(settings: Settings, context: Context) -> None:
    stop = stop_asked()
    async with watched(settings, context), feeding(context) as matching:
        log.info("matcher_ready name=%s", context.name)
        serving = asyncio.create_task(serve_until(stop))
        await asyncio.wait({serving, matching}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():  # it cannot go on
            serving.cancel()
            matching.result()
    log.info("matcher_ended name=%s", context.name)
