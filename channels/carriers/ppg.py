"""A simulated push proxy gateway: takes PAP, brings it to telephones, tells what became of it."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress

import aiohttp
from aiohttp import web
from lxml import etree
from msgspec import Struct, field

from channels.carriers.smsc import Smsc
from channels.pap import codes, control
from channels.pap.control import Answer, Cancellation, Entity, Order, PapError, Query, State
from channels.pap.parcel import unpack
from channels.wap_push.documents import Document


class PpgSettings(Struct, frozen=True, kw_only=True):
    """One simulated gateway. `accounts` maps user to password. What is not noted by the customer
    is told again after `again_after_s`, three times."""

    accounts: Mapping[str, str] = field(default_factory=lambda: {"outreach": "secret"})
    host: str = "127.0.0.1"
    port: int = 0
    version: control.Version = "2.0"
    deliver_after_s: float = 0.05
    again_after_s: float = 0.5


class PpgFaults:
    """Change any of these while the gateway runs.

    `code`: the PAP code that every push gets, 0 to take it; `status`: an HTTP status instead of an
    answer. `mute`: nothing is answered. `deaf_to`: true for pushes that are taken, but whose answer
    is lost. `undeliverable`: true for numbers that no push reaches.
    """

    def __init__(self) -> None:
        self.code = 0
        self.status = 0
        self.mute = False
        self.deaf_to: Callable[[Order], bool] | None = None
        self.undeliverable: Callable[[str], bool] | None = None


class Taken(Struct, eq=False):
    """A push on its way."""

    order: Order
    document: Document
    number: str
    state: State = "pending"


_CODE_OF: dict[State, int] = {"delivered": codes.OK, "expired": 4000, "undeliverable": 2003}


class Ppg:
    """The gateway of the network `network`, whose telephones show what it brings. `start` it, and
    give its `url` to a channel."""

    def __init__(self, network: Smsc, settings: PpgSettings | None = None) -> None:
        self.network = network
        self.settings = settings or PpgSettings()
        self.faults = PpgFaults()
        self.taken: dict[str, Taken] = {}
        self.noted: list[Answer] = []
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._bringing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{self.settings.host}:{self.port}/pap"

    async def start(self) -> None:
        """Listening; `port` says where."""
        app = web.Application()
        app.add_routes([web.post("/pap", self._asked)])
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

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        if not self._known(request.headers.get("Authorization", "")):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="ppg"'})
        if self.faults.mute:
            await asyncio.sleep(3600)
        if self.faults.status:
            return web.Response(status=self.faults.status)
        try:
            octets, document = unpack(request.headers.get("Content-Type", ""), await request.read())
            entity = control.read(octets)
            said = self._answered(entity, document)
        except PapError as error:
            version = self.settings.version
            return _answer(control.bad(codes.BAD_REQUEST, error.message, version))
        lost = self.faults.deaf_to
        if isinstance(entity, Order) and lost is not None and lost(entity):
            await asyncio.sleep(3600)
        return _answer(said)

    def _known(self, authorization: str) -> bool:
        return any(
            hmac.compare_digest(
                authorization.encode(),
                b"Basic " + base64.b64encode(f"{user}:{password}".encode()),
            )
            for user, password in self.settings.accounts.items()
        )

    def _answered(self, entity: Entity, document: Document | None) -> bytes:
        match entity:
            case Order():
                if document is None:
                    raise PapError("the push has no content")
                return self._response(
                    "push-response", "response-result", self._take(entity, document), entity.push_id
                )
            case Cancellation():
                return self._response(
                    "cancel-response", "cancel-result", self._cancel(entity), entity.push_id
                )
            case Query():
                return self._tell(entity)
        raise PapError("a gateway is not told this")

    def _take(self, order: Order, document: Document) -> int:
        number = _number(order.address)
        if self.faults.code:
            return self.faults.code
        if order.push_id in self.taken:
            return codes.REPEATED
        if not number:
            return codes.ADDRESS_ERROR
        taken = self.taken[order.push_id] = Taken(order, document, number)
        task = asyncio.get_running_loop().create_task(self._bring(taken))
        self._bringing.add(task)
        task.add_done_callback(self._bringing.discard)
        return codes.ACCEPTED

    def _cancel(self, asked: Cancellation) -> int:
        taken = self.taken.get(asked.push_id)
        if taken is None:
            return codes.NOT_FOUND
        if taken.state != "pending":
            return 2008
        taken.state = "cancelled"
        return codes.OK

    def _tell(self, asked: Query) -> bytes:
        taken = self.taken.get(asked.push_id)
        if taken is None:
            return self._response("statusquery-response", "", codes.NOT_FOUND, asked.push_id)
        told = etree.Element("statusquery-response", {"push-id": asked.push_id})
        code = str(_CODE_OF.get(taken.state, codes.OK))
        result = etree.SubElement(
            told, "statusquery-result", {"message-state": taken.state, "code": code}
        )
        etree.SubElement(result, "address", {"address-value": taken.order.address})
        return control.pap(told, self.settings.version)

    def _response(self, name: str, result: str, code: int, push_id: str) -> bytes:
        said = etree.Element(name, {"push-id": push_id})
        where = etree.SubElement(said, result) if result else said
        where.set("code", str(code))
        where.set("desc", "")
        return control.pap(said, self.settings.version)

    async def _bring(self, taken: Taken) -> None:
        """The push reaches its telephone once that is on, or its time is over."""
        await asyncio.sleep(self.settings.deliver_after_s)
        handset = self.network.handset(taken.number)
        before = taken.order.before
        while taken.state == "pending" and not handset.on:
            if before is not None and before <= self.network.now():
                taken.state = "expired"
            await asyncio.sleep(0.05)
        if taken.state == "pending":
            lost = self.faults.undeliverable
            if lost is not None and lost(taken.number):
                taken.state = "undeliverable"
            else:
                taken.state = "delivered"
                handset.receive_push(taken.document, "ppg")
                self.network.tell("arrived", handset.number)
        if taken.order.notify:
            await self._notify(taken)

    async def _notify(self, taken: Taken) -> None:
        told = etree.Element(
            "resultnotification-message",
            {
                "push-id": taken.order.push_id,
                "event-time": control.written(self.network.now()),
                "message-state": taken.state,
                "code": str(_CODE_OF.get(taken.state, codes.OK)),
                "desc": taken.state,
            },
        )
        etree.SubElement(told, "address", {"address-value": taken.order.address})
        body = control.pap(told, self.settings.version)
        for _ in range(3):
            with suppress(aiohttp.ClientError, TimeoutError, OSError, PapError):
                headers = {"Content-Type": "application/xml"}
                url = taken.order.notify
                async with self._session.post(url, data=body, headers=headers) as answer:
                    said = control.read(await answer.read())
                    if isinstance(said, Answer):
                        self.noted.append(said)
                        if said.code == codes.OK:
                            return
            await asyncio.sleep(self.settings.again_after_s)


def _number(address: str) -> str:
    """The telephone number in `WAPPUSH=+861…/TYPE=PLMN@ppg`; empty if there is none."""
    kind, _, rest = address.partition("=")
    number, _, kind_of_number = rest.partition("/")
    digits = number.removeprefix("+")
    plmn = kind_of_number.upper().startswith("TYPE=PLMN")
    return digits if kind.upper() == "WAPPUSH" and plmn and digits.isdigit() else ""


def _answer(body: bytes) -> web.Response:
    return web.Response(status=202, body=body, content_type="application/xml")
