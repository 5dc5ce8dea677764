"""What our own pages have in common: a strict policy, their parts as files, who may look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

_KINDS = {".css": "text/css", ".js": "text/javascript"}


def part_of(folder: Path, name: str) -> web.StreamResponse:
    """A style or script of a page. Raises HTTPNotFound."""
    part = folder / name
    kind = _KINDS.get(part.suffix)
    if kind is None or part not in folder.iterdir():
        raise web.HTTPNotFound
    return web.FileResponse(part, headers={**HEADERS, "Content-Type": kind})


@web.middleware
async def neighbours_only(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Only this machine looks, by a loopback name, and only the page itself asks: a page elsewhere
    could be made to point here."""
    host = urlsplit(f"//{request.host}").hostname or ""
    origin = request.headers.get("Origin")
    ours = origin is None or urlsplit(origin).netloc == request.host
    if not (is_loopback(request.remote or "") and is_loopback(host) and ours):
        raise web.HTTPForbidden(text="This page is only for this machine: open it by 127.0.0.1.\n")
    return await handler(request)


def is_loopback(host: str) -> bool:
    """Whether it is this machine by a name that no other machine can have."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
