"""A real PostgreSQL and a real Valkey that can be killed, kept away, and started again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from orchestrator.runtime.embedded.child import Child
from orchestrator.runtime.embedded.folder import close_folder, open_folder
from orchestrator.runtime.embedded.postgres import Postgres
from orchestrator.runtime.embedded.valkey import Valkey
from orchestrator.store.migrate import migrate


class Server:
    """One of the two. `stop` and `start` as often as one likes; its data stays."""

    def __init__(self, kind: Postgres | Valkey) -> None:
        self._kind = kind
        self._child: Child | None = None

    def start(self) -> None:
        self._child = self._kind.start()

    def stop(self, how: signal.Signals) -> None:
        """It has ended by this signal; for PostgreSQL SIGINT is fast and SIGQUIT is a crash."""
        if self._child is None:
            return
        self._child.popen.send_signal(how)
        self._child.end()
        self._child = None


class Servers:
    """Both, and fresh databases on them."""

    def __init__(self, root: Path) -> None:
        self.folder = open_folder(root)
        self._postgres, self._valkey = Postgres(self.folder), Valkey(self.folder)
        self.postgres, self.valkey = Server(self._postgres), Server(self._valkey)
        self.redis_url = self._valkey.url

    def database_url(self, name: str, application: str = "judge") -> str:
        """Where that database is; PostgreSQL knows who asks as `application`."""
        url = self._postgres.url.replace("/outreach?", f"/{name}?")
        return f"{url}&application_name={application}"

    async def fresh(self, name: str) -> None:
        """The database `name` is new and migrated, and Valkey is empty."""
        base = await asyncpg.connect(self._postgres.url)
        await base.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await base.execute(f"CREATE DATABASE {name}")
        await base.close()
        connection = await asyncpg.connect(self.database_url(name))
        await migrate(connection)
        await connection.close()
        await self.flush()

    async def flush(self) -> None:
        """Valkey has forgotten everything."""
        client = Redis.from_url(self.redis_url)
        await client.flushall()
        await client.aclose()

    async def away(self, server: Server, how: signal.Signals, for_s: float) -> None:
        """The server was gone for so long, and answers again. Starting it holds up the loop."""
        server.stop(how)
        await asyncio.sleep(for_s)
        server.start()


@contextmanager
def serving(root: Path) -> Iterator[Servers]:
    """Both servers run until the block ends. Call from the main thread."""
    servers = Servers(root)
    servers.valkey.start()
    servers.postgres.start()
    try:
        yield servers
    finally:
        servers.postgres.stop(signal.SIGINT)
        servers.valkey.stop(signal.SIGTERM)
        close_folder(servers.folder)
