"""`outreach worker`: takes turns and sweeps."""

from __future__ import annotations

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
from orchestrator.runtime.settings import Settings
from orchestrator.runtime.worker import working

log = logging.getLogger("outreach.worker")


def worker(project: ProjectOption = None, verbose: VerboseOption = 0) -> None:
    """Carry subscribers through their journeys, until SIGTERM. Start as many as you like.

    What is under way when the signal comes is finished first.
    """
    run_process(project, verbose, _work, "worker")


async def _work(settings: Settings, context: Context) -> None:
    stop = stop_asked()
    async with watched(settings, context), working(context):
        log.info("worker_ready name=%s", context.name)
        await serve_until(stop)
    log.info("worker_ended name=%s", context.name)
