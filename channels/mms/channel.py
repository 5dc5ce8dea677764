"""The MMS channel through a carrier's MMS centre, over MM7."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
from collections.abc import Sequence

import aiohttp
from aiohttp import web

from channels.base import Capabilities, Fate, Health, Held, Inbox, Kind, Means
from channels.mms import codes, mm7, parcel
from channels.mms.incoming import MOST_OCTETS, Heard, heard, proven, receipt_of, reply_of
from channels.mms.letters import (
    Answer,
    Cancel,
    Delivery,
    Fault,
    Letter,
    Mm7Error,
    Report,
    Rsp,
    Said,
)
from channels.mms.making import ENVELOPE, Maker, MakingError, Parcel
from channels.mms.parcel import ParcelError
from channels.mms.settings import MmsSettings
from channels.sms.pace import Pace
from orchestrator.core.delivery import Outcome, Outgoing, Receipt, Reply

log = logging.getLogger("outreach.mms")

_MOST_ANSWER_OCTETS = 256 * 1024
_API_VERSION = "2.0"
_AT_ONCE_OCTETS = 64 * 1024
"""A longer callback is read beside the event loop."""
_REST_S = 2.0
_LONGEST_REST_S = 60.0
_REFUSING = (401, 403, 404, 405, 407, 410)


class _StoppedError(Exception):
    """The channel was stopped before the request was written."""


class MmsChannel:
    """Keeps the contract of `channels.base.Called`.

    The StatusCode in an answer's body counts; a request without an answer is `unknown`, and never
    tried again here: MM7 has no way to ask. While the centre cannot be reached, or refuses our
    account, the channel rests, and messages wait. A callback gets its Rsp once it is stored.
    """

    def __init__(self, name: str, settings: MmsSettings, means: Means) -> None:
        self.name = name
        self.settings = settings
        called = bool(settings.public_url)
        self.capabilities = Capabilities(
            max_text=settings.max_text,
            two_way=called,
            receipts=called and settings.delivery_report,
            media=True,
            window=settings.connections,
        )
        self.trouble = ""
        self._country = settings.country or means.country
        self._key = hmac.new(means.secret, f"mms:{name}".encode(), "sha256").hexdigest()[:32]
        self._maker = Maker(settings, means, self._key)
        self._session: aiohttp.ClientSession | None = None
        self._inbox: Inbox | None = None
        self._rests = 0
        self._up_at = 0.0
        self._refused = False

    async def start(self, inbox: Inbox) -> None:
        """Messages may go, and callbacks come."""
        self._inbox = inbox
        settings = self.settings
        self._pace = Pace(settings.rate_per_s, asyncio.get_running_loop().time())
        self._busy = asyncio.Semaphore(settings.connections)
        self._rests, self._up_at, self.trouble = 0, 0.0, ""
        headers = {"SOAPAction": '""'}
        if settings.api_version or settings.dialect == "china":
            headers["MM7APIVersion"] = settings.api_version or _API_VERSION
        middlewares: tuple[aiohttp.DigestAuthMiddleware, ...] = ()
        if settings.username and settings.auth == "digest":
            digest = aiohttp.DigestAuthMiddleware(settings.username, settings.password)
            middlewares = (digest,)
        elif settings.username:
            account = f"{settings.username}:{settings.password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(account).decode()}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            middlewares=middlewares,
            connector=aiohttp.TCPConnector(limit=settings.connections),
            timeout=aiohttp.ClientTimeout(settings.deadline_s),
        )

    async def stop(self) -> None:
        self._inbox = None
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def health(self) -> Health:
        """Not up while it rests after the centre could not be reached."""
        if self._session is None:
            return "down"
        if asyncio.get_running_loop().time() >= self._up_at:
            return "up"
        return "down" if self._refused else "connecting"

    def routes(self) -> list[web.RouteDef]:
        """Where the centre brings reports and messages."""
        return [web.post(f"/callbacks/{self.name}", self._told)]

    def callbacks(self) -> dict[str, str]:
        """What to have the carrier enter."""
        public = self.settings.public_url.rstrip("/")
        key = f"?key={self._key}" if self.settings.proof == "key" else ""
        return {"reports and replies": f"{public}/callbacks/{self.name}{key}"} if public else {}

    # What goes out

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome per message; as many requests at a time as there are connections."""
        return list(await asyncio.gather(*(self._submit(message) for message in batch)))

    async def cancel(self, message_id: int, carrier_id: str) -> Outcome:
        """The centre does not bring this message any more, if it has not yet."""
        settings = self.settings
        asked = Cancel(self._maker.who, carrier_id)
        transaction = f"c{self._maker.transaction(message_id)}"
        letter = Letter(asked, transaction, settings.namespace, settings.mm7_version)
        return await self._asked(message_id, Parcel(ENVELOPE, mm7.write(letter)))

    async def recall(self, batch: Sequence[Held]) -> list[Fate]:
        """The centre does not bring these messages any more, or what it says instead. MM7 has no
        way to ask what became of one."""

        async def one(held: Held) -> Fate:
            number = held.message.message_id
            if not held.carrier_id:
                reason = "no answer named it, so the MMS centre cannot be asked"
                return Fate(number, "cannot", reason=reason)
            outcome = await self.cancel(number, held.carrier_id)
            if outcome.result == "accepted":
                return Fate(number, "recalled")
            if outcome.result == "rejected" and outcome.retry == "never":
                return Fate(number, "refused", outcome.code, outcome.reason)
            return Fate(number, "silent", outcome.code, outcome.reason)

        return list(await asyncio.gather(*(one(held) for held in batch)))

    async def _submit(self, message: Outgoing) -> Outcome:
        number = message.message_id
        if self.health() != "up":
            reason = self.trouble or "not connected to the MMS centre"
            return Outcome(number, "unsent", reason=reason, retry="later")
        async with self._busy:  # Pictures of all of a batch at once would fill the memory.
            try:
                made = await self._maker.submit(message)
            except MakingError as error:
                return Outcome(number, "rejected", reason=error.message)
            except Exception as error:
                log.error("media_failed channel=%s reason=%s", self.name, type(error).__name__)
                reason = "the picture could not be read"
                return Outcome(number, "unsent", reason=reason, retry="later")
            return await self._asked(number, made)

    async def _asked(self, number: int, made: Parcel) -> Outcome:
        if self.health() != "up":
            reason = self.trouble or "not connected to the MMS centre"
            return Outcome(number, "unsent", reason=reason, retry="later")
        try:
            status, said = await self._post(made)
        except _StoppedError:
            return Outcome(number, "unsent", reason="the channel has stopped", retry="later")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return self._rest(number, "the MMS centre cannot be reached")
        except aiohttp.InvalidURL:
            return self._rest(number, "the MMS centre's URL cannot be right", refused=True)
        except Mm7Error:
            return Outcome(number, "unknown", reason="the MMS centre's answer means nothing")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Outcome(number, "unknown", reason="the MMS centre gave no answer")
        if isinstance(said, Answer | Fault) and not (status in _REFUSING and not said.code):
            return self._judged(number, said)
        if status in _REFUSING:
            reason = f"the MMS centre refuses our account (HTTP {status})"
            return self._rest(number, reason, f"HTTP {status}", refused=True)
        if status in (429, 503):
            return self._rest(number, "the MMS centre takes no more for now", f"HTTP {status}")
        if 400 <= status < 500:
            return Outcome(number, "rejected", "", f"HTTP {status}", "the MMS centre refused it")
        code = f"HTTP {status}"
        return Outcome(number, "unknown", "", code, "the MMS centre's answer says nothing")

    def _judged(self, number: int, said: Answer | Fault) -> Outcome:
        if said.code == codes.IMPROPER_IDENTIFICATION:
            reason = f"the MMS centre does not know us (MM7 {said.code})"
            return self._rest(number, reason, f"MM7 {said.code}", refused=True)
        if said.code == codes.SERVICE_UNAVAILABLE:
            reason = "the MMS centre takes no more for now"
            return self._rest(number, reason, f"MM7 {said.code}")
        self._rests = 0
        return codes.outcome(number, said)

    def _rest(self, number: int, reason: str, code: str = "", *, refused: bool = False) -> Outcome:
        """The message was not taken, and none is tried for a while, each time a longer one."""
        now = asyncio.get_running_loop().time()
        if now >= self._up_at:
            self._up_at = now + min(_LONGEST_REST_S, _REST_S * 2**self._rests)
            self._rests = min(self._rests + 1, 10)
            self._refused, self.trouble = refused, reason
            log.warning("mms_rests channel=%s", self.name, extra={"reason": reason})
        return Outcome(number, "unsent", "", code, reason, "later")

    async def _post(self, made: Parcel) -> tuple[int, Said | None]:
        """The HTTP status, and what the body says, if that is MM7. Raises what aiohttp does."""
        loop = asyncio.get_running_loop()
        while not self._pace.room(loop.time()):  # noqa: ASYNC110 — awaits time itself
            await asyncio.sleep(self._pace.delay_s())
        self._pace.spend(1)
        session = self._session
        if session is None:
            raise _StoppedError
        headers = {"Content-Type": made.content_type}
        async with session.post(
            self.settings.url, data=made.body, headers=headers, allow_redirects=False
        ) as answer:
            octets = await _whole(answer.content, _MOST_ANSWER_OCTETS)
        try:
            first, *_ = parcel.unpack(answer.headers.get("Content-Type", ""), octets)
            return answer.status, mm7.read(first.octets).said
        except (Mm7Error, ParcelError):
            if answer.status < 300:
                raise Mm7Error("the answer means nothing") from None
            return answer.status, None

    # What comes in

    async def _told(self, request: web.Request) -> web.StreamResponse:
        """A report or message is answered once it is stored."""
        if not proven(self.settings, self._key, request):
            log.warning("callback_refused channel=%s because=unproven", self.name)
            return web.Response(status=403, text="This call is not proven as agreed.\n")
        try:
            body = await _whole(request.content, MOST_OCTETS)
            content_type = request.headers.get("Content-Type", "")
            if len(body) > _AT_ONCE_OCTETS:
                told = await asyncio.to_thread(heard, content_type, body)
            else:
                told = heard(content_type, body)
            receipts, replies = self._meant(told)
        except Mm7Error as error:
            log.warning("callback_refused channel=%s because=malformed", self.name)
            return self._answer(400, None, Fault(codes.FORMAT_CORRUPT, True, error.message))
        inbox = self._inbox
        try:
            if inbox is None:
                raise RuntimeError("stopped")
            if receipts:
                await inbox.receipts(receipts)
            if replies:
                await inbox.replies(replies)
        except Exception as error:
            log.error("inbox_failed channel=%s reason=%s", self.name, type(error).__name__)
            return self._answer(503, told.letter, Fault(codes.SERVER_ERROR, False, "later"))
        return self._answer(200, told.letter, Answer(_rsp(told), codes.SUCCESS, "Success"))

    def _meant(self, told: Heard) -> tuple[list[Receipt], list[Reply]]:
        match told.letter.said:
            case Report() as report:
                receipt = receipt_of(self.name, report)
                return [receipt] if receipt is not None else [], []
            case Delivery() as delivery:
                shown = sum(part.kind.startswith("image/") for part in told.parts)
                log.info("mms_received channel=%s pictures=%d", self.name, shown)
                return [], [reply_of(self.name, told, delivery, self._country)]
        raise Mm7Error("nobody is told this here")

    def _answer(self, status: int, to: Letter | None, said: Said) -> web.Response:
        """In the words of whoever asked."""
        namespace = (to.namespace if to is not None else "") or self.settings.namespace
        version = (to.version if to is not None else "") or self.settings.mm7_version
        letter = Letter(said, to.transaction if to is not None else "", namespace, version)
        return web.Response(
            status=status, body=mm7.write(letter), headers={"Content-Type": ENVELOPE}
        )


def _rsp(told: Heard) -> Rsp:
    said = told.letter.said
    if isinstance(said, Report):
        return "ReadReplyRsp" if said.read else "DeliveryReportRsp"
    return "DeliverRsp"


async def _whole(content: aiohttp.StreamReader, most_octets: int) -> bytes:
    octets = bytearray()
    async for chunk in content.iter_any():
        octets += chunk
        if len(octets) > most_octets:
            raise Mm7Error("what came is too long")
    return bytes(octets)


def _build(name: str, settings: MmsSettings, means: Means) -> MmsChannel:
    return MmsChannel(name, settings, means)


KIND = Kind(MmsSettings, _build, "web")
