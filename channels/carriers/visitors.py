"""Simulated visitors of the web chat: each a browser without a screen, for tests and demos."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp
import msgspec
from msgspec import Struct

from channels.carriers.gallery import shot
from channels.carriers.handset import Shot
from channels.carriers.smsc import Change
from channels.webchat.frames import Line, Lines, Refused, Say, Seen, Stored
from orchestrator.core.model import Button

_SLOWEST_S = 5.0
_AGAIN_S = 1.0
_KNOWN = 1_000

_decode = msgspec.json.Decoder(Lines | Stored | Refused).decode
_encode = msgspec.json.encode


class Seeing(Struct, frozen=True):
    """One message as the page shows it."""

    text: str
    sender: str
    at: datetime
    href: str = ""
    buttons: tuple[Button, ...] = ()
    picture: Shot | None = None


class Typed(Struct):
    """One message that the visitor typed; `acknowledged_at` is set once the chat has stored it."""

    id: str
    text: str
    to: str
    at: datetime
    acknowledged_at: datetime | None = None


class Visitor:
    """One person with the chat page open, and reopened when it closes. While `on` is false the
    page is closed. `arrived` and `said` keep the latest messages, oldest first."""

    def __init__(self, number: str, chat: Visitors) -> None:
        self.number = number
        self.arrived: deque[Seeing] = deque(maxlen=200)
        self.said: deque[Typed] = deque(maxlen=200)
        self._chat = chat
        self._known: dict[str, None] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def on(self) -> bool:
        """The page is open, or about to be."""
        return self._task is not None

    def switch_on(self) -> None:
        """The page opens."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._browse())

    def switch_off(self) -> None:
        """The page closes; what is sent meanwhile shows when it opens again."""
        if self._task is not None:
            self._task.cancel()
            self._closing, self._task = self._task, None

    async def gone(self) -> None:
        """The page is closed."""
        self.switch_off()
        if self._closing is not None:
            await asyncio.wait({self._closing})

    def say(self, words: str, to: str = "") -> Typed:
        """The words are on their way; they are said again until the chat has stored them."""
        typed = Typed(secrets.token_hex(12), words, to or "webchat", self._chat.now())
        self.said.append(typed)
        self._chat.tell("said", self.number)
        if self._socket is not None:
            self._chat.run(self._utter(self._socket, typed))
        return typed

    async def _browse(self) -> None:
        tries = 0
        while True:
            try:
                async with self._chat.opened(self.number) as socket:
                    self._socket = socket
                    for typed in self.said:
                        if typed.acknowledged_at is None:
                            await self._utter(socket, typed)
                    async for message in socket:
                        tries = 0
                        await self._read(socket, message.data)
            except (aiohttp.ClientError, OSError):
                pass
            finally:
                self._socket = None
            tries = min(tries + 1, 8)
            await asyncio.sleep(min(_SLOWEST_S, 0.05 * 2**tries) * random.uniform(0.5, 1))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, octets: str) -> None:
        frame = _decode(octets)
        if isinstance(frame, Lines):
            pictures = [await self._chat.picture(line) for line in frame.lines]
            fresh = [it for it in zip(frame.lines, pictures, strict=True) if self._shows(*it)]
            seen = [it.id for it in frame.lines if it.by == "us" and not it.acknowledged]
            for some in (seen[i : i + 500] for i in range(0, len(seen), 500)):
                await socket.send_bytes(_encode(Seen(some)))
            if fresh:
                self._chat.tell("arrived", self.number)
            return
        typed = next((it for it in self.said if it.id == frame.id), None)
        if typed is None:
            return
        if isinstance(frame, Stored):
            typed.acknowledged_at = frame.at
            self._chat.tell("acknowledged", self.number)
        elif frame.reason in ("too_fast", "try_again"):
            self._chat.run(self._utter(socket, typed, after_s=_AGAIN_S))

    def _shows(self, line: Line, picture: Shot | None) -> bool:
        """The line is on the page, once."""
        key = f"{line.by}:{line.id}"
        if line.by == "you" or key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]
        self.arrived.append(Seeing(line.text, "webchat", line.at, line.href, line.buttons, picture))
        return True

    async def _utter(
        self, socket: aiohttp.ClientWebSocketResponse, typed: Typed, after_s: float = 0.0
    ) -> None:
        await asyncio.sleep(after_s)
        if typed.acknowledged_at is None and not socket.closed:
            await socket.send_bytes(_encode(Say(typed.id, typed.text)))


class Visitors:
    """The visitors of one web chat at `site` (`http://127.0.0.1:8080`), opened by the personal
    links that `link` makes. Has the face of a simulated carrier: `handset` gives the visitor of an
    address, `on_change` holds callables that hear of every Change."""

    def __init__(
        self,
        site: str,
        link: Callable[[str], str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.now = now
        self.handsets: dict[str, Visitor] = {}
        self.on_change: list[Callable[[Any], None]] = []
        self._site = site.rstrip("/")
        self._link = link
        self._tasks: set[asyncio.Task[None]] = set()
        self._pictures: dict[str, Shot] = {}

    def handset(self, number: str) -> Visitor:
        """The visitor of this address; a new one opens the page."""
        visitor = self.handsets.get(number)
        if visitor is None:
            visitor = self.handsets[number] = Visitor(number, self)
            visitor.switch_on()
        return visitor

    async def stop(self) -> None:
        """Every page is closed."""
        await asyncio.gather(*(it.gone() for it in self.handsets.values()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # For visitors

    def tell(self, kind: Literal["arrived", "said", "acknowledged"], number: str) -> None:
        """Onlookers know."""
        for look in self.on_change:
            look(Change(kind, number))

    async def picture(self, line: Line) -> Shot | None:
        """The picture of the line; None if it has none, or none comes. Each is fetched once: what
        stands at its address never changes."""
        if line.image is None:
            return None
        source = line.image.src
        if source not in self._pictures:
            page = self._site + self._link("").partition("?")[0]
            async with aiohttp.request("GET", f"{page}/{source}") as answer:
                if answer.status == 404:
                    return None
                answer.raise_for_status()
                self._pictures[source] = shot(answer.content_type, await answer.read())
        return self._pictures[source]

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """The work goes on beside; a page that closed under it has lost nothing."""

        async def quietly() -> None:
            try:
                await work
            except (aiohttp.ClientError, OSError):
                return

        task = asyncio.get_running_loop().create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def opened(self, number: str) -> _Opened:
        """A page's socket, for `async with`: the link is followed first, as a browser does."""
        return _Opened(self._site, self._link(number))


class _Opened:
    def __init__(self, site: str, link: str) -> None:
        self._site = site
        self._link = link

    async def __aenter__(self) -> aiohttp.ClientWebSocketResponse:
        # Cookies of a bare address, as on a laptop, are kept too.
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        try:
            async with self._session.get(self._site + self._link) as page:
                page.raise_for_status()
                socket_url = page.url.with_query(None) / "socket"
            self._socket = await self._session.ws_connect(
                socket_url, max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=1.0)
            )
            return self._socket
        except BaseException:
            await self._session.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._socket.close()
        finally:
            await self._session.close()
