"""A WeChat official account: callbacks come in, and are answered at once or by the API."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from aiohttp import web

from channels.album import NO_PICTURE, Sight
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
    Reply,
    no_media,
)
from channels.calls import NoAnswerError, NotConnectedError
from channels.underway import UnderWay
from channels.wechat.api import Api, RefusedError
from channels.wechat.crypt import Seal, SealError, signature, signed
from channels.wechat.envelope import MalformedError, heard, presence, read, write
from channels.wechat.seats import Seats
from channels.wechat.settings import WeChatSettings
from channels.wechat.showing import Shows
from channels.wechat.status import GONE, REST_S, judged
from channels.wechat.words import MAX_OCTETS, said

log = logging.getLogger("outreach.wechat")

NOTHING = "success"
"""What a callback is answered with when there is nothing to say: WeChat then asks no more."""

_PERSON = re.compile(r"[A-Za-z0-9_-]{5,64}")
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 30.0


class WeChat:
    """Keeps the contract of `channels.base.Channel`; `routes` are to be mounted by a web process.

    A callback is held for the answer to it: whatever is sent to that person meanwhile goes out as
    the callback's own answer, which costs no quota. All else goes by customer-service message, of
    which WeChat allows twenty within 48 hours after somebody wrote. A picture is one of these, and
    goes before its words; a callback's answer has words alone. A message whose picture could not be
    shown is accepted with the code `no_picture`.
    """

    capabilities = Capabilities(
        max_text=MAX_OCTETS, two_way=True, receipts=False, buttons=True, media=True
    )

    def __init__(
        self,
        name: str,
        settings: WeChatSettings,
        media: Callable[[str], Awaitable[Media]] = no_media,
    ) -> None:
        self.name = name
        self.settings = settings
        self._seal = Seal(settings.aes_key, settings.app_id) if settings.aes_key else None
        self._seats = Seats()
        self._shows = Shows(media)
        self._rests_until_s = 0.0
        self._free = asyncio.Semaphore(settings.connections)
        self._api: Api | None = None
        self._inbox: Inbox | None = None
        self._health: Health = "down"
        self._doubt = asyncio.Event()
        self._under_way = UnderWay()
        self._keeping: asyncio.Task[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        """Where WeChat asks who we are, and tells us what was said."""
        path = self.settings.path
        return [web.get(path, self._prove), web.post(path, self._hear)]

    def callbacks(self) -> dict[str, str]:
        """What to type into the console."""
        return {"callback": self.settings.public_url.rstrip("/") + self.settings.path}

    async def start(self, inbox: Inbox) -> None:
        """The access token is fetched in the background."""
        self._inbox = inbox
        self._api = Api(self.settings)
        self._health = "connecting"
        self._keeping = asyncio.get_running_loop().create_task(self._keep(self._api))

    async def stop(self) -> None:
        """Nothing is sent any more."""
        api, self._api, self._inbox = self._api, None, None
        self._health = "down"
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        if api is not None:
            await self._under_way.end()  # within its deadline
            await api.end()

    def health(self) -> Health:
        return self._health

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome each."""
        with self._under_way.one():
            return await asyncio.gather(*(self._send(message) for message in batch))

    async def _send(self, message: Outgoing) -> Outcome:
        number, address, text = message.message_id, message.address, said(message.content)
        fault = _fault(address, text)
        if fault is not None:
            return Outcome(number, "rejected", code=fault[0], reason=fault[1])
        if await self._seats.take(address, text):
            because = "an answer has words alone" if message.content.image.strip() else ""
            return _accepted(number, str(number), because)
        try:
            sight = await self._shows.find(message.content.image)
        except Exception as error:
            log.error("picture_not_read", extra={"error": type(error).__name__})
            reason = "its picture could not be read"
            return Outcome(number, "unsent", code="picture", reason=reason, retry="later")
        async with self._free:
            shown = await self._show(number, address, sight)
            if shown.result != "accepted":
                return shown
            outcome = await self._ask(number, address, lambda api: api.send(address, text))
        if outcome.result != "accepted":
            return outcome
        return _accepted(number, outcome.carrier_id or str(number), shown.reason)

    async def _show(self, number: int, address: str, sight: Sight) -> Outcome:
        """The picture is there, or the words may go without it: `reason` says why it is missing."""
        if not sight or self._shows.is_ahead(number):
            return Outcome(number, "accepted", reason=sight.because)
        outcome = await self._ask(
            number, address, lambda api: self._shows.show(api, address, sight)
        )
        return self._shows.weighed(outcome)

    async def _ask(
        self, number: int, address: str, work: Callable[[Api], Awaitable[tuple[int, str]]]
    ) -> Outcome:
        """What the API makes of it."""
        api = self._api
        if api is None or self._health != "up":
            return _unsent(number)
        if self._rests_until_s > _now_s():
            reason = "WeChat takes no calls for the moment"
            return Outcome(number, "unsent", code="rests", reason=reason, retry="later")
        try:
            errcode, carrier_id = await work(api)
        except NotConnectedError:
            self._health = "connecting"
            self._doubt.set()
            return _unsent(number)
        except NoAnswerError:
            return Outcome(number, "unknown", code="no_answer", reason="no answer from WeChat")
        except RefusedError as error:  # no new access token: the message was refused before
            self._doubt.set()
            return judged(number, error.errcode, "")
        outcome = judged(number, errcode, carrier_id)
        if outcome.code == GONE:
            with suppress(web.HTTPServiceUnavailable):  # the next message says so again
                await self._tell_presence(Presence(self.name, address, False))
        if rest_s := REST_S.get(outcome.code):
            self._rests_until_s = _now_s() + rest_s
            log.warning("wechat_rests code=%s seconds=%d", outcome.code, rest_s)
        return outcome

    async def _keep(self, api: Api) -> None:
        """As long as it runs, `health` says whether the API knows us."""
        tries = 0
        while True:
            self._doubt.clear()
            try:
                await api.renew()
            except (NotConnectedError, NoAnswerError, RefusedError) as error:
                self._health = "connecting"
                tries += 1
                because = getattr(error, "errcode", type(error).__name__)
                log.warning("wechat_away because=%s tries=%d", because, tries)
                await asyncio.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(tries, 10)))
                continue
            if self._health != "up":
                self._health = "up"
                log.info("wechat_ready account=%s", self.settings.app_id)
            tries = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.probe_s):
                    await self._doubt.wait()

    async def _prove(self, request: web.Request) -> web.Response:
        """WeChat asks once, when the address is typed into its console."""
        asked = request.query
        parts = (self.settings.token, asked.get("timestamp", ""), asked.get("nonce", ""))
        if not signed(asked.get("signature", ""), *parts):
            raise web.HTTPForbidden(text="Only WeChat may call this.\n")
        return web.Response(text=asked.get("echostr", ""))

    async def _hear(self, request: web.Request) -> web.StreamResponse:
        """One callback; the same one comes three times if it is not answered."""
        fields = self._opened(request, await request.read())
        try:
            reply = heard(fields, self.name)
        except MalformedError:
            raise web.HTTPBadRequest(text="This is no message.\n") from None
        if (left := presence(fields, self.name)) is not None:
            await self._tell_presence(left)
        if reply is None:
            return web.Response(text=NOTHING)
        before = self._seats.answered(reply.source_id)
        if before is not None:
            return await self._answer(request, reply, before)
        inbox = self._inbox
        if inbox is None:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"})
        seat = self._seats.open(reply.address)
        written = False
        try:
            async with asyncio.timeout(self.settings.hold_s or None) as held:
                try:
                    await inbox.replies([reply])
                except Exception as error:
                    log.error("reply_not_stored", extra={"error": type(error).__name__})
                    raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"}) from None
                if not self.settings.hold_s:
                    held.reschedule(asyncio.get_running_loop().time())
                await asyncio.shield(seat.text)
        except TimeoutError:
            pass
        finally:
            self._seats.close(reply.address, seat)
        try:
            text = seat.text.result() if seat.text.done() else ""
            answer = await self._answer(request, reply, text)
            written = True
        finally:
            seat.written.set_result(written)
        self._seats.remember(reply.source_id, text)
        return answer

    async def _tell_presence(self, it: Presence) -> None:
        """It is stored. Raises HTTPServiceUnavailable, after which WeChat calls again."""
        inbox = self._inbox
        try:
            if inbox is None:
                raise RuntimeError("stopped")
            await inbox.presence([it])
        except Exception as error:
            log.error("presence_not_stored", extra={"error": type(error).__name__})
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"}) from None

    def _opened(self, request: web.Request, body: bytes) -> dict[str, str]:
        """What the callback says, if it is WeChat's."""
        asked, token = request.query, self.settings.token
        parts = (token, asked.get("timestamp", ""), asked.get("nonce", ""))
        try:
            if self._seal is None:
                if not signed(asked.get("signature", ""), *parts):
                    raise web.HTTPForbidden(text="Only WeChat may call this.\n")
                return read(body)
            sealed = read(body).get("Encrypt", "")
            if not signed(asked.get("msg_signature", ""), *parts, sealed):
                raise web.HTTPForbidden(text="Only WeChat may call this.\n")
            return read(self._seal.open(sealed))
        except (MalformedError, SealError):
            raise web.HTTPBadRequest(text="This is no message.\n") from None

    async def _answer(self, request: web.Request, reply: Reply, text: str) -> web.StreamResponse:
        """The callback's answer is written: this text, or nothing. Raises ConnectionError."""
        body, kind = NOTHING.encode(), "text/plain"
        if text:
            now = str(int(time.time()))
            body, kind = self._envelope(reply, text, now), "application/xml"
        answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
        answer.content_type = kind
        await answer.prepare(request)
        await answer.write(body)
        await answer.write_eof()
        return answer

    def _envelope(self, reply: Reply, text: str, now: str) -> bytes:
        message = write(
            {
                "ToUserName": reply.address,
                "FromUserName": reply.to,
                "CreateTime": now,
                "MsgType": "text",
                "Content": text,
            }
        )
        if self._seal is None:
            return message
        sealed, nonce = self._seal.seal(message), secrets.token_hex(8)
        proof = signature(self.settings.token, now, nonce, sealed)
        return write({"Encrypt": sealed, "MsgSignature": proof, "TimeStamp": now, "Nonce": nonce})


def _fault(address: str, text: str) -> tuple[str, str] | None:
    """Why WeChat need not be asked."""
    if not _PERSON.fullmatch(address):
        return "no_address", "nobody can have this address"
    if not text.strip():
        return "empty", "it has no words"
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        return "broken_text", "its text holds half a character"
    return ("too_long", "its text is too long") if len(octets) > MAX_OCTETS else None


def _accepted(number: int, carrier_id: str, because: str) -> Outcome:
    code, reason = (NO_PICTURE, f"without its picture: {because}") if because else ("", "")
    return Outcome(number, "accepted", carrier_id, code, reason)


def _unsent(number: int) -> Outcome:
    reason = "WeChat's API is not connected"
    return Outcome(number, "unsent", code="not_connected", reason=reason, retry="later")


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _build(name: str, settings: WeChatSettings, means: Means) -> WeChat:
    return WeChat(name, settings, means.media)


KIND = Kind(WeChatSettings, _build, "web")
