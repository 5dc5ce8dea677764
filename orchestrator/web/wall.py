"""The phone wall: every simulated telephone with its bubbles, live; type as any of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Meta, Struct

from orchestrator.store.counts import Facts
from orchestrator.web.pages import HEADERS, neighbours_only, part_of
from orchestrator.web.phones import Bubble, Phone, Shown, conversation, last_at, picture_of

log = logging.getLogger("outreach.wall")

FRAME_S = 0.1
"""Changes are put together so long."""
MOST_PER_FRAME = 80
MOST_AT_ONCE = 400
"""Phones that a page begins with, and that a search gives."""
MAX_SAID = 1_000
IN_SMALL = 9
"""Bubbles of a phone among others."""

_PAGE = Path(__file__).parent / "wall_page"
_PICTURES = ("image/png", "image/jpeg", "image/gif")


class Exchange(Protocol):
    """Where phones are: a simulated carrier. `on_change` holds callables that hear of a change,
    whose `number` names the phone."""

    on_change: list[Callable[[Any], None]]

    @property
    def handsets(self) -> Mapping[str, Phone]: ...

    def handset(self, number: str) -> Phone: ...


_NONE = Facts(0, 0, 0, 0, 0, 0)

Number = Annotated[str, Meta(min_length=1, max_length=200)]


class Say(Struct, frozen=True, tag="say"):
    """Somebody types `text` on the phone; `to` is whom the phone wrote or heard last, if empty."""

    number: Number
    text: Annotated[str, Meta(min_length=1, max_length=MAX_SAID)]
    to: Annotated[str, Meta(max_length=40)] = ""


class Open(Struct, frozen=True, tag="open"):
    """The page wants the whole conversation of this phone from now on; of none, if empty."""

    number: Annotated[str, Meta(max_length=200)]


class Find(Struct, frozen=True, tag="find"):
    """The page looks for phones by number or by words on them."""

    text: Annotated[str, Meta(max_length=100)]


class Take(Struct, frozen=True, tag="take"):
    """The page wants a new phone of this number."""

    number: Annotated[str, Meta(pattern=r"^\+?[0-9]{5,15}$")]


class Power(Struct, frozen=True, tag="power"):
    """The phone is switched on or off."""

    number: Number
    on: bool


class Frame(Struct, frozen=True, omit_defaults=True, tag="frame"):
    """To the page: what changed. `open` is the open phone, whole; `found` answers a search."""

    now: datetime
    total: int
    facts: Facts
    phones: list[Shown] = []
    open: Shown | None = None
    found: list[str] | None = None


_decode = msgspec.json.Decoder(Say | Open | Find | Take | Power).decode
_encode = msgspec.json.Encoder().encode


def create_wall(
    exchanges: Exchange | Sequence[Exchange],
    clock_now: Callable[[], datetime],
    facts: Callable[[], Awaitable[Facts]],
    *,
    short_code: str = "10086",
) -> web.Application:
    """An application to be served on a loopback address by the process that runs the simulated
    carriers. A phone that never heard of anybody writes to `short_code`. `facts` is asked, with a
    second's rest between, while somebody looks."""
    several = exchanges if isinstance(exchanges, Sequence) else [exchanges]
    wall = _Wall(several, clock_now, facts, short_code)
    app = web.Application(middlewares=[neighbours_only])
    app.add_routes(
        [
            web.get("/", wall.page),
            web.get("/wall/socket", wall.watch),
            web.get("/wall/{name}", wall.part),
            web.get("/wall/pictures/{number}/{name}", wall.picture),
        ]
    )
    app.cleanup_ctx.append(wall.looking)
    app.on_shutdown.append(wall.leave)
    return app


class _Viewer:
    """One open page: up to which change it is, and what it asked for."""

    def __init__(self) -> None:
        self.rank = -1
        self.open = ""
        self.opened_rank = -1
        self.wanted: list[str] = []
        self.found: list[str] | None = None


