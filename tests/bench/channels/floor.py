"""The same without a channel: its own requests, overheard and made again bare."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from msgspec import Struct

_UNSAID = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}
CONNECTIONS = 20


class Post(Struct, frozen=True):
    """A request as it stood on the wire."""

    path: str
    headers: dict[str, str]
    body: bytes


class Ear:
    """Stands between a channel and `url`, and hears what the channel says."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._heard: list[bytearray] = []

    async def listen(self) -> int:
        """The port to call instead."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def end(self) -> None:
        self._server.close()

    def longest(self) -> Post:
        """The longest POST so far: a message, since all else is short."""
        return max((it for said in self._heard for it in _posts(bytes(said))), key=_length)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_far, from_far = await asyncio.open_connection(self._host, self._port)
        self._heard.append(said := bytearray())
        await asyncio.gather(_pump(reader, from_far, said), _pump(to_far, writer, bytearray()))


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray
) -> None:
    while octets := await reader.read(1 << 16):
        said += octets
        writer.write(octets)
        await writer.drain()
    writer.close()


def _length(post: Post) -> int:
    return len(post.body)


def _posts(said: bytes) -> Iterator[Post]:
    """The requests in what one connection said; all have a length."""
    at = 0
    while (end := said.find(b"\r\n\r\n", at)) > 0:
        first, *lines = said[at:end].decode("latin-1").split("\r\n")
        headers = dict(re.split(r":\s*", line, maxsplit=1) for line in lines)
        length = int({k.lower(): v for k, v in headers.items()}.get("content-length", "0"))
        body = said[end + 4 : end + 4 + length]
        kept = {k: v for k, v in headers.items() if k.lower() not in _UNSAID}
        if first.startswith("POST ") and len(body) == length:
            yield Post(first.split()[1], kept, body)
        at = end + 4 + length


async def post(url: str, said: Post, messages: int, batch: int) -> None:
    """It is made so many times, bare, by aiohttp."""
    parts = urlsplit(url)
    target = f"{parts.scheme}://{parts.netloc}{said.path}"
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one() -> None:
            async with session.post(target, data=said.body, headers=said.headers) as answer:
                await answer.read()
                assert answer.status < 300, answer.status

        for _ in range(0, messages, batch):
            await asyncio.gather(*(one() for _ in range(batch)))


class Pages:
    """A WebSocket for every visitor, and nothing behind it."""

    def __init__(self) -> None:
        self._sockets: list[web.WebSocketResponse] = []

    @property
    def open(self) -> int:
        return len(self._sockets)

    def routes(self) -> list[web.RouteDef]:
        """Where the chat would be."""
        return [web.get("/chat", self._page), web.get("/chat/socket", self._talk)]

    async def show(self, frame: str, messages: int) -> None:
        """So many frames are written, each to the next visitor."""
        for number in range(messages):
            await self._sockets[number % len(self._sockets)].send_str(frame)

    async def _page(self, request: web.Request) -> web.Response:
        answer = web.Response(text="a page")
        answer.set_cookie("outreach_chat", "anybody")
        return answer

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        async for _ in socket:
            pass
        return socket
