"""A simulated WhatsApp Cloud API: one business number, and people who write to it."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Struct

from channels.carriers.gallery import Gallery, size_of
from channels.carriers.handset import Shot
from channels.carriers.smsc import Change
from orchestrator.core.model import Button

NUMBER_ID = "106540352242922"
ACCESS_TOKEN = "EAAsimulated"
APP_SECRET = "simulated-app-secret"
VERIFY_TOKEN = "simulated-verify-token"

_MAX_TEXT, _MAX_BODY = 4096, 1024
_MOST_OCTETS = 5_000_000
_AGAIN_S = 0.1
_READ = ("image/jpeg", "image/png")
_GAP = re.compile(r"\{\{(\w+)\}\}")


class Delivered(Struct, frozen=True):
    """One message as the chat shows it. `template`: it came as that. `image` is the address or the
    id of its picture, `picture` what it shows if that is no address."""

    text: str
    sender: str
    at: datetime
    buttons: tuple[Button, ...] = ()
    image: str = ""
    template: str = ""
    picture: Shot | None = None


class Template(Struct, frozen=True):
    """One that the account may send."""

    body: str
    image: bool = False
    buttons: tuple[str, ...] = ()


class Typed(Struct):
    """One thing a person said; `acknowledged_at` is set once the webhook has thanked for it."""

    text: str
    to: str
    at: datetime
    acknowledged_at: datetime | None = None


class GraphFaults:
    """Change any of these while it runs.

    `code`: the error of every message, with `status`. `mute`: messages arrive and no answer ever
    comes. `broken`: a status without an error. `closed_window`: only templates may go. `statuses`:
    what is told of each message, in this order. `lose_thanks`: so many times a webhook's thanks are
    lost, and it is called again. `upload_code`: the error of every upload, `picture_code`: of every
    message with a picture. `mute_uploads`, `mute_pictures`: as `mute`, for these.
    """

    def __init__(self) -> None:
        self.code = 0
        self.status = 400
        self.mute = False
        self.broken = 0
        self.closed_window = False
        self.statuses: tuple[str, ...] = ("sent", "delivered")
        self.failure = 131026
        self.lose_thanks = 0
        self.upload_code = 0
        self.picture_code = 0
        self.mute_uploads = False
        self.mute_pictures = False


class Contact(Struct):
    """One person with WhatsApp. `arrived` and `said` keep the latest, oldest first."""

    number: str
    graph: Graph
    arrived: deque[Delivered]
    said: deque[Typed]
    on: bool = True

    def switch_off(self) -> None:
        """They have no WhatsApp any more."""
        self.on = False

    def switch_on(self) -> None:
        """They have WhatsApp again."""
        self.on = True

    def say(self, words: str, to: str = "") -> Typed:
        """The words are on their way."""
        return self.send(words, {"type": "text", "text": {"body": words}})

    def press(self, label: str) -> Typed:
        """The button of that label, in the latest message that has one, is pressed."""
        for shown in reversed(self.arrived):
            for it in shown.buttons:
                if it.label == label:
                    chosen = {"id": it.reply, "title": it.label}
                    kind = "button_reply" if len(shown.buttons) <= 3 else "list_reply"
                    interactive = {"type": kind, kind: chosen}
                    return self.send(label, {"type": "interactive", "interactive": interactive})
        raise LookupError(f"no button {label!r}")

    def send(self, words: str, parts: dict[str, Any]) -> Typed:
        """A message of any kind is on its way."""
        typed = Typed(words, NUMBER_ID, self.graph.now())
        self.said.append(typed)
        message = {
            "from": self.number.removeprefix("+"),
            "id": self.graph.wamid(),
            "timestamp": str(int(self.graph.now().timestamp())),
            **parts,
        }
        self.graph.call({"messages": [message]}, typed, self.number)
        return typed


class Graph:
    """The API and its people. `start` it, give its `url` to a channel, and `webhook` the address at
    which the channel listens."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self.port = 0
        self.webhook = ""
        self.faults = GraphFaults()
        self.templates: dict[tuple[str, str], Template] = {}
        self.gallery = Gallery("10134")
        self.sends = 0
        self.handsets: dict[str, Contact] = {}
        self.on_change: list[Callable[[Change], None]] = []
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """It listens."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_get("/{version}/{number}", self._describe)
        app.router.add_post("/{version}/{number}/messages", self._send)
        app.router.add_post("/{version}/{number}/media", self._keep)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Nobody is there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    def handset(self, number: str) -> Contact:
        """The person of this number."""
        if number not in self.handsets:
            empty = deque[Any](maxlen=200), deque[Any](maxlen=200)
            self.handsets[number] = Contact(number, self, *empty)
        return self.handsets[number]

    # For people

    def wamid(self) -> str:
        """The id of a message."""
        self._number += 1
        return f"wamid.SIMULATED{self._number:08}"

    def call(self, value: dict[str, Any], typed: Typed | None, number: str) -> None:
        """The webhook will hear of it, until it has thanked."""
        self._tell("said" if typed else "arrived", number)
        task = asyncio.get_running_loop().create_task(self._called(value, typed, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell(self, kind: Any, number: str) -> None:
        for look in self.on_change:
            look(Change(kind, number))

    async def _called(self, value: dict[str, Any], typed: Typed | None, number: str) -> None:
        metadata = {"display_phone_number": "15550783881", "phone_number_id": NUMBER_ID}
        whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
        change = {"value": whole, "field": "messages"}
        entry = {"id": "102290129340398", "changes": [change]}
        body = msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})
        proof = hmac.new(APP_SECRET.encode(), body, "sha256").hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={proof}", "Content-Type": "application/json"}
        async with aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError, OSError):
                    async with session.post(self.webhook, data=body, headers=headers) as answer:
                        if answer.status == 200 and self.faults.lose_thanks == 0:
                            break
                        self.faults.lose_thanks = max(0, self.faults.lose_thanks - 1)
                await asyncio.sleep(_AGAIN_S)
        if typed is not None:
            typed.acknowledged_at = self.now()
            self._tell("acknowledged", number)

    # The API

    async def _describe(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {ACCESS_TOKEN}":
            return _refusal(401, 190)
        return web.json_response({"id": NUMBER_ID, "verified_name": "Outreach"})

    async def _keep(self, request: web.Request) -> web.Response:
        """A picture to be shown."""
        form, octets = await request.post(), b""
        it = form.get("file")
        if isinstance(it, web.FileField):
            with it.file:
                octets = it.file.read()
        if request.headers.get("Authorization") != f"Bearer {ACCESS_TOKEN}":
            return _refusal(401, 190)
        if self.faults.mute_uploads:
            await asyncio.sleep(3600)
        named = form.get("messaging_product"), form.get("type")
        if self.faults.upload_code or named[0] != "whatsapp" or named[1] not in _READ:
            return _refusal(self.faults.status, self.faults.upload_code or 100)
        try:
            media_id = self.gallery.take(octets)
        except ValueError:
            return _refusal(400, 131053)
        if len(octets) > _MOST_OCTETS or size_of(octets)[2] not in ("RGB", "RGBA"):
            return _refusal(400, 131053)
        return web.json_response({"id": media_id})

    async def _send(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.sends += 1
        if request.headers.get("Authorization") != f"Bearer {ACCESS_TOKEN}":
            return _refusal(401, 190)
        if self.faults.broken:
            return web.Response(status=self.faults.broken, text="<html>oops</html>")
        code = self.faults.code or self._flaw(asked)
        if code:
            return _refusal(self.faults.status, code)
        contact = self.handsets[f"+{asked['to']}"]
        contact.arrived.append(self._shown(asked))
        wamid = self.wamid()
        for status in self.faults.statuses:
            told = {"id": wamid, "status": status, "recipient_id": asked["to"]}
            if status == "failed":
                told["errors"] = [{"code": self.faults.failure, "title": "it failed"}]
            self.call({"statuses": [told]}, None, contact.number)
        if self.faults.mute or (self.faults.mute_pictures and _image_of(asked)):
            await asyncio.sleep(3600)
        contacts = [{"input": asked["to"], "wa_id": asked["to"]}]
        body = {"messaging_product": "whatsapp", "contacts": contacts}
        return web.json_response({**body, "messages": [{"id": wamid}]})

    def _flaw(self, asked: dict[str, Any]) -> int:
        """The error of this message, as the Cloud API has it; 0 for none."""
        contact = self.handsets.get(f"+{asked['to']}")
        if contact is None or not contact.on:
            return 131026
        if self.faults.closed_window and asked["type"] != "template":
            return 131047
        image = _image_of(asked)
        if image and self.faults.picture_code:
            return self.faults.picture_code
        if "id" in image and self.gallery.find(image["id"]) is None:
            return 100
        if len(image.get("caption", "")) > _MAX_BODY:
            return 100
        if asked["type"] == "template":
            return self._template_flaw(asked["template"])
        if asked["type"] == "text" and not 1 <= len(asked["text"]["body"]) <= _MAX_TEXT:
            return 100
        if asked["type"] == "interactive":
            action, body = asked["interactive"]["action"], asked["interactive"]["body"]["text"]
            few = action.get("buttons", [])
            rows = [row for it in action.get("sections", []) for row in it["rows"]]
            wrong = len(few) > 3 or len(rows) > 10 or not 1 <= len(body) <= _MAX_BODY
            long = any(len(it["reply"]["title"]) > 20 for it in few)
            if wrong or long or any(len(it["title"]) > 24 for it in rows):
                return 100
        return 0

    def _template_flaw(self, asked: dict[str, Any]) -> int:
        known = self.templates.get((asked["name"], asked["language"]["code"]))
        if known is None:
            return 132001
        gaps = set(_GAP.findall(known.body))
        filled = _filled(asked)
        if len(filled) != len(gaps) or not all(filled.values()):
            return 132000
        if any("\n" in it or "\t" in it or "    " in it for it in filled.values()):
            return 132018
        pressed = [it for it in asked["components"] if it["type"] == "button"]
        shows = any(it["type"] == "header" for it in asked["components"])
        return 132000 if len(pressed) != len(known.buttons) or shows != known.image else 0

    def _shown(self, asked: dict[str, Any]) -> Delivered:
        image, at = _image_of(asked), self.now()
        source = image.get("link", image.get("id", ""))
        picture = self.gallery.find(source)
        match asked["type"]:
            case "text":
                return Delivered(asked["text"]["body"], NUMBER_ID, at)
            case "image":
                words = image.get("caption", "")
                return Delivered(words, NUMBER_ID, at, image=source, picture=picture)
            case "template":
                it = asked["template"]
                known, filled = self.templates[it["name"], it["language"]["code"]], _filled(it)
                text = _GAP.sub(lambda gap: filled[gap[1]], known.body)
                pressed = [part for part in it["components"] if part["type"] == "button"]
                replies = [part["parameters"][0]["payload"] for part in pressed]
                buttons = tuple(map(Button, known.buttons, replies))
                return Delivered(text, NUMBER_ID, at, buttons, source, it["name"], picture)
        interactive = asked["interactive"]
        action = interactive["action"]
        few = [it["reply"] for it in action.get("buttons", [])]
        rows = [row for it in action.get("sections", []) for row in it["rows"]]
        buttons = tuple(Button(it["title"], it["id"]) for it in (*few, *rows))
        text = interactive["body"]["text"]
        return Delivered(text, NUMBER_ID, at, buttons, source, picture=picture)


def _image_of(asked: dict[str, Any]) -> dict[str, Any]:
    """The picture that a message of any type names."""
    it = asked.get(asked["type"], {})
    if asked["type"] == "image":
        return dict(it)
    if asked["type"] == "template":
        heads = [part for part in it["components"] if part["type"] == "header"]
        return dict(heads[0]["parameters"][0]["image"]) if heads else {}
    return dict(it.get("header", {}).get("image", {}))


def _filled(asked: dict[str, Any]) -> dict[str, str]:
    """What fills the gaps of a template, by their numbers or names."""
    parts = [it["parameters"] for it in asked["components"] if it["type"] == "body"]
    given = parts[0] if parts else []
    return {it.get("parameter_name", str(n)): it["text"] for n, it in enumerate(given, 1)}


def _refusal(status: int, code: int) -> web.Response:
    error = {"message": f"(#{code})", "type": "OAuthException", "code": code, "fbtrace_id": "x"}
    return web.json_response({"error": error}, status=status)
