"""The doors of the API and the history of the web chat, on a process's own means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from channels.webchat import Line
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.store import importing, subscribers, timeline
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


def chat_history(context: Context) -> Callable[[str, int], Awaitable[list[Line]]]:
    """What the web chat shows when a page opens: the last lines spoken with its address."""

    async def history(address: str, limit: int) -> list[Line]:
        async with context.pool.acquire() as connection:
            sender = ("webchat", address)
            owner = (await subscribers.owners(connection, [sender])).get(sender)
            if owner is None:
                return []
            spoken = await timeline.conversation(connection, owner.subscriber_id, "webchat", limit)
        return [
            Line(
                it.id,
                "us" if it.by == "us" else "you",
                f"{it.content.subject}\n{it.content.text}".strip(),
                it.at,
                it.content.href,
                it.content.buttons,
                it.delivered,
            )
            for it in spoken
        ]

    return history