class _Wall:
    def __init__(
        self,
        exchanges: Sequence[Exchange],
        clock_now: Callable[[], datetime],
        facts: Callable[[], Awaitable[Facts]],
        short_code: str,
    ) -> None:
        self._exchanges = exchanges
        self._now = clock_now
        self._ask_facts = facts
        self._facts = _NONE
        self._short_code = short_code
        self._rank = 0
        self._ranks: dict[str, int] = {}  # The latest change of each phone, oldest change first.
        self._viewers: dict[_Viewer, web.WebSocketResponse] = {}

    async def looking(self, app: web.Application) -> AsyncIterator[None]:
        """While the application runs, it hears of every change and keeps the figures."""
        found = [phone for it in self._exchanges for phone in it.handsets.values()]
        for phone in sorted(found, key=last_at):
            self._touch(phone.number)
        for exchange in self._exchanges:
            exchange.on_change.append(self._hear)
        asking = asyncio.create_task(self._keep_facts())
        yield
        asking.cancel()
        for exchange in self._exchanges:
            exchange.on_change.remove(self._hear)

    async def leave(self, app: web.Application) -> None:
        """Every page is told that the wall is going: the server waits for its sockets."""
        await asyncio.gather(*(socket.close() for socket in [*self._viewers.values()]))

    async def page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(_PAGE / "wall.html", headers=HEADERS)

    async def part(self, request: web.Request) -> web.StreamResponse:
        """A style or script of the page."""
        return part_of(_PAGE, request.match_info["name"])

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """A picture that stands on a phone."""
        phone = self._phone(request.match_info["number"])
        found = picture_of(phone, request.match_info["name"]) if phone is not None else None
        if found is None or found[0] not in _PICTURES:
            raise web.HTTPNotFound
        headers = {**HEADERS, "Content-Type": found[0], "Cache-Control": "max-age=3600"}
        return web.Response(body=found[1], headers=headers)

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """One page's socket: frames go out as things change, requests come in."""
        socket = web.WebSocketResponse(heartbeat=25, timeout=2, max_msg_size=64 * 1024)
        await socket.prepare(request)
        viewer = _Viewer()
        viewer.rank = self._rank
        viewer.wanted = list(self._ranks)[-MOST_AT_ONCE:]
        self._viewers[viewer] = socket
        showing = asyncio.create_task(self._show(viewer, socket))
        try:
            async for frame in socket:
                if frame.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._obey(viewer, frame.data)
        finally:
            del self._viewers[viewer]
            showing.cancel()
            await asyncio.wait({showing})
        return socket

    def _hear(self, change: Any) -> None:
        if change.number:
            self._touch(change.number)

    def _touch(self, number: str) -> None:
        self._rank += 1
        self._ranks.pop(number, None)
        self._ranks[number] = self._rank

    async def _keep_facts(self) -> None:
        while True:
            if self._viewers:
                try:
                    self._facts = await self._ask_facts()
                except Exception as error:
                    log.warning("facts_late error=%s", type(error).__name__)
            await asyncio.sleep(1.0 if self._viewers else FRAME_S)

    async def _show(self, viewer: _Viewer, socket: web.WebSocketResponse) -> None:
        """Frames, at most ten a second and no faster than the page reads them."""
        try:
            while not socket.closed:
                await socket.send_frame(_encode(self._frame(viewer)), WSMsgType.TEXT)
                await asyncio.sleep(FRAME_S)
        except ConnectionError:
            return

    def _frame(self, viewer: _Viewer) -> Frame:
        numbers, viewer.wanted = viewer.wanted, []
        if not numbers:
            numbers = self._changed_since(viewer)
        opened = self._phone(viewer.open)
        rank = self._ranks.get(viewer.open, 0)
        whole: Shown | None = None
        if opened is not None and rank > viewer.opened_rank:
            viewer.opened_rank = rank
            whole = self._shown(opened, None)
        found, viewer.found = viewer.found, None
        phones = [self._shown(it, IN_SMALL) for it in map(self._phone, numbers) if it is not None]
        return Frame(
            self._now(),
            sum(len(it.handsets) for it in self._exchanges),
            self._facts,
            phones,
            whole,
            found,
        )

    def _changed_since(self, viewer: _Viewer) -> list[str]:
        """The phones that changed first of those that this page has not seen."""
        fresh: list[str] = []
        for number in reversed(self._ranks):
            if self._ranks[number] <= viewer.rank:
                break
            fresh.append(number)
        fresh = fresh[-MOST_PER_FRAME:][::-1]
        if fresh:
            viewer.rank = self._ranks[fresh[-1]]
        return fresh

    def _shown(self, phone: Phone, most: int | None) -> Shown:
        lines = conversation(phone, most)
        rank = self._ranks.get(phone.number, 0)
        return Shown(phone.number, rank, phone.on, len(phone.said), self._other(phone), lines)

    def _other(self, phone: Phone) -> str:
        """Whom the phone would write to."""
        arrived = phone.arrived[-1].sender if phone.arrived else ""
        return arrived or (phone.said[-1].to if phone.said else self._short_code)

    def _phone(self, number: str) -> Phone | None:
        for exchange in self._exchanges:
            if phone := exchange.handsets.get(number):
                return phone
        return None

    def _obey(self, viewer: _Viewer, octets: str | bytes) -> None:
        """A page's request is carried out; one that means nothing is passed over."""
        try:
            asked = _decode(octets)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return
        if isinstance(asked, Open):
            viewer.open, viewer.opened_rank = asked.number, -1
        elif isinstance(asked, Find):
            viewer.found = list(self._find(asked.text.strip().lower()))
            viewer.wanted += viewer.found
        elif isinstance(asked, Take):
            self._touch(self._exchanges[0].handset(asked.number).number)
        elif phone := self._phone(asked.number):
            if isinstance(asked, Power):
                (phone.switch_on if asked.on else phone.switch_off)()
            else:
                phone.say(asked.text, asked.to or self._other(phone))
            self._touch(phone.number)

    def _find(self, text: str) -> Iterator[str]:
        """The numbers, latest change first, that have the text in them or in their bubbles."""
        digits = text.replace(" ", "").removeprefix("+")
        left = MOST_AT_ONCE
        for number in reversed(self._ranks):
            phone = self._phone(number)
            if phone is None or left == 0:
                continue
            if (digits and digits in number) or _mentions(conversation(phone, None), text):
                left -= 1
                yield number


def _mentions(lines: Sequence[Bubble], text: str) -> bool:
    return any(text in f"{line.subject}\n{line.text}".lower() for line in lines)
