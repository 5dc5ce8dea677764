"""The pictures that bubbles show: their addresses, and what stands there."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import msgspec
from aiohttp import web

from channels.base import Media, MediaError
from channels.webchat.frames import Image, Line

log = logging.getLogger("outreach.webchat")

ROUTE = "pictures/{digest:[0-9a-f]{64}}/{name:.+}"
"""Below the page. The digest is that of the picture: whoever does not know it finds nothing, and
what stands at such an address never changes."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=31536000, immutable",
}


class Pictures:
    """The project's pictures as a page shows them."""

    def __init__(self, media: Callable[[str], Awaitable[Media]]) -> None:
        self._media = media

    async def drawn(self, line: Line) -> Line:
        """The line with the picture that it `shows`, or without if there is none (any more)."""
        name = line.shows.strip().partition(" ")[0]
        if not name:
            return line
        try:
            it = (await self._media(name)).picture
        except MediaError as error:
            log.warning("picture_left_out", extra={"because": error.message})
            return msgspec.structs.replace(line, shows="")
        image = Image(f"pictures/{it.hash}/{quote(name)}", it.width, it.height)
        return msgspec.structs.replace(line, shows="", image=image)

    async def serve(self, request: web.Request) -> web.Response:
        """The octets of a picture."""
        try:
            media = await self._media(request.match_info["name"])
        except MediaError:
            raise web.HTTPNotFound from None
        if media.picture.hash != request.match_info["digest"]:
            raise web.HTTPNotFound
        return web.Response(body=media.octets, content_type=media.picture.mime, headers=_HEADERS)
