"""Whether the lives of a world come out as they did when they are told anew."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg

from bot import router
from orchestrator.core.project import Project
from orchestrator.core.retelling import retold
from orchestrator.store import lives


async def differing(
    connection: asyncpg.Connection, people: Iterable[int], project: Project
) -> list[str]:
    """Every decision about these people that comes out otherwise, as lines for people."""
    problems: list[str] = []
    for who in people:
        past = await lives.read(connection, who)
        for told in retold(past, lambda _: project, router.answer, lambda _: 1):
            problems += [f"subscriber {who} at {told.at}: {it}" for it in told.differs]
    return problems
