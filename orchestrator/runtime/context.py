"""What every process has: connections, the clock, the project, the bell."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.core.errors import OutreachError
from orchestrator.core.links import tracked
from orchestrator.core.model import Content
from orchestrator.runtime import bell
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.lists import Lists
from orchestrator.runtime.meters import Meters
from orchestrator.runtime.projects import Projects
from orchestrator.runtime.redis_url import redis_settings
from orchestrator.runtime.settings import MOST_WAITING, PARTITIONS
from orchestrator.runtime.streams import Streams
from orchestrator.store import now
from orchestrator.store.ids import Ids


class Context(Struct, frozen=True):
    """The means of one process. `name` tells it from the others; `secret` keys its hashes;
    `batch` bounds how many subscribers one turn takes; `links` is the site below which tracked
    links lead to us, or ''; `country` the calling code of numbers that come without one; `lists`
    are those of numbers, as last followed."""

    pool: asyncpg.Pool
    bell: bell.Bell
    streams: Streams
    redis_url: str
    projects: Projects
    clock: Clock
    ids: Ids
    secret: bytes
    name: str
    batch: int = 500
    sweep_s: float = 1.0
    links: str = ""
    country: str = ""
    meters: Meters = field(default_factory=Meters)
    lists: Lists = field(default_factory=Lists)

    async def real_now(self) -> datetime:
        """Real time by PostgreSQL's clock: one for all processes, whatever their machines say."""
        return await now.real_now(self.pool)

    async def now(self) -> datetime:
        """Domain time by the same clock. Whatever is due, is due by it."""
        return self.clock.domain_at((await self.real_now()).timestamp())

    def linked(self, content: Content, subscriber_id: int, message_id: int) -> Content:
        """The content as it goes out: with tracked links, if there is a site for them."""
        if not self.links:
            return replace(content, links=())
        return tracked(content, self.links, subscriber_id, message_id, self.secret)


@asynccontextmanager
async def open_context(
    database_url: str,
    redis_url: str,
    *,
    secret: bytes,
    clock: Clock,
    batch: int = 500,
    sweep_s: float = 1.0,
    links: str = "",
    country: str = "",
    partitions: int = PARTITIONS,
    most_waiting: int = MOST_WAITING,
    role: str = "process",
    connections: int = 8,
) -> AsyncIterator[Context]:
    """A process's means, given back at the end. The database must have its schema already."""
    try:
        pool = await asyncpg.create_pool(
            database_url, min_size=1, max_size=connections, reset=_as_it_is
        )
    except (OSError, asyncpg.PostgresError) as error:
        raise OutreachError(
            f"cannot reach PostgreSQL: {error}", "is it running, and is DATABASE_URL right?"
        ) from None
    try:
        redis = await bell.connect(redis_settings(redis_url))
        try:
            yield Context(
                pool=pool,
                bell=bell.Bell(redis),
                streams=Streams(redis, partitions, most_waiting),
                redis_url=redis_url,
                projects=Projects(),
                clock=clock,
                ids=Ids(),
                secret=secret,
                name=f"{role}@{socket.gethostname()}:{secrets.token_hex(4)}",
                batch=batch,
                sweep_s=sweep_s,
                links=links,
                country=country,
            )
        finally:
            await redis.aclose()
    finally:
        await pool.close()


async def _as_it_is(connection: asyncpg.Connection) -> None:
    """A connection given back is handed on without the query by which asyncpg ends its locks and
    settings, a fifth of what a reply asks PostgreSQL. Nobody leaves any: whoever has locks or
    settings of a session has a `lease.session`. What transaction was open has been ended."""
