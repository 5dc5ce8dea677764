"""`outreach web`: the API, health, and the web chat."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import asyncpg

from channels.webchat import Line, WebChat
from orchestrator.cli.listening import listening, shown
from orchestrator.cli.options import (
    ProjectOption,
    VerboseOption,
    run_process,
    serve_until,
    stop_asked,
)
from orchestrator.runtime.context import Context
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.settings import Settings, load_api_keys
from orchestrator.store import subscribers, timeline
from orchestrator.store.subscribers import NewSubscriber
from orchestrator.web.app import Doors, create_app

log = logging.getLogger("outreach.web")


def web(project: ProjectOption = None, verbose: VerboseOption = 0) -> None:
    """Answer the API, health checks and the web chat, until SIGTERM."""
    run_process(project, verbose, _serve, "web")


async def _serve(settings: Settings, context: Context) -> None:
    stop = stop_asked()
    keys = load_api_keys(settings)
    if not keys:
        log.warning("api_closed because=OUTREACH_API_KEYS_is_not_set")
    chat = WebChat(context.secret, _history(context), now=context.clock.now)
    async with holding(context, [chat]) as ingest:
        app = create_app(_doors(context, ingest), api_keys=keys, routes=chat.routes())
        host, port = settings.web_host, settings.web_port
        async with listening(app, host, port, "OUTREACH_WEB_PORT", chat.stop) as taken:
            log.info("web_ready url=%s", shown(host, taken))
            await serve_until(stop)
    log.info("web_ended name=%s", context.name)


def _doors(context: Context, ingest: Ingest) -> Doors:
    async def add(news: Sequence[NewSubscriber]) -> tuple[int, int]:
        locale = context.projects.project.locale
        async with context.pool.acquire() as connection, connection.transaction():
            return await subscribers.upsert(connection, news, context.clock.now(), locale)

    async def tell(key: str) -> Any | None:
        async with context.pool.acquire() as connection:
            found = await timeline.find(connection, key)
            return None if found is None else await timeline.load(connection, found)

    async def waiting_for() -> list[str]:
        # Not for Redis: what comes in while it is away is stored, and the sweep finds it.
        try:
            async with context.pool.acquire(timeout=2) as connection:
                await connection.execute("SELECT 1", timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return ["PostgreSQL"]
        return []

    return Doors(ingest.events, add, tell, waiting_for)


def _history(context: Context) -> Any:
    async def history(address: str, most: int) -> list[Line]:
        async with context.pool.acquire() as connection:
            owners = await subscribers.owners(connection, [(WebChat.name, address)])
            owner = owners.get((WebChat.name, address))
            if owner is None:
                return []
            spoken = await timeline.conversation(
                connection, owner.subscriber_id, WebChat.name, most
            )
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
