"""The API of an official account: its access token, and customer-service messages."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from channels.calls import NoAnswerError, call, open_session
from channels.wechat.settings import WeChatSettings
from channels.wechat.status import STALE_TOKEN


class RefusedError(Exception):
    """The API answered with that errcode."""

    def __init__(self, errcode: int) -> None:
        super().__init__(errcode)
        self.errcode = errcode


class _Told(Struct, frozen=True):
    errcode: int = 0
    access_token: str = ""
    msgid: int | str = ""


class Api:
    """Calls for one account. Each raises NotConnectedError, NoAnswerError or RefusedError."""

    def __init__(self, settings: WeChatSettings) -> None:
        self._settings = settings
        self._session = open_session(settings.connections + 2)
        self._token = ""
        self._renewing = asyncio.Lock()

    async def end(self) -> None:
        """Every connection is closed."""
        await self._session.close()

    async def renew(self, stale: str = "") -> None:
        """There is an access token other than `stale`. All processes get the same one: this call
        does not end the token of others, as cgi-bin/token does."""
        async with self._renewing:
            if stale and self._token != stale:
                return
            asked = {
                "grant_type": "client_credential",
                "appid": self._settings.app_id,
                "secret": self._settings.app_secret,
                "force_refresh": bool(stale),
            }
            told = await self._post("/cgi-bin/stable_token", asked)
            if told.errcode or not told.access_token:
                raise RefusedError(told.errcode or -1)
            self._token = told.access_token

    async def send(self, address: str, text: str) -> tuple[int, str]:
        """The errcode, and the id of the message if it has one. A token that went stale is renewed
        once: the message was refused, so it is not sent twice."""
        asked = {"touser": address, "msgtype": "text", "text": {"content": text}}
        told = await self._post("/cgi-bin/message/custom/send", asked, access_token=self._token)
        if told.errcode in STALE_TOKEN:
            await self.renew(stale=self._token)
            told = await self._post("/cgi-bin/message/custom/send", asked, access_token=self._token)
        return told.errcode, str(told.msgid)

    async def _post(self, path: str, asked: object, **query: str) -> _Told:
        url, deadline_s = self._settings.api_url.rstrip("/") + path, self._settings.deadline_s
        body = msgspec.json.encode(asked)
        answer = await call(self._session, "POST", url, deadline_s, body=body, query=query)
        if answer.status != 200:
            raise NoAnswerError(str(answer.status))
        try:
            return msgspec.json.decode(answer.body, type=_Told)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise NoAnswerError("no JSON") from None
