"""The real API on a real database, on a port of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web
from aiohttp.test_utils import TestServer

import orchestrator.project
from orchestrator.project.source import read_folder
from orchestrator.runtime.channels import configured
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.projects import apply
from orchestrator.runtime.settings import ApiKey, Settings
from orchestrator.runtime.turn import take_due
from orchestrator.web import codes, desk, invitations
from orchestrator.web.app import create_app
from orchestrator.web.doors import open_doors

KEY = "an-api-key-of-the-shop"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
CONFIGURED = configured(Settings.from_env({}, Path(__file__).parent), {})
STARTER = read_folder(Path(orchestrator.project.__file__).parent / "starter")


class Api:
    """Where it listens, and what came of it."""

    def __init__(self, context: Context, app: web.Application, server: TestServer) -> None:
        self.context = context
        self.app = app
        self.url = str(server.make_url("/")).rstrip("/")

    async def turn(self) -> int:
        """Everybody with something due has had their turn; how many of them failed."""
        failed = 0
        while (taken := await take_due(self.context, range(64))).subscribers:
            failed += taken.failed
        return failed

    async def value(self, query: str) -> Any:
        async with self.context.pool.acquire() as connection:
            return await connection.fetchval(query)


@asynccontextmanager
async def serving(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """It serves until the block ends, with the starter project applied."""
    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(
            open_context(database_url, redis_url, secret=b"s" * 20, clock=Clock())
        )
        connection: asyncpg.Connection
        async with context.pool.acquire() as connection, connection.transaction():
            await apply(connection, STARTER, context.clock.now())
            await context.projects.follow(connection)
        ingest = Ingest(context)
        routes = [
            *desk.routes(context, ingest),
            *codes.routes(context),
            *invitations.routes(context, CONFIGURED),
        ]
        app = create_app(
            open_doors(context, Intake(context, ingest)), api_keys=[ApiKey(KEY)], routes=routes
        )
        server = TestServer(app)
        await server.start_server()
        stack.push_async_callback(server.close)
        yield Api(context, app, server)
