"""`/l/TOKEN`: a tracked link leads to where its message said, and the click is an event."""

from __future__ import annotations

import asyncio
import logging
import re

import asyncpg
from aiohttp import web

from orchestrator.core import links
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.store import clicks
from orchestrator.store.clicks import Target
from orchestrator.store.ids import instant_of

EVENT = "link.clicked"
"""Its properties: `url`, `template`, `journey`, `step`, `channel`."""

SOURCE = "link"

PATIENCE_S = 2.0
"""Nobody waits longer for a page because the click is being stored."""

log = logging.getLogger(__name__)

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}

_ROBOTS = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|preview|facebookexternalhit|whatsapp/|skypeuri|embedly|vkshare"
    r"|bingpreview|google-safety|googleother|headlesschrome|monitoring|python|curl/|wget/|go-http"
    r"|java/|okhttp|libwww|axios|node-fetch|barracuda|proofpoint|mimecast",
    re.IGNORECASE,
)
"""Programs that open a link so that a person sees a picture of it, or to judge it."""

_GONE = "This link is no longer valid. 链接已失效。\n"
_UNKNOWN = "There is no such link. 没有这个链接。\n"


def routes(context: Context, ingest: Ingest) -> list[web.RouteDef]:
    """The route of tracked links."""

    async def follow(request: web.Request) -> web.StreamResponse:
        link = links.read(request.match_info["token"], context.secret)
        if link is None:
            return web.Response(status=404, text=_UNKNOWN, headers=_HEADERS)
        now = context.clock.now()
        if instant_of(link.message_id) + links.LIVES < now:
            return web.Response(status=410, text=_GONE, headers=_HEADERS)
        async with context.pool.acquire() as connection:
            target = await clicks.target_of(connection, link)
        if target is None:
            return web.Response(status=410, text=_GONE, headers=_HEADERS)
        if _by_a_person(request):
            # Who clicks twice within a minute meant it once.
            click = f"{link.message_id}:{link.index}:{int(now.timestamp()) // 60}"
            await _count(ingest, target, click)
        return web.Response(status=302, headers={**_HEADERS, "Location": target.url})

    return [web.get(f"{links.PATH}{{token}}", follow)]


async def _count(ingest: Ingest, target: Target, click: str) -> None:
    """The click is stored; if that fails, the person gets their page all the same."""
    said = {
        "url": target.url,
        "template": target.template,
        "journey": target.journey,
        "step": target.step,
        "channel": target.channel,
    }
    try:
        async with asyncio.timeout(PATIENCE_S):
            await ingest.events([EventIn(target.subscriber, EVENT, click, None, said)], SOURCE)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("click_lost error=%s", type(error).__name__)


def _by_a_person(request: web.Request) -> bool:
    """Not a program that looks at the link for somebody: previews, scanners, prefetching."""
    if request.method != "GET":
        return False
    told = (request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz"))
    if any("prefetch" in it.lower() or "preview" in it.lower() for it in told):
        return False
    agent = request.headers.get("User-Agent", "")
    return bool(agent) and not _ROBOTS.search(agent)
