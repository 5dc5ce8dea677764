"""A simulated MMS centre: takes MM7, brings it to telephones, tells what became of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from itertools import count
from urllib.request import parse_http_list, parse_keqv_list

import aiohttp
from aiohttp import web
from msgspec import Struct, field

from channels.carriers import mm1
from channels.carriers.handset import Handset, Shot
from channels.carriers.mm1 import Notification
from channels.carriers.smsc import Smsc
from channels.mms import codes, mm7, parcel
from channels.mms.letters import (
    Answer,
    Cancel,
    Delivery,
    Fault,
    Letter,
    Mm7Error,
    Report,
    Said,
    Submit,
)
from channels.mms.parcel import ParcelError, Part
from channels.mms.settings import SCHEMAS

ENVELOPE = 'text/xml; charset="utf-8"'
_MOST_OCTETS = 4 * 1024 * 1024
_LASTS = timedelta(days=3)


class MmscSettings(Struct, frozen=True, kw_only=True):
    """One simulated centre. `accounts` maps user to password; `digest` asks for that instead of
    Basic. `vasp_ids`: the providers it knows, any if empty. What is not noted by the customer is
    told again after `again_after_s`, three times."""

    accounts: Mapping[str, str] = field(default_factory=lambda: {"outreach": "secret"})
    digest: bool = False
    vasp_ids: frozenset[str] = frozenset()
    host: str = "127.0.0.1"
    port: int = 0
    release: str = "REL-6-MM7-1-4"
    version: str = "6.8.0"
    max_octets: int = 300 * 1024
    deliver_after_s: float = 0.05
    again_after_s: float = 0.5


class MmscFaults:
    """Change any of these while the centre runs.

    `code`: the StatusCode that every SubmitReq gets, 0 to take it; `status`: an HTTP status instead
    of an answer; `fault`: a SOAP fault, `Client` or `Server`. `mute`: nothing is answered.
    `slow_s`: how long every answer waits. `undeliverable`: true for numbers whose messages are
    rejected.
    """

    def __init__(self) -> None:
        self.code = 0
        self.status = 0
        self.fault = ""
        self.mute = False
        self.slow_s = 0.0
        self.undeliverable: Callable[[str], bool] | None = None


class Taken(Struct, eq=False):
    """A message on its way."""

    message_id: str
    submit: Submit
    parts: tuple[Part, ...]
    number: str
    state: str = "Deferred"


class Mmsc:
    """The centre of the network `network`, whose telephones show what it brings. `start` it, and
    give its `url` to a channel; `callback` is where that one is told of reports and messages."""

    def __init__(self, network: Smsc, settings: MmscSettings | None = None) -> None:
        self.network = network
        self.settings = settings or MmscSettings()
        self.faults = MmscFaults()
        self.callback = ""
        self.taken: dict[str, Taken] = {}
        self.noted: list[Answer | Fault] = []
        self.headers: list[Mapping[str, str]] = []
        self.port = 0
        self._numbers = count(1)
        self._nonce = secrets.token_hex(8)
        self._runner: web.AppRunner | None = None
        self._bringing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{self.settings.host}:{self.port}/mm7"

    @property
    def namespace(self) -> str:
        return SCHEMAS + self.settings.release

    async def start(self) -> None:
        """Listening; `port` says where."""
        app = web.Application(client_max_size=_MOST_OCTETS)
        app.add_routes([web.post("/mm7", self._asked)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.settings.host, self.port or self.settings.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10))

    async def stop(self) -> None:
        """Closed, and what was on its way is not brought."""
        for task in self._bringing:
            task.cancel()
        if self._runner is not None:
            await self._session.close()
            await self._runner.cleanup()
            self._runner = None

    async def say(self, number: str, text: str, *pictures: Part, subject: str = "") -> None:
        """The phone of this number sends us an MMS; returns once that was noted, or given up."""
        handset = self.network.handset(number)
        at = mm7.moment(self.network.now())
        transaction = f"mo-{next(self._numbers)}"
        said = Delivery(f"+{handset.number}", "10086", "", subject, at, "mmsc", "cid:content")
        parts = [*pictures]
        if text:
            parts.append(Part("text/plain; charset=utf-8", text.encode(), "text", "text.txt"))
        await self._tell(self._letter(said, transaction), parts)

    # What comes in

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if (challenge := self._challenge(request)) is not None:
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        self.headers.append(dict(request.headers))
        if self.faults.mute:
            await asyncio.sleep(3600)
        await asyncio.sleep(self.faults.slow_s)
        if self.faults.status:
            return web.Response(status=self.faults.status)
        try:
            content_type = request.headers.get("Content-Type", "")
            first, *others = parcel.unpack(content_type, body)
            letter = mm7.read(first.octets)
            if self.faults.fault:
                said: Said = Fault(0, self.faults.fault == "Client", "as wished")
            else:
                said = self._answered(letter, tuple(others), len(body))
        except (Mm7Error, ParcelError) as error:
            letter = self._letter(Fault(codes.FORMAT_CORRUPT, True, error.message), "")
            return _answer(500, letter)
        answer = Letter(said, letter.transaction, letter.namespace, letter.version)
        return _answer(500 if isinstance(said, Fault) else 200, answer)

    def _challenge(self, request: web.Request) -> str | None:
        """What to ask for; None if the caller is known."""
        given = request.headers.get("Authorization", "")
        for user, password in self.settings.accounts.items():
            basic = base64.b64encode(f"{user}:{password}".encode()).decode()
            if not self.settings.digest and hmac.compare_digest(
                given.encode(), f"Basic {basic}".encode()
            ):
                return None
            if self.settings.digest and given.startswith("Digest "):
                wanted = _digest(given, user, password, request.method, self._nonce)
                if wanted:
                    return None
        if self.settings.digest:
            return f'Digest realm="mmsc", qop="auth", algorithm=MD5, nonce="{self._nonce}"'
        return 'Basic realm="mmsc"'

    def _answered(self, letter: Letter, parts: tuple[Part, ...], octets: int) -> Said:
        match letter.said:
            case Submit() as submit:
                code, message_id = self._take(submit, parts, octets)
                return Answer("SubmitRsp", code, "", message_id)
            case Cancel() as cancel:
                return Answer("CancelRsp", self._cancel(cancel))
        raise Mm7Error("a centre is not told this")

    def _take(self, submit: Submit, parts: tuple[Part, ...], octets: int) -> tuple[int, str]:
        if self.faults.code:
            return self.faults.code, ""
        if self.settings.vasp_ids and submit.who.vasp_id not in self.settings.vasp_ids:
            return codes.IMPROPER_IDENTIFICATION, ""
        digits = submit.to.removeprefix("+")
        if not (digits.isascii() and digits.isdigit()):
            return codes.ADDRESS_ERROR, ""
        if octets > self.settings.max_octets or not parts:
            return codes.FORMAT_CORRUPT, ""
        message_id = f"mm{next(self._numbers):08}"
        taken = self.taken[message_id] = Taken(message_id, submit, parts, digits)
        self._spawn(taken)
        return codes.SUCCESS, message_id

    def _cancel(self, asked: Cancel) -> int:
        taken = self.taken.get(asked.message_id)
        if taken is None or taken.state != "Deferred":
            return codes.ID_NOT_FOUND
        taken.state = "Cancelled"
        return codes.SUCCESS

    # What goes out

    def _spawn(self, taken: Taken) -> None:
        task = asyncio.get_running_loop().create_task(self._bring(taken))
        self._bringing.add(task)
        task.add_done_callback(self._bringing.discard)

    async def _bring(self, taken: Taken) -> None:
        """The message reaches its telephone once that is on, or its time is over."""
        await asyncio.sleep(self.settings.deliver_after_s)
        handset = self.network.handset(taken.number)
        expires = taken.submit.expires
        while taken.state == "Deferred" and not handset.on:
            if expires is not None and expires <= self.network.now():
                taken.state = "Expired"
            await asyncio.sleep(0.05)
        if taken.state == "Deferred":
            refused = self.faults.undeliverable
            if refused is not None and refused(taken.number):
                taken.state = "Rejected"
            else:
                self._fetched(handset, handset.notified(mm1.encode(self._notice(taken))))
        if taken.submit.delivery_report and taken.state != "Cancelled":
            await self._report(taken, taken.state)
        if taken.submit.read_reply and taken.state == "Retrieved":
            await self._report(taken, "Read", read=True)

    def _notice(self, taken: Taken) -> Notification:
        """That the message can be fetched, as its phone is told."""
        expires = taken.submit.expires
        lasts = expires - self.network.now() if expires is not None else _LASTS
        return Notification(
            taken.message_id,
            taken.submit.who.sender or "mmsc",
            taken.submit.subject,
            sum(len(part.octets) for part in taken.parts),
            max(1, int(lasts.total_seconds())),
            f"{self.url}/{taken.message_id}",
        )

    def _fetched(self, handset: Handset, location: str) -> None:
        """The phone has what lies at that place."""
        taken = self.taken[location.rpartition("/")[2]]
        taken.state = "Retrieved"
        sender = taken.submit.who.sender or "mmsc"
        handset.receive_mms(taken.submit.subject, *_shown(taken.parts), sender)
        self.network.tell("arrived", handset.number)

    async def _report(self, taken: Taken, status: str, *, read: bool = False) -> None:
        at, sender = mm7.moment(self.network.now()), taken.submit.who.sender
        said = Report(taken.message_id, status, f"+{taken.number}", sender, at, "", read)
        await self._tell(self._letter(said, f"r-{next(self._numbers)}"), [])

    async def _tell(self, letter: Letter, parts: list[Part]) -> None:
        """The customer is told, until that is noted or given up."""
        if not self.callback:
            return
        content_type, body = ENVELOPE, mm7.write(letter)
        if parts:
            boundary = secrets.token_hex(16)
            inner = parcel.pack(parts, f"{boundary}-content")
            mixed = Part(f'multipart/mixed; boundary="{boundary}-content"', inner, "content")
            body = parcel.pack([Part(ENVELOPE, body, "envelope"), mixed], boundary)
            content_type = parcel.related(boundary, "text/xml", "envelope")
        for _ in range(3):
            with suppress(aiohttp.ClientError, TimeoutError, OSError, Mm7Error):
                headers = {"Content-Type": content_type, "SOAPAction": '""'}
                async with self._session.post(self.callback, data=body, headers=headers) as answer:
                    said = mm7.read(await answer.read()).said
                if isinstance(said, Answer | Fault):
                    self.noted.append(said)
                    if said.code == codes.SUCCESS:
                        return
            await asyncio.sleep(self.settings.again_after_s)

    def _letter(self, said: Said, transaction: str) -> Letter:
        return Letter(said, transaction, self.namespace, self.settings.version)


def _shown(parts: tuple[Part, ...]) -> tuple[str, Shot | None]:
    """The words and the picture that a phone makes of the parts."""
    words = "\n".join(it.text() for it in parts if it.kind == "text/plain")
    for it in parts:
        if it.kind.startswith("image/"):
            return words, Shot(it.kind, it.octets, hashlib.sha256(it.octets).hexdigest()[:32])
    return words, None


def _digest(given: str, user: str, password: str, method: str, nonce: str) -> bool:
    """Whether this is the answer to our challenge (RFC 7616, MD5, qop auth)."""
    said = parse_keqv_list(parse_http_list(given.removeprefix("Digest ")))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    first = md5(f"{user}:mmsc:{password}")
    second = md5(f"{method}:{said.get('uri', '')}")
    middle = f"{nonce}:{said.get('nc', '')}:{said.get('cnonce', '')}:auth"
    return hmac.compare_digest(md5(f"{first}:{middle}:{second}"), said.get("response", ""))


def _answer(status: int, letter: Letter) -> web.Response:
    return web.Response(status=status, body=mm7.write(letter), headers={"Content-Type": ENVELOPE})
