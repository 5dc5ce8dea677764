"""Ports: taken, found free, and served on."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.context import Context
from orchestrator.runtime.settings import Settings
from orchestrator.web.operations import create_operations

log = logging.getLogger(__name__)

SHUTDOWN_S = 5.0
"""So long may open requests take once we stop."""


@asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    setting: str,
    before_cleanup: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[int]:
    """`app` answers on `host`; yields the port. At the end it takes no new connections, does
    `before_cleanup`, and lets open requests finish."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise _taken(host, port, setting, error) from None
        try:
            yield int(runner.addresses[0][1])
        finally:
            await site.stop()
            if before_cleanup is not None:
                await before_cleanup()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def watched(settings: Settings, context: Context) -> AsyncIterator[None]:
    """If OUTREACH_OPS_PORT is set, health and metrics are answered there during the block."""
    host, port = settings.ops_host, settings.ops_port
    if port is None:
        yield
        return
    async with listening(create_operations(context), host, port, "OUTREACH_OPS_PORT") as taken:
        log.info("operations_ready url=%s", shown(host, taken))
        yield


def free_port(host: str, port: int, setting: str) -> int:
    """`port` if nobody listens there, or a free one for 0. Raises OutreachError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _taken(host, port, setting, error) from None
        return int(probe.getsockname()[1])


def shown(host: str, port: int) -> str:
    """The address for a browser on this machine."""
    name = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else host
    return f"http://{name}:{port}"


def _taken(host: str, port: int, setting: str, error: OSError) -> OutreachError:
    if error.errno == errno.EADDRINUSE:
        return OutreachError(
            f"port {port} on {host} is taken: does another outreach run?",
            f"stop it, or set {setting} to another port (0: a free one)",
        )
    return OutreachError(f"cannot listen on {host}:{port}: {error.strerror}", f"set {setting}")
