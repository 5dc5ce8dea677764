"""A simulated Bot API, with people who have opened the bot: for tests and demos.

It speaks what Telegram documents of `getMe`, `sendMessage`, `sendPhoto`, `sendAnimation`,
`answerCallbackQuery`, `setWebhook`, `deleteWebhook` and `getUpdates`, and calls a webhook until it
is thanked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from channels.carriers.chatters import BOT, BOT_ID, BOT_NAME, Chatter, Shown
from channels.carriers.gallery import Gallery, size_of
from channels.carriers.smsc import Change
from orchestrator.core.model import Button

TOKEN = f"{BOT_ID}:simulated-bot"

_MAX_TEXT, _MAX_CAPTION = 4096, 1024
_MOST_OCTETS, _LONGEST_SIDES, _THINNEST = 10_000_000, 10_000, 20
_MAX_CALLBACK_OCTETS = 64
_AGAIN_S = 0.2


class BotFaults:
    """Change any of these while it runs.

    `throttle_s`: every message is answered 429, try again after so many seconds. `broken`: a
    status such as 502 for every message. `lose_answers`: messages arrive and the connection ends
    without an answer. `mute`: messages arrive and no answer ever comes. `delay_s`: how long every
    answer waits. `refuse`: what a 400 says of every message, `refuse_pictures`: of every picture.
    `mute_pictures`: as `mute`, for pictures alone. `throttle_words_once`: the next message without
    a picture is answered 429, try again after so many seconds. `lose_thanks`: so many times a
    webhook's answer is lost, and the update told again.
    """

    def __init__(self) -> None:
        self.throttle_s: int | None = None
        self.broken: int | None = None
        self.lose_answers = False
        self.mute = False
        self.delay_s = 0.0
        self.refuse: str | None = None
        self.refuse_pictures: str | None = None
        self.mute_pictures = False
        self.throttle_words_once: int | None = None
        self.lose_thanks = 0


class BotApiServer:
    """The server. `start` it and give its `url` to a channel. Has the face of a simulated carrier:
    `handset` gives a person by the id of their chat, who has then opened the bot."""

    def __init__(
        self, port: int = 0, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.now = now
        self.port = port
        self.faults = BotFaults()
        self.handsets: dict[str, Chatter] = {}
        self.on_change: list[Callable[[Change], None]] = []
        self.webhook = ""
        self.calls: list[str] = []
        self.gallery = Gallery("AgACAgIAAxk")
        self._secret_token = ""
        self._number = 0
        self._updates: dict[int, tuple[Chatter, dict[str, Any]]] = {}
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._calling: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """It listens."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        host = self._runner.addresses[0]
        self.port = host[1]
        self._calling = asyncio.create_task(self._call())

    async def stop(self) -> None:
        """Nobody is there."""
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.wait({self._calling})
        if self._runner is not None:
            await self._runner.cleanup()

    def handset(self, number: str) -> Chatter:
        """The person of this chat."""
        if number not in self.handsets:
            self.handsets[number] = Chatter(number, self)
        return self.handsets[number]

    # For people

    def number(self) -> int:
        """One that was not given before."""
        self._number += 1
        return self._number

    def tell(self, chatter: Chatter, what: dict[str, Any]) -> int:
        """The bot will hear of it: the id of that update."""
        update_id = self.number()
        self._updates[update_id] = chatter, {"update_id": update_id, **what}
        self._news.set()
        self._changed("said", chatter)
        return update_id

    def _changed(self, kind: Any, chatter: Chatter) -> None:
        for look in self.on_change:
            look(Change(kind, chatter.number))

    def _known(self, update_id: int) -> None:
        """The bot has this update."""
        chatter, _ = self._updates.pop(update_id)
        for uttered in chatter.said:
            if uttered.update_id == update_id:
                uttered.acknowledged_at = self.now()
        self._changed("acknowledged", chatter)

    async def _call(self) -> None:
        """The webhook hears of every update, in order, until it has thanked for it."""
        async with aiohttp.ClientSession() as session:
            while True:
                if not (self.webhook and self._updates):
                    self._news.clear()
                    await self._news.wait()
                    continue
                update_id, (_, update) = next(iter(self._updates.items()))
                headers = {"X-Telegram-Bot-Api-Secret-Token": self._secret_token}
                with suppress(aiohttp.ClientError, OSError):
                    async with session.post(self.webhook, json=update, headers=headers) as answer:
                        if answer.status == 200 and self.faults.lose_thanks == 0:
                            self._known(update_id)
                            continue
                        self.faults.lose_thanks = max(0, self.faults.lose_thanks - 1)
                await asyncio.sleep(_AGAIN_S)

    # The API

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != TOKEN:
            return _refusal(401, "Unauthorized")
        method = request.match_info["method"]
        self.calls.append(method)
        asked: dict[str, Any] = {**request.query, **await request.post()}
        for name, it in asked.items():
            if isinstance(it, web.FileField):
                with it.file:
                    asked[name] = it.file.read()
        match method:
            case "getMe":
                return _done(BOT)
            case "setWebhook":
                self.webhook = asked["url"]
                self._secret_token = asked.get("secret_token", "")
                self._news.set()
                return _done(True)
            case "deleteWebhook":
                self.webhook = ""
                return _done(True)
            case "getUpdates":
                return await self._updates_after(asked)
            case "answerCallbackQuery":
                for chatter in self.handsets.values():
                    if str(asked["callback_query_id"]).startswith(chatter.number):
                        chatter.thanked += 1
                return _done(True)
            case "sendMessage":
                return await self._send(request, asked, "")
            case "sendPhoto" | "sendAnimation":
                return await self._send(request, asked, method.removeprefix("send").lower())
        return _refusal(404, "Not Found: method not found")

    async def _updates_after(self, asked: dict[str, Any]) -> web.Response:
        if self.webhook:
            return _refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        offset = int(asked.get("offset", 0))
        for update_id in [it for it in self._updates if it < offset]:
            self._known(update_id)
        if not self._updates:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(int(asked.get("timeout", 0))):
                    await self._news.wait()
        return _done([update for _, update in list(self._updates.values())[:100]])

    async def _send(
        self, request: web.Request, asked: dict[str, Any], kind: str
    ) -> web.StreamResponse:
        """`kind` of picture, or ''."""
        faults = self.faults
        await asyncio.sleep(faults.delay_s)
        after = faults.throttle_s
        if after is None and not kind:
            after, faults.throttle_words_once = faults.throttle_words_once, None
        if after is not None:
            said = f"Too Many Requests: retry after {after}"
            return _refusal(429, said, parameters={"retry_after": after})
        if faults.broken is not None:
            return web.Response(status=faults.broken, text="<html>Bad Gateway</html>")
        refusal = self._refusal(asked, kind)
        if refusal is None and kind:
            refusal = self._picture_refusal(asked, kind)
        if refusal is not None:
            return refusal
        chatter = self.handsets[str(asked["chat_id"])]
        shown = self._shown(asked, kind)
        chatter.arrived.append(shown)
        self._changed("arrived", chatter)
        if faults.lose_answers:
            assert request.transport is not None
            request.transport.close()
        if faults.mute or (kind and faults.mute_pictures):
            await asyncio.sleep(3600)
        return _done(
            {
                "message_id": shown.message_id,
                "date": int(shown.at.timestamp()),
                "chat": {"id": int(chatter.number), "type": "private"},
                "from": BOT,
                "caption" if kind else "text": shown.text,
                **_file(shown, kind),
            }
        )

    def _picture_refusal(self, asked: dict[str, Any], kind: str) -> web.Response | None:
        """Why this picture is not taken; if it is, `asked` names it by its id from now on."""
        given = asked.get(kind, "")
        if self.faults.refuse_pictures is not None:
            return _refusal(400, f"Bad Request: {self.faults.refuse_pictures}")
        if len(str(asked.get("caption", "")).encode("utf-16-le")) // 2 > _MAX_CAPTION:
            return _refusal(400, "Bad Request: message caption is too long")
        if isinstance(given, str):
            known = given.startswith(("https://", "http://")) or self.gallery.find(given)
            wrong = "Bad Request: wrong file identifier/HTTP URL specified"
            return None if known else _refusal(400, wrong)
        if len(given) > _MOST_OCTETS:
            return _refusal(413, "Request Entity Too Large")
        try:
            asked[kind] = self.gallery.take(given)
        except ValueError:
            return _refusal(400, "Bad Request: IMAGE_PROCESS_FAILED")
        width, height, _ = size_of(given)
        thin = max(width, height) > _THINNEST * min(width, height)
        if width + height > _LONGEST_SIDES or thin:
            return _refusal(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
        return None

    def _refusal(self, asked: dict[str, Any], kind: str) -> web.Response | None:
        """Why this message is not taken, in the words of api.telegram.org."""
        chatter = self.handsets.get(str(asked.get("chat_id")))
        words = asked.get("text", asked.get("caption", ""))
        if self.faults.refuse is not None:
            return _refusal(400, f"Bad Request: {self.faults.refuse}")
        if chatter is None:
            return _refusal(400, "Bad Request: chat not found")
        if chatter.blocks:
            return _refusal(403, "Forbidden: bot was blocked by the user")
        if not kind and not _visible(words):
            return _refusal(400, "Bad Request: message text is empty")
        if len(words.encode("utf-16-le")) // 2 > _MAX_TEXT:
            return _refusal(400, "Bad Request: message is too long")
        if any(
            not 1 <= len(it.get("callback_data", "").encode()) <= _MAX_CALLBACK_OCTETS
            for row in _keyboard(asked)
            for it in row
        ):
            return _refusal(400, "Bad Request: BUTTON_DATA_INVALID")
        return None

    def _shown(self, asked: dict[str, Any], kind: str) -> Shown:
        buttons = tuple(
            Button(it["text"], it["callback_data"]) for row in _keyboard(asked) for it in row
        )
        words = asked.get("text", asked.get("caption", ""))
        photo = asked.get(kind, "")
        picture = self.gallery.find(photo)
        return Shown(words, BOT_NAME, self.now(), self.number(), photo, buttons, picture)


def _file(shown: Shown, kind: str) -> dict[str, Any]:
    """What the answer tells of the picture (Bot API, PhotoSize, Animation)."""
    file = {"file_id": shown.photo, "file_unique_id": f"u{shown.photo}"}
    size = {**file, "width": 320, "height": 240}
    if kind == "animation":
        return {"animation": {**size, "duration": 1}}
    return {"photo": [{**size, "file_id": f"small-{shown.photo}"}, size]} if kind else {}


def _visible(words: str) -> bool:
    """Spaces and marks of direction alone are no text."""
    return any(not it.isspace() and it not in "\u200b\u200e\u200f\u202e" for it in words)


def _keyboard(asked: dict[str, Any]) -> list[list[dict[str, Any]]]:
    markup = asked.get("reply_markup")
    rows: list[list[dict[str, Any]]] = (
        msgspec.json.decode(markup)["inline_keyboard"] if markup else []
    )
    return rows


def _done(result: Any) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _refusal(code: int, said: str, **more: Any) -> web.Response:
    body = {"ok": False, "error_code": code, "description": said, **more}
    return web.json_response(body, status=code)
