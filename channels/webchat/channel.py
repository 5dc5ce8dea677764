"""Web chat: a page and a WebSocket of our own, for everybody who has a browser."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from channels.album import NO_PICTURE
from channels.base import (
    Capabilities,
    Health,
    Inbox,
    Kind,
    Means,
    Media,
    Outcome,
    Outgoing,
    Receipt,
    Reply,
    no_media,
)
from channels.webchat.browser import Browser
from channels.webchat.frames import (
    MAX_TEXT,
    Line,
    Reason,
    Refused,
    Say,
    Seen,
    Stored,
    decode,
    encode,
)
from channels.webchat.link import MAX_ADDRESS_OCTETS, mint, read
from channels.webchat.pictures import ROUTE, Pictures
from channels.webchat.settings import WebChatSettings

log = logging.getLogger("outreach.webchat")

History = Callable[[str, int], Awaitable[Sequence[Line]]]
"""The last so many lines of the conversation with an address, oldest first."""

MAX_SENT = 4_000
"""Characters of a message."""
HISTORY_LINES = 50
COOKIE = "outreach_chat"
MAX_SOCKETS = 8
"""So many pages may one address have open."""
TOO_MANY = 4001
"""The close code for the next one."""

_MAX_FRAME_OCTETS = 4 * 1024 * 1024
_COOKIE_AGE_S = 400 * 24 * 3600
_PAGE = Path(__file__).parent / "page"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class WebChat:
    """Keeps the contract of `channels.base.Channel`; `routes` are to be mounted by a web process.

    A message is accepted as soon as it is handed in: open pages show it at once, others when they
    connect, from `history`. One whose picture is not there is accepted with the code `no_picture`.
    `secret` signs links and cookies. `https`: the page is only reached by HTTPS, so the cookie says
    so. `origins`: sites (`https://chat.example`) whose pages may connect besides our own, for a
    proxy that changes the Host header. `media` gives the picture of a name.
    """

    name = "webchat"
    capabilities = Capabilities(
        max_text=MAX_SENT, two_way=True, receipts=True, buttons=True, media=True
    )

    def __init__(
        self,
        secret: bytes,
        history: History,
        *,
        now: Callable[[], datetime] = _utc_now,
        path: str = "/chat",
        https: bool = False,
        origins: Collection[str] = (),
        media: Callable[[str], Awaitable[Media]] = no_media,
    ) -> None:
        self._secret = secret
        self._history = history
        self._now = now
        self._path = path
        self._https = https
        self._origins = frozenset(origins)
        self._pictures = Pictures(media)
        # The page names its parts from where it stands on.
        html = (_PAGE / "chat.html").read_text(encoding="utf-8")
        self._html = html.replace('="chat/', f'="{path.rpartition("/")[2]}/')
        self._pages: dict[str, list[Browser]] = {}
        self._inbox: Inbox | None = None

    def link(self, address: str) -> str:
        """The path of the personal page of `address`, to be put behind the site's own name."""
        return f"{self._path}?token={mint(address, self._secret)}"

    def routes(self) -> list[web.RouteDef]:
        """The page, its parts, and its socket."""
        return [
            web.get(self._path, self._open),
            web.get(f"{self._path}/socket", self._talk),
            web.get(f"{self._path}/{ROUTE}", self._pictures.serve),
            web.get(f"{self._path}/{{name}}", self._part),
        ]

    async def start(self, inbox: Inbox) -> None:
        """Pages may talk from now on."""
        self._inbox = inbox

    async def stop(self) -> None:
        """Every page is told to come back later, and says again what was not confirmed to it. To
        be called before the web process's own cleanup, which waits for open sockets."""
        self._inbox = None
        pages = [page for pages in self._pages.values() for page in pages]
        await asyncio.gather(*(page.close(WSCloseCode.GOING_AWAY) for page in pages))

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome each; open pages get theirs in one frame. Handing the same message in again
        is safe: a page shows an id once."""
        if self._inbox is None:
            return [_unsent(message) for message in batch]
        now = self._now()
        by_address: dict[str, list[Line]] = {}
        outcomes: list[Outcome] = []
        for message in batch:
            outcome, line = _judged(message), Line.of(message, now)
            if outcome.result == "accepted" and line.shows:
                outcome, line = await self._drawn(outcome, line)
            outcomes.append(outcome)
            if outcome.result == "accepted" and message.address in self._pages:
                by_address.setdefault(message.address, []).append(line)
        for address, lines in by_address.items():
            for page in self._pages.get(address, ()):
                page.show(lines)
        return outcomes

    async def _drawn(self, outcome: Outcome, line: Line) -> tuple[Outcome, Line]:
        """The line with its picture, and what that makes of the outcome."""
        try:
            drawn = await self._pictures.drawn(line)
        except Exception as error:
            log.error("picture_not_read", extra={"error": type(error).__name__})
            reason = "its picture could not be read"
            return Outcome(outcome.message_id, "unsent", "", "picture", reason, "later"), line
        if drawn.image is None:
            reason = "without its picture: there is none of this name"
            outcome = msgspec.structs.replace(outcome, code=NO_PICTURE, reason=reason)
        return outcome, drawn

    @property
    def connected(self) -> Collection[str]:
        """The addresses with a page open here."""
        return self._pages.keys()

    def health(self) -> Health:
        return "down" if self._inbox is None else "up"

    async def _open(self, request: web.Request) -> web.StreamResponse:
        """The page. A personal link becomes a cookie and leaves the address bar; who has neither
        becomes a new anonymous address."""
        token = request.query.get("token")
        if token is not None:
            if read(token, self._secret) is None:
                return web.Response(status=403, text="This link is not valid. 链接无效。\n")
            answer: web.StreamResponse = web.Response(
                status=303, headers={**_HEADERS, "Location": self._path}
            )
            return self._remember(answer, token)
        answer = web.Response(text=self._html, content_type="text/html", headers=_HEADERS)
        if self._who(request) is None:
            return self._remember(answer, mint(f"web-{secrets.token_hex(10)}", self._secret))
        return answer

    async def _part(self, request: web.Request) -> web.StreamResponse:
        """A style or script of the page."""
        part = _PAGE / request.match_info["name"]
        kind = _KINDS.get(part.suffix)
        if kind is None or part not in _PAGE.iterdir():
            raise web.HTTPNotFound
        return web.FileResponse(part, headers={**_HEADERS, "Content-Type": kind})

    def _remember(self, answer: web.StreamResponse, token: str) -> web.StreamResponse:
        answer.headers["Cache-Control"] = "no-store"
        answer.set_cookie(
            COOKIE,
            token,
            max_age=_COOKIE_AGE_S,
            path=self._path,
            httponly=True,
            samesite="Lax",
            secure=self._https,
        )
        return answer

    def _who(self, request: web.Request) -> str | None:
        token = request.cookies.get(COOKIE)
        return None if token is None else read(token, self._secret)

    def _ours(self, request: web.Request) -> bool:
        """Programs send no Origin; of pages, only our own may use a visitor's cookie."""
        origin = request.headers.get("Origin")
        if origin is None or origin in self._origins:
            return True
        return urlsplit(origin).netloc == request.host

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        """One page's socket, from its history to its end."""
        address = self._who(request)
        if address is None or not self._ours(request):
            raise web.HTTPForbidden(text="Open the chat page first.\n")
        if self._inbox is None:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"})
        socket = web.WebSocketResponse(heartbeat=25, timeout=3, max_msg_size=_MAX_FRAME_OCTETS)
        await socket.prepare(request)
        pages = self._pages.setdefault(address, [])
        if len(pages) >= MAX_SOCKETS:
            await socket.close(code=TOO_MANY)
            return socket
        page = Browser(socket, address, request.transport)
        pages.append(page)
        writer = asyncio.create_task(page.write())
        try:
            await self._converse(page)
        finally:
            pages.remove(page)
            if not pages:
                self._pages.pop(address, None)
            writer.cancel()
            await asyncio.wait({writer})
        return socket

    async def _converse(self, page: Browser) -> None:
        try:
            history = await self._history(page.address, HISTORY_LINES)
            drawn = [await self._pictures.drawn(line) for line in history]
        except Exception as error:
            log.error("history_failed", extra={"error": type(error).__name__})
            await page.close(WSCloseCode.TRY_AGAIN_LATER)
            return
        own = f"{page.address}/"
        page.show([_local(line, own) for line in drawn], whole=True)
        async for frame in page.socket:
            if frame.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            await self._hear(page, frame.data)
            if page.misbehaves:
                await page.close(WSCloseCode.POLICY_VIOLATION)

    async def _hear(self, page: Browser, octets: str | bytes) -> None:
        """One frame from a page is answered, if it asks for an answer. Nothing that can be written
        there raises."""
        try:
            frame = decode(octets)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            page.answer(Refused("malformed"))
            return
        if isinstance(frame, Seen):
            ids = page.acknowledge(frame.ids)
            if ids:
                await self._acknowledge(ids)
            elif not page.may_talk():
                page.answer(Refused("too_fast"))
            return
        text = frame.text.replace("\0", "").strip()
        reason: Reason | None = None
        if not page.may_talk():
            reason = "too_fast"
        elif not text:
            reason = "empty"
        elif len(text) > MAX_TEXT:
            reason = "too_long"
        elif not await self._stored(page.address, frame, text):
            reason = "try_again"
        if reason is not None:
            page.answer(Refused(reason, frame.id))
            return
        line = Line(frame.id, "you", text, self._now())
        page.answer(Stored(line.id, line.at))
        for other in self._pages.get(page.address, ()):
            if other is not page:
                other.show([line])

    async def _stored(self, address: str, say: Say, text: str) -> bool:
        """The inbox has the reply. A page's ids are its own: the address makes them everybody's."""
        if self._inbox is None:
            return False
        try:
            await self._inbox.replies([Reply(self.name, address, text, f"{address}/{say.id}")])
        except Exception as error:
            log.error("reply_not_stored", extra={"error": type(error).__name__})
            return False
        return True

    async def _acknowledge(self, ids: Sequence[str]) -> None:
        if self._inbox is None:
            return
        try:
            await self._inbox.receipts([Receipt(self.name, it, "delivered") for it in ids])
        except Exception as error:
            # The message stays unacknowledged in the history, so the next page says it again.
            log.error("receipts_not_stored", extra={"error": type(error).__name__})


