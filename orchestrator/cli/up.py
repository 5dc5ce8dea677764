"""`outreach up`: everything on one machine, in one process tree."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated

import asyncpg
import typer
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.cli.apply import apply_files, checked_files, told
from orchestrator.cli.carrier import LOOPBACK
from orchestrator.cli.listening import free_port, shown
from orchestrator.cli.options import (
    ProjectOption,
    VerboseOption,
    read_settings,
    run,
    serve_until,
    stop_asked,
)
from orchestrator.cli.simulated import write_channels
from orchestrator.project import source
from orchestrator.runtime.channels import configured
from orchestrator.runtime.embedded import Urls, run_servers
from orchestrator.runtime.logs import set_up_logs
from orchestrator.runtime.settings import Settings, load_api_keys, load_secret
from orchestrator.runtime.tree import Branch, Tree, planted
from orchestrator.store import counts

STATUS_S = 15.0

log = logging.getLogger("outreach.up")


def up(
    workers: Annotated[int, typer.Option(help="How many workers to run.", min=1, max=64)] = 1,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Run everything on this machine: database, workers, gateway, web, and a simulated carrier of
    SMS, MMS and WAP push.

    What you bring by DATABASE_URL, REDIS_URL or OUTREACH_SMPP_URL is used instead. The project is
    checked and applied first. Ctrl-C stops all of it in order; a second Ctrl-C at once.
    """
    set_up_logs(logging.DEBUG if verbose else logging.INFO)
    settings = settled(read_settings(project))
    files = checked_files(settings)
    with run_servers(settings) as urls:
        run(lambda: _run(settings, urls, files, workers, verbose))


class Plan(Struct, frozen=True):
    """The processes to run, in two steps, and where people find them."""

    first: list[Branch]
    then: list[Branch]
    places: dict[str, str]


async def _run(
    settings: Settings, urls: Urls, files: Mapping[str, str], workers: int, verbose: int
) -> None:
    pictures = source.read_pictures(settings.project, files)
    typer.echo(told(await apply_files(settings, urls.database_url, files, pictures)))
    plan = plan_tree(settings, urls, workers, verbose)
    async with planted(_pass_on) as tree:
        stop = stop_asked(tree.kill)
        growing = asyncio.create_task(grow(tree, plan))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({growing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if growing.done():
            growing.result()
            for what, where in plan.places.items():
                typer.echo(f"{what:<8} {where}")
            typer.echo("Ctrl-C stops everything.")
            showing = asyncio.create_task(_show_status(settings, urls.database_url))
            await serve_until(stop)
            showing.cancel()
            await asyncio.wait({showing})
        growing.cancel()
        await asyncio.wait({growing})
        log.info("stopping")
    log.info("stopped")


def settled(settings: Settings) -> Settings:
    """The same settings with real ports, checked now, so that a mistake is told once and here."""
    web_port = free_port(settings.web_host, settings.web_port, "OUTREACH_WEB_PORT")
    if has_carrier(settings):
        return replace(settings, web_port=web_port)
    wall_port = free_port(LOOPBACK, settings.wall_port, "OUTREACH_WALL_PORT")
    return replace(settings, web_port=web_port, wall_port=wall_port)


def has_carrier(settings: Settings) -> bool:
    """Whether an SMS carrier is configured; if not, one is simulated. Raises OutreachError for
    channels that are configured wrongly."""
    return "sms" in configured(settings, os.environ)


def plan_tree(settings: Settings, urls: Urls, workers: int, verbose: int) -> Plan:
    """The processes of an installation over the servers at `urls`; a carrier is simulated if
    none is set. Ports must be real ones, see `settled`."""
    env = {
        **os.environ,
        "DATABASE_URL": urls.database_url,
        "REDIS_URL": urls.redis_url,
        "OUTREACH_PROJECT": str(settings.project),
        "OUTREACH_DATA": str(settings.data),
        "OUTREACH_SECRET": load_secret(settings).decode(),
        "OUTREACH_API_KEYS": ",".join(map(str, load_api_keys(settings))),
        "OUTREACH_WEB_PORT": str(settings.web_port),
        "OUTREACH_WALL_PORT": str(settings.wall_port),
        "OUTREACH_CHANNELS": str(settings.channels or ""),
        "OUTREACH_SMPP_URL": settings.smpp_url or "",
        "OUTREACH_SIMULATED": str(settings.simulated or ""),
        "OUTREACH_CLOCK": str(settings.clock),
        "OUTREACH_SWEEP_S": str(settings.sweep_s),
        "OUTREACH_BATCH": str(settings.batch),
        "OUTREACH_PARTITIONS": str(settings.partitions),
        "OUTREACH_MOST_WAITING": str(settings.most_waiting),
    }
    site = shown(settings.web_host, settings.web_port)
    places = {"API": f"{site}/v1/", "chat": f"{site}/chat"}
    if settings.database_url is None and not settings.api_keys:
        places["API key"] = f"in {settings.data / 'api-key'}"
    first: list[Branch] = []
    if not has_carrier(settings):
        smpp_port, mm7_port = (free_port(LOOPBACK, 0, "") for _ in range(2))
        path = write_channels(settings.data, smpp_port, mm7_port, site)
        env["OUTREACH_SIMULATED"] = str(path)
        places["phones"] = f"{shown(LOOPBACK, settings.wall_port)}/ (a simulated carrier)"
        ports = ("--smpp-port", str(smpp_port), "--mm7-port", str(mm7_port))
        first.append(_branch("carrier", env, verbose, *ports))
    names = ["worker"] if workers == 1 else [f"worker-{n}" for n in range(1, workers + 1)]
    others = ("gateway", "matcher")
    watched = {}
    if settings.ops_port is not None:
        first_port, host = settings.ops_port, settings.ops_host
        watched = {
            name: free_port(host, first_port and first_port + n, "OUTREACH_OPS_PORT")
            for n, name in enumerate((*names, *others))
        }
        where = (f"{shown(settings.ops_host, port)}/metrics" for port in watched.values())
        places["metrics"] = " ".join([f"{site}/metrics", *where])
    then = [
        _branch(name, {**env, "OUTREACH_OPS_PORT": str(watched.get(name, ""))}, verbose)
        for name in (*names, *others, "web")
    ]
    return Plan(first, then, places)


def _branch(name: str, env: Mapping[str, str], verbose: int, *options: str) -> Branch:
    command = [sys.executable, "-m", "orchestrator.cli", name.partition("-")[0], *options]
    return Branch(name, [*command, *["-v"] * verbose], env)


async def grow(tree: Tree, plan: Plan) -> None:
    """All of the plan runs and is ready, the carrier before those who call it."""
    await tree.grow(plan.first)
    await tree.grow(plan.then)


def _pass_on(name: str, line: str) -> None:
    mark = f"\033[36m{name:<8}\033[0m |" if sys.stderr.isatty() else f"{name:<8} |"
    print(mark, line, file=sys.stderr, flush=True)


async def _show_status(settings: Settings, database_url: str) -> None:
    """On a terminal, a line says now and then what waits."""
    if not sys.stdout.isatty():
        return
    last = None
    while True:
        await asyncio.sleep(STATUS_S)
        with suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(database_url)
            try:
                now = settings.clock.now()
                waiting = await counts.waiting(connection, now)
            finally:
                await connection.close()
            if waiting != last:
                typer.echo(
                    f"{now:%Y-%m-%d %H:%M:%S}Z  due {waiting.due} · events {waiting.events} · "
                    f"queued {waiting.queued} · submitting {waiting.submitting}"
                )
            last = waiting
