"""What the commands have in common: options, settings, and how a long run begins and ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import asyncpg
import typer
import uvloop

from orchestrator.core.errors import OutreachError
from orchestrator.runtime import notify
from orchestrator.runtime.embedded import run_servers
from orchestrator.runtime.logs import log_loop_errors, set_up_logs
from orchestrator.runtime.memory import calm_collector
from orchestrator.runtime.settings import Settings, load_secret

if TYPE_CHECKING:
    from orchestrator.runtime.context import Context

Result = TypeVar("Result")

ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project",
        "-p",
        metavar="DIR",
        help="The project's folder [default: OUTREACH_PROJECT, else the current folder].",
        show_default=False,
    ),
]
VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, help="Log more; twice: everything.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
CountryOption = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Completes numbers without one: 86 [default: OUTREACH_COUNTRY].",
        show_default=False,
    ),
]


def read_settings(project: Path | None) -> Settings:
    """The environment's settings; `project` wins over OUTREACH_PROJECT."""
    env = dict(os.environ)
    if project is not None:
        env["OUTREACH_PROJECT"] = str(project.absolute())
    return Settings.from_env(env, Path.cwd())


def run(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """What `main()` returns, on the event loop that all our processes use."""
    calm_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        log_loop_errors(runner.get_loop())
        return runner.run(main())


def run_once(
    project: Path | None,
    verbose: int,
    main: Callable[[Settings, asyncpg.Connection], Coroutine[Any, Any, Result]],
) -> Result:
    """What `main` returns, given the database. An embedded one that runs already is shared; else
    it runs as long as this does. Redis is not needed: it may be what is being looked into."""
    set_up_logs(max(logging.DEBUG, logging.WARNING - 10 * verbose))
    settings = read_settings(project)
    with run_servers(settings) as urls:

        async def whole() -> Result:
            async with connected(urls.database_url) as connection:
                return await main(settings, connection)

        return run(whole)


def run_process(
    project: Path | None,
    verbose: int,
    main: Callable[[Settings, Context], Coroutine[Any, Any, Result]],
    role: str,
    level: int = logging.INFO,
) -> Result:
    """What `main` returns, given all the means of a process; logs from `level` on, or more."""
    set_up_logs(max(logging.DEBUG, level - 10 * verbose))
    settings = read_settings(project)
    with run_servers(settings) as urls:

        async def whole() -> Result:
            async with opened(settings, urls.database_url, urls.redis_url, role) as context:
                return await main(settings, context)

        return run(whole)


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database, closed at the end. Raises OutreachError if there is none."""
    try:
        connection = await asyncpg.connect(database_url)
    except (OSError, asyncpg.PostgresError) as error:
        raise OutreachError(
            f"cannot reach PostgreSQL: {error}", "is it running, and is DATABASE_URL right?"
        ) from None
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def opened(
    settings: Settings, database_url: str, redis_url: str, role: str
) -> AsyncIterator[Context]:
    """A context as the settings say."""
    # Half a second to load, and most commands need the database alone.
    from orchestrator.runtime.context import open_context

    async with open_context(
        database_url,
        redis_url,
        secret=load_secret(settings),
        clock=settings.clock,
        batch=settings.batch,
        sweep_s=settings.sweep_s,
        links=settings.links or "",
        country=settings.country,
        partitions=settings.partitions,
        most_waiting=settings.most_waiting,
        role=role,
    ) as context:
        yield context


def stop_asked(hard: Callable[[], None] = lambda: None) -> asyncio.Event:
    """An event that SIGINT and SIGTERM set. The second signal does `hard` and ends this process
    at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(number: signal.Signals) -> None:
        if stop.is_set():
            hard()
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear, number)
    return stop


async def serve_until(stop: asyncio.Event) -> None:
    """Whoever started us knows that we are ready; then we go on until asked to stop."""
    notify.tell("READY=1")
    await stop.wait()
    notify.tell("STOPPING=1")
