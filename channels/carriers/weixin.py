"""A simulated WeChat: an official account's API and callbacks, with people who follow it."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from msgspec import Struct

from channels.carriers.gallery import Gallery
from channels.carriers.handset import Shot
from channels.carriers.smsc import Change
from channels.wechat.crypt import Seal, signature
from channels.wechat.envelope import read, write
from orchestrator.core.model import Button

APP_ID = "wx700100700100"
APP_SECRET = "simulated-secret"
TOKEN = "simulatedtoken"
ACCOUNT = "gh_outreach"

_MAX_OCTETS = 2048
_TRIES = 3
_LINE = re.compile(
    r'<a href="weixin://bizmsgmenu\?msgmenucontent=([^&"]*)&msgmenuid=([^"]*)">[^<]*</a>'
)


class Seen(Struct, frozen=True):
    """One message as the chat shows it; `passive`: it was the answer to a callback."""

    text: str
    sender: str
    at: datetime
    passive: bool = False
    buttons: tuple[Button, ...] = ()
    picture: Shot | None = None


class Uttered(Struct):
    """One thing a person said; `acknowledged_at` is set once the account has answered for it."""

    text: str
    to: str
    at: datetime
    acknowledged_at: datetime | None = None


class WeixinFaults:
    """Change any of these while it runs.

    `quota`: so many customer-service messages after each message of a person, then 45047; None:
    any number. `errcode`: the answer to every message, `picture_errcode`: to every upload. `mute`:
    messages arrive and no answer ever comes, `mute_pictures`: to pictures. `mute_uploads`: no
    answer comes to uploads. `stale_token`: the access token at hand is no longer good.
    `lose_answers`: so many times the answer to a callback is lost, and it is made again.
    """

    def __init__(self) -> None:
        self.quota: int | None = None
        self.errcode = 0
        self.picture_errcode = 0
        self.mute_pictures = False
        self.mute_uploads = False
        self.mute = False
        self.lose_answers = 0
        self.stale_token = False


class Follower:
    """One person who follows the account. `arrived` and `said` keep the latest, oldest first."""

    def __init__(self, number: str, weixin: Weixin) -> None:
        self.number = number
        self.arrived: deque[Seen] = deque(maxlen=200)
        self.said: deque[Uttered] = deque(maxlen=200)
        self.follows = True
        self.left = 0
        self._weixin = weixin

    @property
    def on(self) -> bool:
        """Follows the account."""
        return self.follows

    def switch_off(self) -> None:
        """They follow it no more."""
        self.follows = False
        self._weixin.call(self, "", {"MsgType": "event", "Event": "unsubscribe", "EventKey": ""})

    def switch_on(self, scene: str = "") -> None:
        """They follow it, perhaps by a QR code with a scene."""
        self.follows = True
        key = f"qrscene_{scene}" if scene else ""
        self._weixin.call(self, "", {"MsgType": "event", "Event": "subscribe", "EventKey": key})

    def say(self, words: str, to: str = "") -> Uttered:
        """The words are on their way."""
        return self._weixin.call(
            self, words, {"MsgType": "text", "Content": words, "MsgId": self._weixin.number()}
        )

    def press(self, label: str) -> Uttered:
        """The line of that label, in the latest message that has one, is pressed."""
        for seen in reversed(self.arrived):
            for button in seen.buttons:
                if button.label == label:
                    said = {"MsgType": "text", "Content": label, "MsgId": self._weixin.number()}
                    return self._weixin.call(self, label, {**said, "bizmsgmenuid": button.reply})
        raise LookupError(f"no line {label!r}")

    def choose(self, key: str) -> Uttered:
        """The entry with that key in the account's menu is chosen."""
        return self._weixin.call(self, key, {"MsgType": "event", "Event": "CLICK", "EventKey": key})

    def shows(self, text: str, passive: bool, picture: Shot | None = None) -> None:
        """The message is on the screen."""
        buttons = tuple(Button(unquote(label), unquote(it)) for label, it in _LINE.findall(text))
        words = _LINE.sub("", text).rstrip("\n") if buttons else text
        now = self._weixin.now()
        self.arrived.append(Seen(words, ACCOUNT, now, passive, buttons, picture))
        self._weixin.tell("arrived", self)


