"""An aggregator that speaks Twilio's messaging API, with phones behind it.

After Twilio's reference: Messages resource (2010-04-01), status callbacks, request validation,
errors 20429, 21211, 21602, 21610.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections import defaultdict
from contextlib import suppress

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.http.signature import twilio

ACCOUNT, TOKEN = "AC0123", "the token of this account"


class Aggregator:
    """`shown` is what each phone shows. `refused`: everything is refused with this code. `mute`:
    requests get no answer. `receipts`: the words that are called back for each message."""

    def __init__(self) -> None:
        self.shown: dict[str, list[str]] = defaultdict(list)
        self.forms: list[dict[str, str]] = []
        self.refused: tuple[int, int] | None = None
        self.mute = False
        self.receipts = ("sent", "delivered")
        self.callbacks: list[int] = []
        self.replies_url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        app = web.Application()
        app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", self._send)
        self._server = TestServer(app)

    async def start(self) -> str:
        """It answers; returns its base URL."""
        await self._server.start_server()
        self._session = aiohttp.ClientSession()
        return str(self._server.make_url("/")).rstrip("/")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self._server.close()

    async def say(self, number: str, words: str, sid: str = "") -> int:
        """The phone's words are brought; returns the HTTP status they were met with."""
        form = {"From": number, "To": "10086", "Body": words}
        return await self.call(self.replies_url, {**form, "MessageSid": sid or _sid()})

    async def call(self, url: str, form: dict[str, str], signature: str | None = None) -> int:
        """A signed callback; returns the status of its answer."""
        signed = twilio(TOKEN, url, form) if signature is None else signature
        headers = {"X-Twilio-Signature": signed}
        async with self._session.post(url, data=form, headers=headers) as answer:
            self.callbacks.append(answer.status)
            return answer.status

    async def _send(self, request: web.Request) -> web.StreamResponse:
        wanted = f"Basic {base64.b64encode(f'{ACCOUNT}:{TOKEN}'.encode()).decode()}"
        if request.headers.get("Authorization") != wanted:
            return _error(401, 20003, "Authenticate")
        form = {name: str(value) for name, value in (await request.post()).items()}
        if self.mute:
            await asyncio.sleep(60)
        if self.refused is not None:
            return _error(*self.refused, "Refused")
        if not form["To"].startswith("+"):
            return _error(400, 21211, "Invalid 'To' Phone Number")
        if not form.get("Body"):
            return _error(400, 21602, "Message body is required.")
        sid = _sid()
        self.forms.append(form)
        self.shown[form["To"]].append(form["Body"])
        if callback := form.get("StatusCallback"):
            self._later(self._report(callback, sid))
        return web.json_response({"sid": sid, "status": "queued", "error_code": None}, status=201)

    async def _report(self, url: str, sid: str) -> None:
        for state in self.receipts:
            with suppress(aiohttp.ClientError):
                for _ in range(100):
                    form = {"MessageSid": sid, "MessageStatus": state}
                    if await self.call(url, form) != 503:
                        break
                    await asyncio.sleep(0.05)

    def _later(self, coroutine: object) -> None:
        task = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _sid() -> str:
    return f"SM{secrets.token_hex(16)}"


def _error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "status": status}, status=status)
