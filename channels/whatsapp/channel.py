"""WhatsApp: what is said goes out by the Cloud API, and comes in by webhook."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Sequence
from contextlib import suppress

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Struct

from channels.album import NO_PICTURE, Sight
from channels.base import (
    Capabilities,
    Health,
    Inbox,
    Kind,
    Means,
    Outcome,
    Outgoing,
)
from channels.calls import Answer, NoAnswerError, NotConnectedError, call, open_session
from channels.underway import UnderWay
from channels.whatsapp.hooks import MalformedError, read, receipts, replies, signed
from channels.whatsapp.settings import WhatsAppSettings, chat_link
from channels.whatsapp.showing import NotTakenError, Shows
from channels.whatsapp.status import OUTSIDE_WINDOW, PICTURE, SLOW_DOWN, judged
from channels.whatsapp.templates import templated
from channels.whatsapp.windows import Windows
from channels.whatsapp.words import MAX_TEXT, Asked, said, written_out
from orchestrator.core.model import Content

log = logging.getLogger("outreach.whatsapp")

SIGNATURE = "X-Hub-Signature-256"
QUIET_S = 5.0
"""After an answer that we are too fast."""

_PERSON = re.compile(r"\+[1-9][0-9]{5,14}")
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 30.0


class _Named(Struct, frozen=True):
    id: str = ""


class _Refused(Struct, frozen=True):
    code: int = -1


class _Told(Struct, frozen=True):
    messages: list[_Named] = []
    error: _Refused | None = None


class WhatsApp:
    """Keeps the contract of `channels.base.Channel`; `routes` are to be mounted by a web process.

    Addresses are phone numbers with `+`. Whoever has not written for 24 hours gets the words in
    one of the settings' templates, if there is one that can say them. A message whose picture could
    not be shown is accepted with the code `no_picture`.
    """

    capabilities = Capabilities(
        max_text=MAX_TEXT, two_way=True, receipts=True, buttons=True, media=True
    )

    def __init__(self, name: str, settings: WhatsAppSettings, means: Means) -> None:
        self.name = name
        self.settings = settings
        graph = f"{settings.graph_url.rstrip('/')}/{settings.version}"
        self._number_url = f"{graph}/{settings.phone_number_id}"
        self._approved = settings.approved
        self._shows = Shows(means.media)
        self._windows = Windows(name, means.history, means.now)
        self._session: aiohttp.ClientSession | None = None
        self._inbox: Inbox | None = None
        self._health: Health = "down"
        self._quiet_until_s = 0.0
        self._doubt = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._free = asyncio.Semaphore(settings.connections)
        self._under_way = UnderWay()

    def routes(self) -> list[web.RouteDef]:
        """Where Meta asks who we are, and tells us what happened."""
        path = self.settings.path
        return [web.get(path, self._prove), web.post(path, self._hear)]

    def callbacks(self) -> dict[str, str]:
        """What to type into the console."""
        return {"callback": self.settings.public_url.rstrip("/") + self.settings.path}

    async def start(self, inbox: Inbox) -> None:
        """The number is looked for in the background."""
        self._inbox = inbox
        self._session = open_session(self.settings.connections + 2)
        self._health = "connecting"
        self._keeping = asyncio.get_running_loop().create_task(self._keep(self._session))

    async def stop(self) -> None:
        """What is under way has been answered, within the deadline; then nothing is sent."""
        session, self._session, self._inbox = self._session, None, None
        self._health = "down"
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        await self._under_way.end()
        if session is not None:
            await session.close()

    def health(self) -> Health:
        if self._health == "up" and self._quiet_until_s > _now_s():
            return "connecting"
        return self._health

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome each."""
        with self._under_way.one():
            return await asyncio.gather(*(self._send(message) for message in batch))

    async def _send(self, message: Outgoing) -> Outcome:
        number, address, content = message.message_id, message.address, message.content
        fault = _fault(address, content)
        if fault is not None:
            return Outcome(number, "rejected", code=fault[0], reason=fault[1])
        try:
            sight = await self._shows.find(content.image)
            closed = bool(self._approved) and not await self._windows.is_open(address)
        except Exception as error:
            log.error("message_not_prepared", extra={"error": type(error).__name__})
            reason = "its picture or the conversation could not be read"
            return Outcome(number, "unsent", code="store", reason=reason, retry="later")
        async with self._free:
            if closed and (outcome := await self._tell_by_template(message, sight)) is not None:
                return outcome
            outcome = await self._tell(message, sight)
            if outcome.code == str(OUTSIDE_WINDOW) and self._approved:  # refused, so not sent twice
                outcome = await self._tell_by_template(message, sight) or outcome
        return outcome

    async def _tell(self, message: Outgoing, sight: Sight) -> Outcome:
        """The words, with their picture or without if WhatsApp does not take that."""
        number, content, menu = message.message_id, message.content, self.settings.menu
        because = sight.because
        again = bool(sight) and not self._shows.is_ahead(number)
        while again:
            again = False
            given = await self._given(number, sight)
            if isinstance(given, Outcome):
                if given.result == "unsent":
                    return given
                because = given.reason
                break
            shown, *words = said(content, menu, given[0])
            outcome = await self._ask(number, message.address, shown)
            if outcome.result == "rejected" and outcome.code in PICTURE:
                because, again = outcome.reason, given[1]
                if again:
                    self._shows.forget(sight, given[0])
                continue
            if not words or outcome.result in ("rejected", "unsent"):
                return outcome
            because = ""
            if outcome.result == "accepted":
                self._shows.went_ahead(number)
            else:
                because = "whether it came, nobody knows"
        outcome = await self._ask(number, message.address, said(content, menu)[-1])
        return _noted(outcome, because)

    async def _tell_by_template(self, message: Outgoing, sight: Sight) -> Outcome | None:
        """As the template that can say it; None if there is none."""
        number, content = message.message_id, message.content
        because, picture, kept = sight.because, None, False
        if sight and any(it.image for it in self._approved):
            given = await self._given(number, sight)
            if isinstance(given, Outcome) and given.result == "unsent":
                return given
            if isinstance(given, Outcome):
                because = given.reason
            else:
                picture, kept = given
        asked = templated(content, self._approved, picture)
        if asked is None:
            return None
        if sight and not any(it["type"] == "header" for it in asked["template"]["components"]):
            because = because or "the template has none"
        outcome = await self._ask(number, message.address, asked)
        if picture is not None and kept and outcome.code in PICTURE:  # an id of long ago
            self._shows.forget(sight, picture)
            return await self._tell_by_template(message, sight)
        return _noted(outcome, because)

    async def _given(self, number: int, sight: Sight) -> tuple[Asked, bool] | Outcome:
        """As `Shows.given`, or why not."""
        session = self._session
        if session is None or self.health() != "up":
            return _unsent(number)

        async def post(path: str, body: bytes, kind: str) -> Answer:
            return await self._call(session, "POST", path, body, kind)

        try:
            return await self._shows.given(sight, post)
        except NotConnectedError:
            self._health = "connecting"
            self._doubt.set()
            return _unsent(number)
        except NoAnswerError:
            return Outcome(number, "unknown", reason="no answer to its upload")
        except NotTakenError as error:
            return self._outcome(number, error.answer)

    async def _ask(self, number: int, address: str, asked: Asked) -> Outcome:
        session = self._session
        if session is None or self.health() != "up":
            return _unsent(number)
        whole = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": address.removeprefix("+"),
            "biz_opaque_callback_data": str(number),
            **asked,
        }
        try:
            answer = await self._call(session, "POST", "/messages", msgspec.json.encode(whole))
        except NotConnectedError:
            self._health = "connecting"
            self._doubt.set()
            return _unsent(number)
        except NoAnswerError:
            return Outcome(number, "unknown", code="no_answer", reason="no answer from WhatsApp")
        return self._outcome(number, answer)

    def _outcome(self, number: int, answer: Answer) -> Outcome:
        try:
            told = msgspec.json.decode(answer.body, type=_Told)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            told = _Told()
        if answer.status == 200 and told.messages and told.messages[0].id:
            return Outcome(number, "accepted", told.messages[0].id)
        if told.error is None or told.error.code < 0 or answer.status >= 500:
            code = str(answer.status)
            return Outcome(number, "unknown", code=code, reason="WhatsApp's answer was none")
        if told.error.code in SLOW_DOWN:
            self._quiet_until_s = _now_s() + QUIET_S
            log.warning("whatsapp_slows_us code=%d", told.error.code)
        return judged(number, told.error.code)

    async def _call(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
    ) -> Answer:
        token = self.settings.access_token
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        url, deadline_s = self._number_url + path, self.settings.deadline_s
        return await call(session, method, url, deadline_s, body=body, headers=headers)

    async def _keep(self, session: aiohttp.ClientSession) -> None:
        """As long as it runs, `health` says whether the API knows us."""
        tries = 0
        while True:
            self._doubt.clear()
            try:
                answer = await self._call(session, "GET", "")
                because = "" if answer.status == 200 else f"http_{answer.status}"
            except (NotConnectedError, NoAnswerError) as error:
                because = type(error).__name__
            if because:
                self._health = "connecting"
                tries += 1
                log.warning("whatsapp_away because=%s tries=%d", because, tries)
                await asyncio.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(tries, 10)))
                continue
            if self._health != "up":
                self._health = "up"
                log.info("whatsapp_ready number=%s", self.settings.phone_number_id)
            tries = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.probe_s):
                    await self._doubt.wait()

    async def _prove(self, request: web.Request) -> web.Response:
        """Meta asks once, when the address is typed into its console."""
        asked = request.query
        given = asked.get("hub.verify_token", "").encode("utf-8", "surrogateescape")
        right = hmac.compare_digest(given, self.settings.verify_token.encode())
        if asked.get("hub.mode") != "subscribe" or not right:
            raise web.HTTPForbidden(text="Only Meta may call this.\n")
        return web.Response(text=asked.get("hub.challenge", ""))

    async def _hear(self, request: web.Request) -> web.Response:
        """One call, which is thanked for once everything in it is stored; else it comes again."""
        body = await request.read()
        if not signed(request.headers.get(SIGNATURE, ""), body, self.settings.app_secret):
            raise web.HTTPForbidden(text="Only Meta may call this.\n")
        try:
            hook = read(body)
        except MalformedError:
            raise web.HTTPBadRequest(text="This is no webhook's.\n") from None
        inbox, number = self._inbox, self.settings.phone_number_id
        if inbox is None:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"})
        try:
            if told := receipts(hook, self.name, number):
                await inbox.receipts(told)
            if heard := replies(hook, self.name, number):
                await inbox.replies(heard)
                for it in heard:
                    self._windows.wrote(it.address)
        except Exception as error:
            log.error("webhook_not_stored", extra={"error": type(error).__name__})
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"}) from None
        return web.Response()


def _fault(address: str, content: Content) -> tuple[str, str] | None:
    """Why WhatsApp need not be asked."""
    text = written_out(content)
    if not _PERSON.fullmatch(address):
        return "no_address", "nobody can have this address"
    if not text.strip() and not content.image.strip():
        return "empty", "it has no words"
    if len(text) > MAX_TEXT:
        return "too_long", "its text is too long"
    try:
        msgspec.json.encode(content)
    except UnicodeEncodeError:
        return "broken_text", "its text holds half a character"
    return None


def _noted(outcome: Outcome, because: str) -> Outcome:
    """The outcome of words whose picture is missing because of that."""
    if outcome.result != "accepted" or not because:
        return outcome
    reason = f"without its picture: {because}"
    return msgspec.structs.replace(outcome, code=NO_PICTURE, reason=reason)


def _unsent(number: int) -> Outcome:
    reason = "WhatsApp's API is not connected"
    return Outcome(number, "unsent", code="not_connected", reason=reason, retry="later")


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _build(name: str, settings: WhatsAppSettings, means: Means) -> WhatsApp:
    return WhatsApp(name, settings, means)


KIND = Kind(WhatsAppSettings, _build, "web", link=chat_link)
