"""The processes' side of this tour: a database with the campaign applied and Ann in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from orchestrator.project.load import load
from orchestrator.project.source import content_hash, version_hash
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.store import projects, subscribers
from orchestrator.store.subscribers import NewSubscriber
from tests.fundamentals.campaign import ANN, FILES


async def moved_in(office: Context) -> None:
    """The campaign is applied and Ann is a subscriber."""
    project = load(FILES)
    now = office.clock.now()
    async with office.pool.acquire() as connection:
        paths = {version_hash(text): path for path, text in FILES.items()}
        await projects.apply(connection, project, FILES, paths, content_hash(FILES), now)
        await office.projects.follow(connection)
        ann = NewSubscriber(
            key=ANN.key,
            timezone=ANN.timezone,
            attributes=ANN.attributes,
            tags=tuple(ANN.tags),
            addresses={"sms": ANN.addresses["sms"]},
            consents=ANN.consents,
        )
        await subscribers.upsert(connection, [ann], now, project.locale)


def at(office: Context, moment: datetime) -> Context:
    """The same office, its clock standing at `moment`."""
    return replace(office, clock=Clock.starting(moment, 0))


async def one(office: Context, query: str) -> tuple[Any, ...]:
    """The one row that the query finds."""
    async with office.pool.acquire() as connection:
        (row,) = await connection.fetch(query)
        return tuple(row)