class Weixin:
    """The API and its people. `start` it, give its `url` to a channel, and `callback` the address
    at which the channel listens. `patience_s`: how long a callback may take, five seconds in the
    world."""

    def __init__(
        self,
        *,
        aes_key: str = "",
        patience_s: float = 5.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.now = now
        self.port = 0
        self.callback = ""
        self.faults = WeixinFaults()
        self.handsets: dict[str, Follower] = {}
        self.on_change: list[Callable[[Change], None]] = []
        self.tokens = 0
        self.sends = 0
        self.gallery = Gallery("media-")
        self._seal = Seal(aes_key, APP_ID) if aes_key else None
        self._patience_s = patience_s
        self._token = ""
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """It listens."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/cgi-bin/stable_token", self._give_token)
        app.router.add_post("/cgi-bin/media/upload", self._keep)
        app.router.add_post("/cgi-bin/message/custom/send", self._send)
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

    def handset(self, number: str) -> Follower:
        """The person of this openid, who follows the account."""
        if number not in self.handsets:
            self.handsets[number] = Follower(number, self)
        return self.handsets[number]

    # For people

    def number(self) -> str:
        """One that was not given before."""
        self._number += 1
        return str(6_054_768_590_064_713_000 + self._number)

    def tell(self, kind: Any, follower: Follower) -> None:
        """Onlookers know."""
        for look in self.on_change:
            look(Change(kind, follower.number))

    def call(self, follower: Follower, words: str, fields: dict[str, str]) -> Uttered:
        """The account will be called, three times if need be."""
        uttered = Uttered(words, ACCOUNT, self.now())
        if words:
            follower.said.append(uttered)
        follower.left = self.faults.quota or 0
        whole = {
            "ToUserName": ACCOUNT,
            "FromUserName": follower.number,
            "CreateTime": str(int(self.now().timestamp())),
            **fields,
        }
        task = asyncio.get_running_loop().create_task(self._called(follower, uttered, whole))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return uttered

    async def _called(self, follower: Follower, uttered: Uttered, fields: dict[str, str]) -> None:
        body = write(fields)
        timestamp, nonce = str(int(self.now().timestamp())), secrets.token_hex(5)
        query = {"timestamp": timestamp, "nonce": nonce, "openid": follower.number}
        query["signature"] = signature(TOKEN, timestamp, nonce)
        if self._seal is not None:
            sealed = self._seal.seal(body)
            body = write({"ToUserName": ACCOUNT, "Encrypt": sealed})
            query["encrypt_type"] = "aes"
            query["msg_signature"] = signature(TOKEN, timestamp, nonce, sealed)
        timeout = aiohttp.ClientTimeout(total=self._patience_s)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for _ in range(_TRIES):
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with session.post(self.callback, params=query, data=body) as answer:
                        octets = await answer.read()
                        if answer.status == 200 and self.faults.lose_answers == 0:
                            uttered.acknowledged_at = self.now()
                            self.tell("acknowledged", follower)
                            if octets != b"success":
                                follower.shows(self._opened(octets)["Content"], True)
                            return
                        self.faults.lose_answers = max(0, self.faults.lose_answers - 1)
                await asyncio.sleep(0.05)

    def _opened(self, octets: bytes) -> dict[str, str]:
        fields = read(octets)
        if self._seal is None:
            return fields
        parts = (TOKEN, fields["TimeStamp"], fields["Nonce"], fields["Encrypt"])
        if signature(*parts) != fields["MsgSignature"]:
            raise ValueError("an answer that is not the account's")
        return read(self._seal.open(fields["Encrypt"]))

    # The API

    async def _give_token(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if (asked["appid"], asked["secret"]) != (APP_ID, APP_SECRET):
            return web.json_response({"errcode": 40125, "errmsg": "invalid appsecret"})
        if asked["force_refresh"] or not self._token:
            self.tokens += 1
            self._token, self.faults.stale_token = f"token-{self.tokens}", False
        return web.json_response({"access_token": self._token, "expires_in": 7200})

    async def _keep(self, request: web.Request) -> web.Response:
        """A temporary picture."""
        errcode, media_id = self.faults.picture_errcode, ""
        it = (await request.post()).get("media")
        if self.faults.stale_token or request.query.get("access_token") != self._token:
            errcode = 42001
        elif not errcode and (request.query.get("type") != "image" or it is None):
            errcode = 40004
        if isinstance(it, web.FileField):
            with it.file:
                octets = it.file.read()
            if not errcode:
                try:
                    media_id = self.gallery.take(octets)
                except ValueError:
                    errcode = 40005
        if self.faults.mute_uploads:
            await asyncio.sleep(3600)
        if errcode:
            return web.json_response({"errcode": errcode, "errmsg": "refused"})
        return web.json_response({"type": "image", "media_id": media_id, "created_at": 1})

    async def _send(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.sends += 1
        faults, text = self.faults, asked.get("text", {}).get("content", "")
        picture = self.gallery.find(asked.get("image", {}).get("media_id", ""))
        follower = self.handsets.get(asked["touser"])
        errcode = faults.errcode
        if faults.stale_token or request.query.get("access_token") != self._token:
            errcode = 42001
        elif not errcode and follower is None:
            errcode = 40003
        elif not errcode and follower is not None and not follower.follows:
            errcode = 43004
        elif not errcode and len(text.encode()) > _MAX_OCTETS:
            errcode = 45002
        elif not errcode and asked["msgtype"] == "image" and picture is None:
            errcode = 40007
        elif not errcode and follower is not None and faults.quota is not None:
            if follower.left == 0:
                errcode = 45047 if follower.said else 45015
            follower.left = max(0, follower.left - 1)
        if errcode:
            return web.json_response({"errcode": errcode, "errmsg": "refused"})
        assert follower is not None
        follower.shows(text, False, picture)
        if faults.mute or (picture is not None and faults.mute_pictures):
            await asyncio.sleep(3600)
        return web.json_response({"errcode": 0, "errmsg": "ok"})
