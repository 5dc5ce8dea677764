"""The doors of the API, on a process's own means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.store import importing, timeline
from orchestrator.store.subscribers import NewSubscriber
from orchestrator.store.timeline import Timeline
from orchestrator.web.app import Doors
from orchestrator.web.operations import missing
from orchestrator.web.problem import Flaw, ProblemError


def open_doors(context: Context, ingest: Ingest) -> Doors:
    """What the API opens to in a running installation."""

    async def add_subscribers(news: Sequence[NewSubscriber]) -> tuple[int, int]:
        now, locale = context.clock.now(), context.projects.project.locale
        async with context.pool.acquire() as connection, connection.transaction():
            by_key = {it.key: it for it in news}  # the last of several with one key wins
            added = await importing.add(connection, list(by_key.values()), now, locale)
            if added.refused:
                raise _not_theirs(news, added.refused)
            return added.made, added.known

    async def tell(key: str) -> Timeline | None:
        async with context.pool.acquire() as connection:
            found = await timeline.find(connection, key)
            return None if found is None else await timeline.load(connection, found)

    return Doors(ingest.events, add_subscribers, tell, partial(missing, context))


def _not_theirs(news: Sequence[NewSubscriber], refused: Mapping[str, str]) -> ProblemError:
    """Whose address belongs to whom; two subscribers cannot share one, or an opt-out of the one
    would not hold for the other."""
    flaws = [
        Flaw(index, "addresses", f"It belongs to another subscriber: {refused[it.key]}.")
        for index, it in enumerate(news)
        if it.key in refused
    ]
    return ProblemError(409, "An address is taken", "Nothing of it was stored.", flaws=flaws)
