"""Telegram: what is said goes out by the Bot API, and comes in by webhook or by polling."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal

from aiohttp import web
from telegram.error import InvalidToken, RetryAfter, TelegramError

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
    Presence,
    no_media,
)
from channels.telegram.api import BotApi
from channels.telegram.pace import Gaps
from channels.telegram.settings import TelegramSettings, start_link
from channels.telegram.showing import Shows
from channels.telegram.status import GONE, judged
from channels.telegram.updates import (
    MalformedError,
    Update,
    heard,
    presence,
    read,
    read_polled,
)
from channels.telegram.words import MAX_TEXT, Said, said, units
from channels.underway import UnderWay

log = logging.getLogger("outreach.telegram")

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"

_PERSON = re.compile(r"[1-9][0-9]{0,18}")
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 30.0


class Telegram:
    """Keeps the contract of `channels.base.Channel`; in mode `webhook`, `routes` are to be mounted
    by a web process. `secret_token` is what Telegram must show there.

    Telegram sends no receipts: a message that it takes stays `accepted`. One whose picture could
    not be shown is accepted with the code `no_picture`.
    """

    capabilities = Capabilities(
        max_text=MAX_TEXT, two_way=True, receipts=False, buttons=True, media=True
    )

    def __init__(
        self,
        name: str,
        settings: TelegramSettings,
        secret_token: str,
        media: Callable[[str], Awaitable[Media]] = no_media,
    ) -> None:
        self.name = name
        self.settings = settings
        self._secret_token = secret_token
        self._shows = Shows(media)
        self._gaps = Gaps(settings.gap_s)
        self._free = asyncio.Semaphore(settings.connections)
        self._api: BotApi | None = None
        self._inbox: Inbox | None = None
        self._health: Health = "down"
        self._quiet_until_s = 0.0
        self._doubt = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = UnderWay()

    def routes(self) -> list[web.RouteDef]:
        """Where Telegram tells us what happened."""
        return [web.post(self.settings.path, self._hear)]

    async def start(self, inbox: Inbox) -> None:
        """The bot is looked for in the background."""
        self._inbox = inbox
        self._api = BotApi(self.settings)
        await self._api.begin()
        self._health = "connecting"
        self._run(self._keep(self._api))

    async def stop(self) -> None:
        """What is under way has been answered, within the deadline; then nothing is sent."""
        api, self._api, self._inbox = self._api, None, None
        self._health = "down"
        await self._under_way.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if api is not None:
            await api.end()

    def health(self) -> Health:
        if self._health == "up" and self._quiet_until_s > _now_s():
            return "connecting"
        return self._health

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome each. Messages to one person go one after the other."""
        by_chat: dict[str, list[Outgoing]] = {}
        for message in batch:
            by_chat.setdefault(message.address, []).append(message)
        with self._under_way.one():
            chats = await asyncio.gather(*(self._send_all(it) for it in by_chat.values()))
        return [outcome for outcomes in chats for outcome in outcomes]

    async def _send_all(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        return [await self._send(message) for message in messages]

    async def _send(self, message: Outgoing) -> Outcome:
        number, chat, words = message.message_id, message.address, said(message.content)
        fault = _fault(chat, words, message.content.image)
        if fault is not None:
            return Outcome(number, "rejected", code=fault[0], reason=fault[1])
        if self.health() != "up":
            return _later(number, "not_connected", "the Bot API is not connected")
        try:
            sight = await self._shows.find(message.content.image)
        except Exception as error:
            log.error("picture_not_read", extra={"error": type(error).__name__})
            return _later(number, "picture", "its picture could not be read")
        wait_s = self._gaps.wait_s(chat, _now_s())
        if wait_s is None:
            return _later(number, "pace", "they were just written to")
        await asyncio.sleep(wait_s)
        async with self._free:
            api = self._api
            if api is None or self.health() != "up":
                return _later(number, "not_connected", "the Bot API is not connected")
            try:
                sent, because = await self._shows.tell(api, number, chat, words, sight)
            except TelegramError as error:
                self._learn(error)
                outcome = judged(number, error)
                if outcome.code in GONE:
                    self._run(self._gone(chat))
                return outcome
        code, reason = (NO_PICTURE, f"without its picture: {because}") if because else ("", "")
        return Outcome(number, "accepted", f"{chat}/{sent}", code, reason)

    def _learn(self, error: TelegramError) -> None:
        """After a 429 we are quiet for as long as it says; after no connection, we look again."""
        if isinstance(error, RetryAfter):
            after = error.retry_after
            span_s = after.total_seconds() if isinstance(after, timedelta) else float(after)
            self._quiet_until_s = max(self._quiet_until_s, _now_s() + span_s)
            log.warning("telegram_slows_us seconds=%d", span_s)
        elif judged(0, error).code in ("not_connected", "401"):
            self._health = "connecting"
            self._doubt.set()

    async def _keep(self, api: BotApi) -> None:
        """As long as it runs, `health` says whether the bot can speak."""
        tries, arranged = 0, False
        while True:
            self._doubt.clear()
            try:
                await api.probe()
                if not arranged:
                    await self._arrange(api)
                    arranged = True
            except TelegramError as error:
                refused = isinstance(error, InvalidToken)
                self._health = "down" if refused else "connecting"
                tries += 1
                reason = "token_refused" if refused else type(error).__name__
                log.warning("bot_api_away because=%s tries=%d", reason, tries)
                await asyncio.sleep(_pause_s(tries))
                continue
            if self._health != "up":
                self._health = "up"
                log.info("bot_ready bot=%s mode=%s", self.settings.bot_id, self.settings.mode)
            tries = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.probe_s):
                    await self._doubt.wait()

    async def _arrange(self, api: BotApi) -> None:
        """Updates come to us. Every web process says so, and says the same."""
        if self.settings.mode == "polling":
            await api.delete_webhook()
            self._run(self._poll(api))
        elif self.settings.public_url:
            url = self.settings.public_url.rstrip("/") + self.settings.path
            await api.set_webhook(url, self._secret_token)

    async def _poll(self, api: BotApi) -> None:
        """Updates are asked for, again and again. Those that were not stored come again."""
        tries, last = 0, None
        while True:
            try:
                updates, strange, newest = read_polled(await api.poll(last))
                if strange:
                    log.warning("updates_not_understood count=%d", strange)
                taken = await self._take(api, updates)
            except (TelegramError, MalformedError) as error:
                log.warning("poll_failed because=%s", type(error).__name__)
                taken = False
            if taken:
                last, tries = last if newest is None else newest, 0
            else:
                tries += 1
                await asyncio.sleep(_pause_s(tries))

    async def _hear(self, request: web.Request) -> web.Response:
        """One update. Whoever does not know the secret is not Telegram."""
        shown = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, self._secret_token.encode()):
            raise web.HTTPForbidden(text="Only Telegram may call this.\n")
        api = self._api
        if api is None:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"})
        try:
            update = read(await request.read())
        except MalformedError:
            raise web.HTTPBadRequest(text="This is no update.\n") from None
        if not await self._take(api, [update]):
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"})
        return web.Response()

    async def _take(self, api: BotApi, updates: Sequence[Update]) -> bool:
        """What people said by these updates is stored; False if it could not be."""
        replies = [
            reply
            for update in updates
            if (reply := heard(update, self.name, self.settings.bot_id)) is not None
        ]
        changes = [it for update in updates if (it := presence(update, self.name)) is not None]
        if replies or changes:
            if self._inbox is None:
                return False
            try:
                if changes:
                    await self._inbox.presence(changes)
                if replies:
                    await self._inbox.replies(replies)
            except Exception as error:
                log.error("reply_not_stored", extra={"error": type(error).__name__})
                return False
        for update in updates:
            if update.callback_query is not None:
                self._run(self._thank(api, update.callback_query.id))
        return True

    async def _gone(self, chat: str) -> None:
        """It is known that they cannot be written to; if not, the next message says so again."""
        if self._inbox is not None:
            try:
                await self._inbox.presence([Presence(self.name, chat, False)])
            except Exception as error:
                log.error("presence_not_stored", extra={"error": type(error).__name__})

    async def _thank(self, api: BotApi, callback_query_id: str) -> None:
        with suppress(TelegramError):  # too late, and only a wheel that turns a little longer
            await api.thank(callback_query_id)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fault(chat: str, words: Said, image: str) -> tuple[str, str] | None:
    """Why Telegram need not be asked."""
    if not _PERSON.fullmatch(chat):
        return "no_address", "nobody can have this address"
    if not words.text.strip() and not image.strip():
        return "empty", "it has no words"
    if units(words.text) > MAX_TEXT:
        return "too_long", "its text is too long"
    if any("\ud800" <= character <= "\udfff" for character in words.everything + image):
        return "broken_text", "its text holds half a character"
    return None


def _later(number: int, code: str, reason: str) -> Outcome:
    return Outcome(number, "unsent", code=code, reason=reason, retry="later")


def _pause_s(tries: int) -> float:
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(tries, 10)))


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def secret_token(secret: bytes, name: str) -> str:
    """What Telegram shows with each update: the same in all processes of an installation."""
    return hmac.new(secret, f"outreach telegram webhook 1\0{name}".encode(), "sha256").hexdigest()


def _build(name: str, settings: TelegramSettings, means: Means) -> Telegram:
    return Telegram(name, settings, secret_token(means.secret, name), means.media)


def _place(settings: TelegramSettings) -> Literal["gateway", "web"]:
    """Of those who poll there can be only one, and gateways see to that."""
    return "gateway" if settings.mode == "polling" else "web"


KIND = Kind(TelegramSettings, _build, _place, link=start_link)
