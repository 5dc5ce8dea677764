"""The channel: one HTTP request per message, and callbacks for what comes back."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp import web
from msgspec.structs import replace

from channels.base import Capabilities, Health, Inbox, Kind, Means
from channels.http import callback
from channels.http.answer import judged
from channels.http.callback import CallbackError, Fields
from channels.http.joining import Joining, Part
from channels.http.settings import HttpSettings, Thanks
from channels.http.signature import key_of, proven
from channels.http.words import filled
from channels.sms.pace import Pace
from orchestrator.core import short_message
from orchestrator.core.delivery import Outcome, Outgoing, Receipt, Reply

log = logging.getLogger("outreach.http")

MAX_CALLBACK_OCTETS = 256 * 1024
_MAX_ANSWER_OCTETS = 256 * 1024
_GSM = 0

Take = Callable[[Inbox, Sequence[Fields]], Awaitable[bool]]
"""What a callback says is stored; False if the aggregator is to bring it again."""


class HttpChannel:
    """Keeps the contract of `channels.base.Called`.

    A request that got no answer is `unknown`, one that never got a connection `unsent`. Nothing is
    tried twice here. A callback is thanked for once it is stored; before that the aggregator hears
    503, and brings it again.
    """

    def __init__(self, name: str, settings: HttpSettings, means: Means) -> None:
        self.name = name
        self.settings = settings
        account = settings.account()
        self._send, self._values = account.send, account.values
        self._receipts, self._replies = account.receipts, account.replies
        self._proof = replace(account.proof, secret=filled(account.proof.secret, self._values))
        self._now = means.now
        self._country = means.country
        self._key = key_of(means.secret, name)
        self._inbox: Inbox | None = None
        self._session: aiohttp.ClientSession | None = None
        self._joining: Joining | None = None
        self.capabilities = Capabilities(
            max_text=self._send.max_text,
            two_way=self._replies is not None,
            receipts=self._receipts is not None,
        )

    async def start(self, inbox: Inbox) -> None:
        """Messages may go, and callbacks come."""
        self._inbox = inbox
        self._joining = Joining(self._store_joined)
        self._pace = Pace(self.settings.rate_per_s, asyncio.get_running_loop().time())
        # On a kept connection aiohttp sends a GET again if it is found closed: that may be twice.
        connector = aiohttp.TCPConnector(
            limit=self.settings.connections, force_close=self._send.method == "GET"
        )
        timeout = aiohttp.ClientTimeout(self.settings.deadline_s)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)

    async def stop(self) -> None:
        self._inbox = None
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def health(self) -> Health:
        return "down" if self._session is None else "up"

    def routes(self) -> list[web.RouteDef]:
        """Where the aggregator calls us."""
        told: list[tuple[str, Take, Thanks]] = []
        if self._receipts is not None:
            told.append(("receipts", self._take_receipts, self._receipts.thanks))
        if self._replies is not None:
            told.append(("replies", self._take_replies, self._replies.thanks))
        return [
            web.route(method, f"/callbacks/{self.name}/{what}", self._called(take, thanks))
            for what, take, thanks in told
            for method in ("GET", "POST")
        ]

    def callbacks(self) -> dict[str, str]:
        """What to enter at the aggregator's console, by what it is for."""
        return {"replies": self._address("replies")} if self._replies is not None else {}

    # What goes out

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome per message; as many requests at a time as there are connections."""
        busy = asyncio.Semaphore(self.settings.connections)

        async def one(message: Outgoing) -> Outcome:
            async with busy:
                return await self._submit(message)

        return list(await asyncio.gather(*(one(message) for message in batch)))

    async def _submit(self, message: Outgoing) -> Outcome:
        try:
            request, parts = self._request(message)
        except short_message.TextError as error:
            return Outcome(message.message_id, "rejected", reason=error.message)
        await self._turn()
        session, number = self._session, message.message_id
        if session is None:
            reason = "not connected to the aggregator"
            return Outcome(number, "unsent", reason=reason, retry="later")
        try:
            async with session.request(self._send.method, **request) as answer:
                body = await answer.content.read(_MAX_ANSWER_OCTETS)
                own_id = filled(self._send.id, {"message_id": str(number)})
                return judged(
                    self._send, number, own_id if own_id != self._send.id else "", parts,
                    answer.status, body,
                )  # fmt: skip
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            reason = "the aggregator cannot be reached"
            return Outcome(number, "unsent", reason=reason, retry="later", parts=parts)
        except aiohttp.InvalidURL:
            return Outcome(number, "rejected", reason="the address of the API cannot be right")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Outcome(number, "unknown", reason="the aggregator gave no answer", parts=parts)

    def _request(self, message: Outgoing) -> tuple[dict[str, Any], int]:
        """The request that sends this message, and how many SMS it is."""
        send, words = self._send, message.content.text
        number = message.address
        if not (number.removeprefix("+").isascii() and number.removeprefix("+").isdigit()):
            raise short_message.TextError("the address is not a telephone number")
        if not words or len(words) > send.max_text:
            raise short_message.TextError(
                f"the text has {len(words)} characters; it takes 1 to {send.max_text}"
            )
        coded = short_message.split(words, 0)
        valid_s = ""
        if message.valid_until is not None:
            left_s = int((message.valid_until - self._now()).total_seconds())
            valid_s = str(max(1, min(left_s, send.max_valid_s)))
        values = {
            **self._values,
            "to": number,
            "to_digits": number.removeprefix("+"),
            "sender": message.sender or self.settings.sender,
            "text": words,
            "message_id": str(message.message_id),
            "alphabet": send.alphabets.gsm if coded.data_coding == _GSM else send.alphabets.ucs2,
            "valid_s": valid_s,
            "receipts": self._address("receipts"),
        }
        request: dict[str, Any] = {
            "url": filled(send.url, values),
            "headers": filled(send.headers, values),
            "params": _said(filled(send.query, values)),
        }
        if send.form:
            request["data"] = _said(filled(send.form, values))
        if send.json is not None:
            request["json"] = filled(send.json, values)
        if send.auth.basic is not None:
            known = base64.b64encode(":".join(filled(send.auth.basic, values)).encode()).decode()
            request["headers"]["Authorization"] = f"Basic {known}"
        if send.auth.bearer:
            request["headers"]["Authorization"] = f"Bearer {filled(send.auth.bearer, values)}"
        return request, len(coded.parts)

    async def _turn(self) -> None:
        """The account's rate allows one more."""
        loop = asyncio.get_running_loop()
        while not self._pace.room(loop.time()):  # noqa: ASYNC110 — what is awaited is time itself
            await asyncio.sleep(self._pace.delay_s())
        self._pace.spend(1)

    # What comes in

    def _address(self, what: str) -> str:
        key = f"?key={self._key}" if self._proof.by == "key" else ""
        return f"{self.settings.public_url.rstrip('/')}/callbacks/{self.name}/{what}{key}"

    def _called(
        self, take: Take, thanks: Thanks
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            body = await _body(request)
            try:
                told = callback.read(request.content_type, body, request.query)
                if not told or not self._proven(request, body, told[0]):
                    log.warning("callback_refused channel=%s because=unproven", self.name)
                    return web.Response(status=403, text="This call is not signed as agreed.\n")
                inbox = self._inbox
                stored = inbox is not None and await take(inbox, told)
            except CallbackError as error:
                log.warning("callback_refused channel=%s because=malformed", self.name)
                return web.Response(status=400, text=f"{error}\n")
            except Exception as error:
                log.error("inbox_failed channel=%s reason=%s", self.name, type(error).__name__)
                stored = False
            if not stored:
                return web.Response(status=503, headers={"Retry-After": "5"})
            return web.Response(status=thanks.status, body=thanks.body, content_type=thanks.type)

        return answer

    def _proven(self, request: web.Request, body: bytes, fields: Fields) -> bool:
        return proven(
            self._proof,
            key=self._key,
            given_key=request.query.get("key", ""),
            url=f"{self.settings.public_url.rstrip('/')}{request.path_qs}",
            body=body,
            form=fields.form,
            fields=fields.all,
            headers=request.headers,
        )

    async def _take_receipts(self, inbox: Inbox, told: Sequence[Fields]) -> bool:
        assert self._receipts is not None
        read = (callback.receipt_of(self.name, fields, self._receipts) for fields in told)
        receipts: list[Receipt] = [receipt for receipt in read if receipt is not None]
        if receipts:
            await inbox.receipts(receipts)
        return True

    async def _take_replies(self, inbox: Inbox, told: Sequence[Fields]) -> bool:
        assert self._replies is not None
        assert self._joining is not None
        whole: list[Reply] = []
        parts: list[Part] = []
        for fields in told:
            reply = callback.reply_of(self.name, fields, self._replies, self._country)
            part = callback.part_of(reply, fields, self._replies)
            if part is None:
                whole.append(reply)
            else:
                parts.append(part)
        if whole:
            await inbox.replies(whole)
        return all(await asyncio.gather(*(self._joining.add(part) for part in parts)))

    async def _store_joined(self, part: Part, words: str) -> None:
        if self._inbox is None:
            raise RuntimeError("stopped")
        await self._inbox.replies([Reply(self.name, part.key[0], words, part.id, part.to)])


async def _body(request: web.Request) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_CALLBACK_OCTETS:
            raise web.HTTPRequestEntityTooLarge(MAX_CALLBACK_OCTETS, len(body))
    return bytes(body)


def _said(fields: Mapping[str, str]) -> dict[str, str]:
    """Without the fields that say nothing."""
    return {name: value for name, value in fields.items() if value}


def _build(name: str, settings: HttpSettings, means: Means) -> HttpChannel:
    return HttpChannel(name, settings, means)


KIND = Kind(HttpSettings, _build, "web")
