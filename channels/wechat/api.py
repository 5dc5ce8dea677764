"""The API of an official account: its access token, customer-service messages, and pictures."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from channels.calls import NoAnswerError, call, form, open_session
from channels.pictures import Fitted
from channels.wechat.settings import WeChatSettings
from channels.wechat.status import STALE_TOKEN

_JSON = "application/json"


class RefusedError(Exception):
    """The API answered with that errcode."""

    def __init__(self, errcode: int) -> None:
        super().__init__(errcode)
        self.errcode = errcode


class _Told(Struct, frozen=True):
    errcode: int = 0
    access_token: str = ""
    msgid: int | str = ""
    media_id: str = ""


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
        """The errcode, and the id of the message if it has one."""
        return await self._send({"touser": address, "msgtype": "text", "text": {"content": text}})

    async def show(self, address: str, media_id: str) -> tuple[int, str]:
        """As `send`, for a picture that was uploaded."""
        return await self._send(
            {"touser": address, "msgtype": "image", "image": {"media_id": media_id}}
        )

    async def upload(self, picture: Fitted) -> tuple[int, str]:
        """The errcode, and the media_id under which the account has this picture for three days
        (WeChat, "Adding Temporary Materials")."""
        body, kind = form({}, "media", picture.mime, picture.octets)
        told = await self._as_known("/cgi-bin/media/upload", body, kind, type="image")
        return told.errcode, told.media_id

    async def _send(self, asked: object) -> tuple[int, str]:
        body = msgspec.json.encode(asked)
        told = await self._as_known("/cgi-bin/message/custom/send", body, _JSON)
        return told.errcode, str(told.msgid)

    async def _as_known(self, path: str, body: bytes, kind: str, **query: str) -> _Told:
        """With the access token. One that went stale is renewed once: the call was refused, so
        nothing is done twice."""
        token = self._token
        told = await self._call(path, body, kind, access_token=token, **query)
        if told.errcode in STALE_TOKEN:
            await self.renew(stale=token)
            told = await self._call(path, body, kind, access_token=self._token, **query)
        return told

    async def _post(self, path: str, asked: object) -> _Told:
        return await self._call(path, msgspec.json.encode(asked), _JSON)

    async def _call(self, path: str, body: bytes, kind: str, **query: str) -> _Told:
        url, deadline_s = self._settings.api_url.rstrip("/") + path, self._settings.deadline_s
        headers = {"Content-Type": kind}
        answer = await call(
            self._session, "POST", url, deadline_s, body=body, headers=headers, query=query
        )
        if answer.status != 200:
            raise NoAnswerError(str(answer.status))
        try:
            return msgspec.json.decode(answer.body, type=_Told)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise NoAnswerError("no JSON") from None
