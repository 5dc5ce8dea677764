"""Messages and journeys as a page that follows what the author saves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Struct

from orchestrator.core.errors import OutreachError
from orchestrator.core.media import Picture
from orchestrator.project import source
from orchestrator.project.drawing import STYLE, svg
from orchestrator.project.examples import Example
from orchestrator.project.findings import Finding
from orchestrator.project.graph import journeys, sketch
from orchestrator.project.preview import Means, Preview, preview
from orchestrator.project.stepwords import message as message_of
from orchestrator.web.pages import HEADERS, neighbours_only, part_of
from orchestrator.web.preview_folder import Folder

_PAGE = Path(__file__).parent / "preview_page"
_PHONES = Path(__file__).parent / "wall_page"
_BEAT_S = 20.0
"""A page that went away is noticed by then."""

_encode = msgspec.json.Encoder().encode


class Entry(Struct, frozen=True, omit_defaults=True):
    """One message or journey in the index, and how much is wrong with it."""

    name: str
    errors: int = 0
    warnings: int = 0
    summary: str = ""
    locales: tuple[str, ...] = ()


class Index(Struct, frozen=True):
    """All there is to look at. `number` is that of the reading; `findings` are all of the
    project's."""

    number: int
    project: str
    messages: tuple[Entry, ...]
    journeys: tuple[Entry, ...]
    findings: tuple[Finding, ...]


class Told(Struct, frozen=True):
    """A message as it is now, or, if there is none of that name, why."""

    number: int
    preview: Preview | None = None
    missing: str = ""


class Drawn(Struct, frozen=True):
    """A journey as it is now: the picture, without its style, and the messages that it sends.
    Without a picture it cannot be read."""

    number: int
    name: str
    picture: str = ""
    messages: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def create_preview(
    folder: Folder,
    *,
    given: Sequence[Example] = (),
    locale: str | None = None,
    means: Means = Means(),  # noqa: B008 - frozen
    everybody: bool = False,
) -> web.Application:
    """An application that shows the folder to this machine only, or to `everybody` who reaches
    it."""
    shop = _Shop(folder, given, locale, means)
    app = web.Application(middlewares=[] if everybody else [neighbours_only])
    app.add_routes(
        [
            web.get("/", shop.page),
            web.get("/preview/graph.css", shop.style),
            web.get("/preview/{name}", shop.part),
            web.get("/wall/pictures/project/{hash}", shop.picture),
            web.get("/wall/{name}", shop.phone_part),
            web.get("/index", shop.index),
            web.get("/messages/{name:.+}", shop.message),
            web.get("/journeys/{name}", shop.journey),
            web.get("/changes", shop.changes),
        ]
    )
    app.cleanup_ctx.append(shop.watching)
    app.on_shutdown.append(shop.leave)
    return app


class _Shop:
    def __init__(
        self, folder: Folder, given: Sequence[Example], locale: str | None, means: Means
    ) -> None:
        self._folder = folder
        self._given = given
        self._locale = locale
        self._means = means
        self._following: set[asyncio.Task[Any]] = set()

    async def watching(self, app: web.Application) -> AsyncIterator[None]:
        async with self._folder.watched():
            yield

    async def leave(self, app: web.Application) -> None:
        """Whoever follows the changes is let go: the server waits for them."""
        for task in self._following:
            task.cancel()

    async def page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(_PAGE / "preview.html", headers=HEADERS)

    async def part(self, request: web.Request) -> web.StreamResponse:
        return part_of(_PAGE, request.match_info["name"])

    async def phone_part(self, request: web.Request) -> web.StreamResponse:
        """The phones look as on the wall."""
        return part_of(_PHONES, request.match_info["name"])

    async def style(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=STYLE, content_type="text/css", headers=HEADERS)

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """A picture of the project, by its hash."""
        pictures = self._folder.now.draft.pictures
        wanted = request.match_info["hash"]
        name = next((name for name, it in pictures.items() if it.hash == wanted), None)
        if name is None:
            raise web.HTTPNotFound
        octets = await asyncio.to_thread(_octets, self._folder.path, name, pictures[name])
        if octets is None:
            raise web.HTTPNotFound
        headers = {**HEADERS, "Content-Type": pictures[name].mime}
        return web.Response(body=octets, headers=headers)

    async def index(self, request: web.Request) -> web.StreamResponse:
        now = self._folder.now
        files = now.draft.template_files
        whole = Index(
            number=now.number,
            project=now.draft.settings.name if now.draft.settings else self._folder.path.name,
            messages=tuple(
                _entry(name, files[name].values(), now.findings, locales=tuple(files[name]))
                for name in sorted(files)
            ),
            journeys=tuple(
                _entry(form.journey, [path], now.findings, summary=form.summary)
                for path, form in sorted(now.draft.journeys.items(), key=lambda it: it[1].journey)
            ),
            findings=now.findings,
        )
        return _json(whole)

    async def message(self, request: web.Request) -> web.StreamResponse:
        now = self._folder.now
        try:
            found = await asyncio.to_thread(
                preview,
                now.draft,
                request.match_info["name"],
                findings=now.findings,
                given=self._given,
                locale=self._locale,
                means=self._means,
            )
        except OutreachError as error:
            return _json(Told(now.number, missing=f"{error.message}: {error.hint}"))
        return _json(Told(now.number, found))

    async def journey(self, request: web.Request) -> web.StreamResponse:
        now, name = self._folder.now, request.match_info["name"]
        known = journeys(now.draft)
        paths = {str(form.journey): path for path, form in now.draft.journeys.items()}
        if name not in known:
            broken = [it for it in now.findings if it.mark.file.startswith("journeys/")]
            return _json(Drawn(now.number, name, findings=tuple(broken)))
        drawn = svg(
            sketch(known[name], known.values()),
            styled=False,
            message_link=lambda it: f"?message={quote(it)}",
            journey_link=lambda it: f"?journey={quote(it)}",
        )
        sent = dict.fromkeys(message_of(it.step) for it in known[name].steps.values())
        own = tuple(it for it in now.findings if it.mark.file == paths[name])
        return _json(Drawn(now.number, name, drawn, tuple(filter(None, sent)), own))

    async def changes(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: the number of each reading, beginning with the latest."""
        answer = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await answer.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._following.add(task)
        number = self._folder.now.number
        try:
            await answer.write(f"data: {number}\n\n".encode())
            while True:
                try:
                    async with asyncio.timeout(_BEAT_S):
                        number = (await self._folder.after(number)).number
                    await answer.write(f"data: {number}\n\n".encode())
                except TimeoutError:
                    await answer.write(b": still here\n\n")
        except (ConnectionError, asyncio.CancelledError):
            return answer
        finally:
            self._following.discard(task)


def _octets(folder: Path, name: str, picture: Picture) -> bytes | None:
    """The picture's octets, if they are still the same."""
    path = f"templates/{name}"
    try:
        return source.read_pictures(folder, {path: picture.pointer()})[picture.hash]
    except (OutreachError, OSError):
        return None


def _entry(name: str, paths: Any, findings: Sequence[Finding], **more: Any) -> Entry:
    own = {*paths}
    wrong = [it.severity for it in findings if it.mark.file in own]
    return Entry(name, wrong.count("error"), wrong.count("warning"), **more)


def _json(value: Struct) -> web.Response:
    return web.Response(body=_encode(value), content_type="application/json", headers=HEADERS)
