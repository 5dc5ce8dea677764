"""The Bot API as we use it: python-telegram-bot's bot, bounded in time, speed and connections."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from telegram import InputFile, Message
from telegram.error import TelegramError
from telegram.ext import AIORateLimiter, ExtBot
from telegram.request import HTTPXRequest

from channels.pictures import Fitted
from channels.telegram.settings import TelegramSettings
from channels.telegram.updates import ALLOWED
from channels.telegram.words import Said

_POLL_GRACE_S = 10.0

# Otherwise python-telegram-bot 22 warns at every 429 that spans will be timedeltas one day.
os.environ.setdefault("PTB_TIMEDELTA", "true")


@contextmanager
def _understood() -> Iterator[None]:
    """An answer that python-telegram-bot cannot read is a TelegramError like any other: of JSON
    that is none of the Bot API's it does not say so itself."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise TelegramError("Invalid server response") from None


class BotApi:
    """Calls of one bot. Each raises TelegramError, and nothing else."""

    def __init__(self, settings: TelegramSettings) -> None:
        self._settings = settings
        self._polls = _request(settings, connections=2)
        # A 429 is not waited for in here: it would hold up all that was claimed.
        limiter = AIORateLimiter(overall_max_rate=settings.rate_per_s, max_retries=0)
        self._bot: ExtBot[int] = ExtBot(
            settings.token,
            base_url=f"{settings.api_url.rstrip('/')}/bot",
            request=_request(settings, connections=settings.connections + 4),
            get_updates_request=self._polls,
            rate_limiter=limiter,
        )

    async def begin(self) -> None:
        """Calls can be made."""
        await self._polls.initialize()
        await self._bot.request.initialize()

    async def end(self) -> None:
        """Every connection is closed."""
        await self._bot.request.shutdown()
        await self._polls.shutdown()

    async def probe(self) -> None:
        """The Bot API is there, and knows our token."""
        with _understood():
            await self._bot.get_me()

    async def set_webhook(self, url: str, secret_token: str) -> None:
        """Updates are sent to `url`, with that secret in their header."""
        with _understood():
            await self._bot.set_webhook(url, allowed_updates=ALLOWED, secret_token=secret_token)

    async def delete_webhook(self) -> None:
        """Updates wait to be polled."""
        with _understood():
            await self._bot.delete_webhook()

    async def send(self, chat: str, said: Said) -> int:
        """The words are sent: their number in the chat."""
        with _understood():
            sent = await self._bot.send_message(chat, said.text, reply_markup=said.keyboard)
            return sent.message_id

    async def show(
        self, chat: str, picture: str | Fitted, said: Said, *, moves: bool = False
    ) -> tuple[int, str]:
        """The picture is sent with these words below: its number in the chat, and the `file_id` by
        which Telegram knows it from now on. `picture` may be such an id already, or an address.
        `moves`: it is an animation."""
        given: str | InputFile
        if isinstance(picture, str):
            given = picture
        else:
            given = InputFile(picture.octets, filename=picture.mime.replace("/", "."))
        caption = said.text or None
        say = self._bot.send_animation if moves else self._bot.send_photo
        with _understood():
            sent = await say(chat, given, caption=caption, reply_markup=said.keyboard)
            return sent.message_id, _file_id(sent)

    async def thank(self, callback_query_id: str) -> None:
        """The pressed button no longer shows that it waits."""
        with _understood():
            await self._bot.answer_callback_query(callback_query_id)

    async def poll(self, after: int | None) -> bytes:
        """The answer of getUpdates with what came after the update of that number, as it is; waits
        `poll_s` for it."""
        wait_s = self._settings.poll_s
        asked = {"timeout": wait_s, "allowed_updates": json.dumps(ALLOWED)}
        if after is not None:
            asked["offset"] = after + 1
        url = f"{self._bot.base_url}/getUpdates?{urlencode(asked)}"
        return await self._polls.retrieve(url, read_timeout=wait_s + _POLL_GRACE_S)


def _file_id(sent: Message) -> str:
    shown = sent.animation or (sent.photo[-1] if sent.photo else sent.document)
    return shown.file_id if shown is not None else ""


def _request(settings: TelegramSettings, connections: int) -> HTTPXRequest:
    deadline_s = settings.deadline_s
    return HTTPXRequest(
        connection_pool_size=connections,
        read_timeout=deadline_s,
        write_timeout=deadline_s,
        connect_timeout=deadline_s,
        pool_timeout=deadline_s,
        media_write_timeout=deadline_s,
        proxy=settings.proxy or None,
        # What is said here counts, not what the environment says of other programs' proxies.
        httpx_kwargs={"trust_env": False},
    )