def _judged(message: Outgoing) -> Outcome:
    for code, reason, wrong in _FAULTS:
        if wrong(message):
            return Outcome(message.message_id, "rejected", code=code, reason=reason)
    return Outcome(message.message_id, "accepted", carrier_id=str(message.message_id))


def _nobody(message: Outgoing) -> bool:
    address = message.address
    proper = address.isprintable() and " " not in address
    return not (address and proper and len(address.encode()) <= MAX_ADDRESS_OCTETS)


def _broken(message: Outgoing) -> bool:
    try:
        encode(message.content)
    except UnicodeEncodeError:
        return True
    return False


_FAULTS: tuple[tuple[str, str, Callable[[Outgoing], bool]], ...] = (
    ("empty", "it has no words", lambda it: not _words(it)),
    ("too_long", "its text is too long", lambda it: len(_words(it)) > MAX_SENT),
    ("broken_text", "its text holds half a character", _broken),
    ("no_address", "nobody can have this address", _nobody),
)


def _words(message: Outgoing) -> str:
    said = message.content
    return said.text + said.subject + said.href


def _unsent(message: Outgoing) -> Outcome:
    return Outcome(
        message.message_id,
        "unsent",
        code="stopped",
        reason="web chat is not started",
        retry="later",
    )


def _local(line: Line, own: str) -> Line:
    """A page knows what was said on it by its own ids."""
    if line.by == "us":
        return line
    return msgspec.structs.replace(line, id=line.id.removeprefix(own))


def _build(name: str, settings: WebChatSettings, means: Means) -> WebChat:
    async def history(address: str, limit: int) -> list[Line]:
        return [Line.spoken(it) for it in await means.history(name, address, limit)]

    return WebChat(
        means.secret,
        history,
        now=means.now,
        path=settings.path,
        https=settings.https,
        origins=settings.origins,
        media=means.media,
    )


KIND = Kind(WebChatSettings, _build, "web")
