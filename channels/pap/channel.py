"""The WAP push channel through a carrier's push proxy gateway."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
from collections.abc import Sequence

import aiohttp
from aiohttp import web

from channels.base import Capabilities, Fate, Health, Held, Inbox, Kind, Means
from channels.pap import codes, control
from channels.pap.control import Answer, Cancellation, Entity, Order, PapError, Query, Result
from channels.pap.parcel import CONTROL, content, pack
from channels.pap.settings import PapSettings
from channels.sms.pace import Pace
from channels.sms.receipt import FinalState
from channels.wap_push.authored import deletion_of, document_of, may_be_deleted
from channels.wap_push.taking_back import TOO_LATE, withdrawn
from channels.wap_push.tree import PushError
from orchestrator.core.delivery import Outcome, Outgoing, Receipt

log = logging.getLogger("outreach.pap")

_MOST_OCTETS = 256 * 1024
_MAX_TEXT = 1000
_REST_S = 2.0
_LONGEST_REST_S = 60.0
_REFUSING = (401, 403, 404, 405, 407, 410)
_STATES: dict[control.State, FinalState] = {
    "delivered": "delivered",
    "undeliverable": "undelivered",
    "aborted": "undelivered",
    "timeout": "undelivered",
    "cancelled": "undelivered",
    "expired": "expired",
    "rejected": "rejected",
}
"""What is final. `pending` and `unknown` are not."""


_LACKING = frozenset(f"PAP {code}" for code in codes.LACKING)


class _StoppedError(Exception):
    """The channel was stopped before the request was written."""


class PapChannel:
    """Keeps the contract of `channels.base.Called`.

    The code in an answer's body counts, whatever the HTTP status. A push whose answer is lost is
    asked for once by its push-id; only what the gateway then knows of is `accepted`. The push-id is
    the message's own, so that a gateway never takes one message twice. While the gateway cannot be
    reached, or refuses our account, the channel rests, and messages wait.
    """

    def __init__(self, name: str, settings: PapSettings, means: Means) -> None:
        self.name = name
        self.settings = settings
        self.capabilities = Capabilities(
            max_text=_MAX_TEXT,
            two_way=False,
            receipts=bool(settings.public_url),
            window=settings.connections,
        )
        self.trouble = ""
        self._now = means.now
        self._key = hmac.new(means.secret, f"pap:{name}".encode(), "sha256").hexdigest()[:32]
        self._session: aiohttp.ClientSession | None = None
        self._inbox: Inbox | None = None
        self._rests = 0
        self._up_at = 0.0
        self._refused = False

    async def start(self, inbox: Inbox) -> None:
        """Pushes may go, and notifications come."""
        self._inbox = inbox
        loop = asyncio.get_running_loop()
        self._pace = Pace(self.settings.rate_per_s, loop.time())
        self._busy = asyncio.Semaphore(self.settings.connections)
        self._rests, self._up_at, self.trouble = 0, 0.0, ""
        account = f"{self.settings.username}:{self.settings.password}".encode()
        basic = {"Authorization": f"Basic {base64.b64encode(account).decode()}"}
        self._session = aiohttp.ClientSession(
            headers=basic if self.settings.username else None,
            # Kannel puts these into the push, at 22 octets of the short message.
            skip_auto_headers=("User-Agent", "Accept"),
            connector=aiohttp.TCPConnector(limit=self.settings.connections),
            timeout=aiohttp.ClientTimeout(self.settings.deadline_s),
        )

    async def stop(self) -> None:
        self._inbox = None
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def health(self) -> Health:
        """Not up while it rests after the gateway could not be reached."""
        if self._session is None:
            return "down"
        if asyncio.get_running_loop().time() >= self._up_at:
            return "up"
        return "down" if self._refused else "connecting"

    def routes(self) -> list[web.RouteDef]:
        """Where the gateway brings its result notifications."""
        return [web.post(f"/callbacks/{self.name}/results", self._told)]

    # What goes out

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome per message; as many requests at a time as there are connections."""
        return list(await asyncio.gather(*(self._push(message) for message in batch)))

    async def cancel(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """The gateway does not bring these messages any more, if it has not yet."""

        async def one(message: Outgoing) -> Outcome:
            asked = Cancellation(self.push_id(message.message_id), self._address(message))
            body = control.cancellation(asked, self.settings.version)
            return await self._asked(message, CONTROL, body)

        return list(await asyncio.gather(*(one(message) for message in batch)))

    async def state(self, message_id: int) -> Result | None:
        """What the gateway knows of a message; None if nothing, or if it does not answer."""
        asked = control.query(Query(self.push_id(message_id)), self.settings.version)
        try:
            _, said = await self._post(CONTROL, asked)
        except (aiohttp.ClientError, TimeoutError, OSError, PapError, _StoppedError):
            return None
        return said if isinstance(said, Result) and said.state != "unknown" else None

    async def query(self, batch: Sequence[Held]) -> list[Fate]:
        """What the gateway says became of these pushes, also of those it never answered for."""
        return list(await asyncio.gather(*(self._fate(it.message.message_id) for it in batch)))

    async def recall(self, batch: Sequence[Held]) -> list[Fate]:
        """The gateway does not bring these pushes any more; of those that it has brought, or does
        not give back, the phone is told to delete the words that it keeps."""

        async def one(message: Outgoing) -> Fate:
            try:
                fate = await self._taken_back(message)
                if fate.word in TOO_LATE and may_be_deleted(message, self.settings):
                    return await self._deleted(message)
            except PushError as error:
                return Fate(message.message_id, "cannot", reason=error.message)
            return fate

        return list(await asyncio.gather(*(one(it.message) for it in batch)))

    async def _taken_back(self, message: Outgoing) -> Fate:
        """What the gateway says when it is to bring the push no more. Raises PushError."""
        number = message.message_id
        [outcome] = await self.cancel([message])
        if outcome.result == "accepted":
            return Fate(number, "recalled", carrier_id=self.push_id(number))
        if outcome.result != "rejected":
            return Fate(number, "silent", outcome.code, outcome.reason)
        if outcome.code in _LACKING:
            reason = "the gateway does not know this request"
            return Fate(number, "cannot", outcome.code, reason)
        known = await self._fate(number)
        if known.word not in ("held", "refused", "silent", "cannot"):
            return known
        return Fate(number, "refused", outcome.code, "the gateway does not take it back")

    async def _deleted(self, message: Outgoing) -> Fate:
        """The phone is told to drop the push, by one more that nobody reports on. It has a name of
        its own, and the same each time, so that a gateway takes it once. Raises PushError."""
        settings = self.settings
        order = Order(
            f"delete.{self.push_id(message.message_id)}",
            self._address(message),
            source=settings.source,
            delivery=settings.delivery,
            priority=settings.priority,
        )
        pushed = content(deletion_of(message, settings, self._now()))
        mime, body = pack(control.order(order, settings.version), pushed)
        return withdrawn(await self._asked(message, mime, body))

    async def _fate(self, number: int) -> Fate:
        push_id = self.push_id(number)
        asked = control.query(Query(push_id), self.settings.version)
        try:
            _, said = await self._post(CONTROL, asked)
        except (aiohttp.ClientError, TimeoutError, OSError, _StoppedError):
            return Fate(number, "silent", reason="the gateway gave no answer")
        except PapError:
            return Fate(number, "silent", reason="the gateway's answer means nothing")
        match said:
            case Result(state="pending"):
                reason = "the gateway has not brought it yet"
                return Fate(number, "held", "", reason, push_id)
            case Result(state="cancelled"):
                return Fate(number, "recalled", f"PAP {said.code}", "", push_id)
            case Result() if (state := _STATES.get(said.state)) is not None:
                return Fate(number, state, f"PAP {said.code}", "", push_id)
            case Result() | Answer(code=codes.NOT_FOUND):
                reason = "the gateway knows of no such push"
                return Fate(number, "missing", f"PAP {said.code}", reason)
            case Answer() if f"PAP {said.code}" in _LACKING:
                reason = "the gateway does not know this request"
                return Fate(number, "cannot", f"PAP {said.code}", reason)
            case Answer():
                reason = "the gateway does not answer this"
                return Fate(number, "refused", f"PAP {said.code}", reason)
        return Fate(number, "silent", reason="the gateway's answer says nothing")

    def push_id(self, message_id: int) -> str:
        """The same for each try of one message; no other installation has it."""
        return f"{message_id}.{self._key[:12]}@outreach"

    def _address(self, message: Outgoing) -> str:
        number = message.address
        digits = number.removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and 3 <= len(digits) <= 20):
            raise PushError("the address is not a telephone number")
        return f"WAPPUSH={number}/TYPE=PLMN@{self.settings.gateway}"

    def _notify(self) -> str:
        public = self.settings.public_url.rstrip("/")
        return f"{public}/callbacks/{self.name}/results?key={self._key}" if public else ""

    async def _push(self, message: Outgoing) -> Outcome:
        settings = self.settings
        try:
            order = Order(
                self.push_id(message.message_id),
                self._address(message),
                message.valid_until,
                self._notify(),
                settings.source,
                settings.progress,
                settings.delivery,
                settings.priority,
            )
            pushed = content(document_of(message, settings, self._now()))
        except PushError as error:
            return Outcome(message.message_id, "rejected", reason=error.message)
        if len(message.content.text) > _MAX_TEXT:
            reason = f"the push has more than {_MAX_TEXT} characters"
            return Outcome(message.message_id, "rejected", reason=reason)
        mime, body = pack(control.order(order, settings.version), pushed)
        outcome = await self._asked(message, mime, body)
        if outcome.result == "unknown" and await self.state(message.message_id) is not None:
            return Outcome(message.message_id, "accepted", order.push_id)
        return outcome

    async def _asked(self, message: Outgoing, mime: str, body: bytes) -> Outcome:
        number = message.message_id
        if self.health() != "up":
            reason = self.trouble or "not connected to the gateway"
            return Outcome(number, "unsent", reason=reason, retry="later")
        try:
            status, said = await self._post(mime, body)
        except _StoppedError:
            return Outcome(number, "unsent", reason="the channel has stopped", retry="later")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return self._rest(number, "the gateway cannot be reached")
        except aiohttp.InvalidURL:
            return self._rest(number, "the gateway's URL cannot be right", refused=True)
        except PapError:
            return Outcome(number, "unknown", reason="the gateway's answer means nothing")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Outcome(number, "unknown", reason="the gateway gave no answer")
        if isinstance(said, Answer):
            self._rests = 0
            return codes.outcome(number, self.push_id(number), said)
        if status in _REFUSING or 300 <= status < 400:
            reason = f"the gateway refuses our account (HTTP {status})"
            return self._rest(number, reason, f"HTTP {status}", refused=True)
        if status in (429, 503):
            return self._rest(number, "the gateway takes no more for now", f"HTTP {status}")
        if 400 <= status < 500:
            return Outcome(number, "rejected", "", f"HTTP {status}", "the gateway refused it")
        return Outcome(number, "unknown", "", f"HTTP {status}", "the gateway's answer says nothing")

    def _rest(self, number: int, reason: str, code: str = "", *, refused: bool = False) -> Outcome:
        """The message was not taken, and none is tried for a while, each time a longer one."""
        now = asyncio.get_running_loop().time()
        if now >= self._up_at:
            self._up_at = now + min(_LONGEST_REST_S, _REST_S * 2**self._rests)
            self._rests = min(self._rests + 1, 10)
            self._refused, self.trouble = refused, reason
            log.warning("pap_rests channel=%s", self.name, extra={"reason": reason})
        return Outcome(number, "unsent", "", code, reason, "later")

    async def _post(self, mime: str, body: bytes) -> tuple[int, Entity | None]:
        """The HTTP status, and what the body says, if that is PAP. Raises what aiohttp does."""
        async with self._busy:
            loop = asyncio.get_running_loop()
            while not self._pace.room(loop.time()):  # noqa: ASYNC110 — awaits time itself
                await asyncio.sleep(self._pace.delay_s())
            self._pace.spend(1)
            session = self._session
            if session is None:
                raise _StoppedError
            headers = {"Content-Type": mime}
            async with session.post(
                self.settings.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                octets = await _whole(answer.content)
        try:
            return answer.status, control.read(octets)
        except PapError:
            if answer.status < 300:
                raise
            return answer.status, None

    # What comes in

    async def _told(self, request: web.Request) -> web.StreamResponse:
        """A result notification is answered once it is stored."""
        shown = request.query.get("key", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, self._key.encode()):
            log.warning("callback_refused channel=%s because=unproven", self.name)
            return web.Response(status=403, text="This call is not signed as agreed.\n")
        version = self.settings.version
        try:
            said = control.read(await _whole(request.content))
            if not isinstance(said, Result):
                raise PapError("this is no result notification")
        except PapError as error:
            log.warning("callback_refused channel=%s because=malformed", self.name)
            return _answer(202, control.bad(codes.BAD_REQUEST, error.message, version))
        state = _STATES.get(said.state)
        inbox = self._inbox
        try:
            if inbox is None:
                raise RuntimeError("stopped")
            if state is not None:
                # A carrier's number, not its words: those may hold anything.
                await inbox.receipts([Receipt(self.name, said.push_id, state, f"PAP {said.code}")])
        except Exception as error:
            log.error("inbox_failed channel=%s reason=%s", self.name, type(error).__name__)
            failed = control.noted(said.push_id, codes.SERVICE_UNAVAILABLE, "later", version)
            return _answer(503, failed)
        return _answer(202, control.noted(said.push_id, codes.OK, "OK", version))


async def _whole(content: aiohttp.StreamReader) -> bytes:
    octets = bytearray()
    async for chunk in content.iter_any():
        octets += chunk
        if len(octets) > _MOST_OCTETS:
            raise PapError("what came is too long")
    return bytes(octets)


def _answer(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type=CONTROL)


def _build(name: str, settings: PapSettings, means: Means) -> PapChannel:
    return PapChannel(name, settings, means)


KIND = Kind(PapSettings, _build, "web")
