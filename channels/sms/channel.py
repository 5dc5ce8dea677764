"""The SMS channel: messages to and from SMPP carriers, over one bind or several."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from channels.base import Capabilities, Health, Inbox, Kind, Means, Prepared
from channels.sms import receipt
from channels.sms.account import Account, Compose, Sendable, unsent
from channels.sms.composing import Composer, References
from channels.sms.inbound import Inbound
from channels.sms.settings import SmppSettings, SmsSettings
from channels.sms.siblings import Siblings
from channels.sms.spreading import Spreading
from orchestrator.core import short_message
from orchestrator.core.delivery import Fate, Held, Outcome, Outgoing

_QUESTIONS = 20
"""Queries and recalls at a time, of all binds together."""
_ASK_ON = ("silent", "missing", "refused")
_MAX_TEXT = short_message.MAX_PARTS * 67


class SmsChannel:
    """Sends and receives SMS over SMPP 3.4.

    A long message goes out as its parts, one after the other; it is accepted when all parts are.
    Its `carrier_id` is that of the last part, and only the last part asks for a receipt: carriers
    deliver parts in order, so the last one's arrival stands for the message, and a message costs
    one receipt, not three. If some parts were refused or never written, the phone has nothing to
    show, so the message counts as refused or unsent; if a part got no answer, it is unknown.

    With several binds, `wanted.use` says whether all are used or the first that is up. Numbers of
    the first one's `country` are completed, or of `country` if it has none.
    """

    capabilities = Capabilities(max_text=_MAX_TEXT, two_way=True, receipts=True)

    def __init__(
        self,
        settings: SmppSettings | Sequence[SmppSettings],
        name: str = "sms",
        wanted: SmsSettings | None = None,
        *,
        country: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        binds = [settings] if isinstance(settings, SmppSettings) else list(settings)
        self.name = name
        self.settings = binds[0]
        self._spread = wanted is None or wanted.use == "spread"
        self._inbound = Inbound(name, binds[0].country or country, now)
        references, ids = References(int(now())), dict[str, receipt.ReceiptIds]()
        siblings = Siblings()
        rules, languages = (wanted.rules, wanted.languages) if wanted is not None else ((), ())
        self.accounts = [
            Account(
                bind,
                Composer(bind, rules, languages, references),
                ids.setdefault(bind.carrier, receipt.ReceiptIds(bind.receipt_ids)),
                self._inbound,
                name,
                siblings,
            )
            for bind in binds
        ]
        windows = [bind.window for bind in binds]
        window = sum(windows) if self._spread else windows[0]
        self.capabilities = replace(type(self).capabilities, window=window)
        self._started = False
        self._stopping = False

    @property
    def outbind_port(self) -> int:
        """Where carriers may call us; 0 if nowhere."""
        return next((it.outbind_port for it in self.accounts if it.outbind_port), 0)

    @property
    def trouble(self) -> str:
        """Which binds are not up and why, for people; empty while all are."""
        if len(self.accounts) == 1:
            return self.accounts[0].trouble
        return "\n".join(
            f"{place}: {account.trouble}"
            for place, account in self._places().items()
            if account.trouble
        )

    def lines(self) -> dict[str, Health]:
        """How each bind is, by `host:port`, and `#2` if that is another's too."""
        return {place: account.health() for place, account in self._places().items()}

    async def start(self, inbox: Inbox) -> None:
        """Connecting has begun; `health` tells when it is done."""
        self._stopping = False
        self._started = True
        self._inbound.start(inbox)
        for account in self.accounts:
            await account.start()

    async def stop(self) -> None:
        """What was handed in has its outcome, what came in is stored, the carrier is unbound."""
        self._stopping = True
        if not self._started:
            return
        self._started = False
        await self._inbound.stop()
        await asyncio.gather(*(account.stop() for account in self.accounts))
        await self._inbound.stored()

    def health(self) -> Health:
        """Up while one bind at least is, with all its connections; down when none is and a carrier
        refuses us."""
        states = {account.health() for account in self.accounts}
        return "up" if "up" in states else "connecting" if "connecting" in states else "down"

    def in_flight(self) -> int:
        """Submits that wait for the carrier's answer, on all connections."""
        return sum(account.in_flight() for account in self.accounts)

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome per message, within twice the deadline; three times with several binds."""
        return await self._submit(batch, Composer.text)

    async def submit(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """The same for what other channels prepared."""
        return await self._submit(batch, Composer.octets)

    async def _submit(self, batch: Sequence[Sendable], compose: Compose[Sendable]) -> list[Outcome]:
        if self._stopping or not self._started:
            return [unsent(message, "not connected to the carrier") for message in batch]
        if len(self.accounts) == 1:
            return await self.accounts[0].submit(batch, compose)
        return await Spreading(self.accounts, batch, compose).outcomes(first_only=not self._spread)

    async def query(self, batch: Sequence[Held]) -> list[Fate]:
        """What the carrier says became of these messages, by the ids of their last parts."""
        return await self._ask(batch, Account.query)

    async def recall(self, batch: Sequence[Held]) -> list[Fate]:
        """The carrier does not bring these messages any more, or what it says instead. Of a message
        of several parts the last one is taken back first, as it stands for all; then the others,
        if this process sent it. A phone that lacks a part shows nothing, or what it has."""
        return await self._ask(batch, Account.recall)

    async def _ask(
        self, batch: Sequence[Held], ask: Callable[[Account, Held], Awaitable[Fate]]
    ) -> list[Fate]:
        busy = asyncio.Semaphore(min(_QUESTIONS, self.settings.window))

        async def one(held: Held) -> Fate:
            fate = Fate(held.message.message_id, "silent", reason="not connected to the carrier")
            if not held.carrier_id:
                reason = "no answer named it, so the carrier cannot be asked"
                return Fate(fate.message_id, "cannot", reason=reason)
            if self._stopping or not self._started:
                return fate
            # Another bind of the same carrier may know what this one does not.
            for account in self.accounts:
                if account.took(held.carrier_id) and fate.word in _ASK_ON:
                    async with busy:
                        said = await ask(account, held)
                    if said.word != "silent" or fate.word == "silent":
                        fate = said
            return fate

        return list(await asyncio.gather(*(one(held) for held in batch)))

    def _places(self) -> dict[str, Account]:
        places: dict[str, Account] = {}
        for account in self.accounts:
            place = f"{account.settings.host}:{account.settings.port}"
            places[f"{place}#{len(places) + 1}" if place in places else place] = account
        return places


def _build(name: str, settings: SmsSettings, means: Means) -> SmsChannel:
    return SmsChannel(settings.accounts(), name, settings, country=means.country)


KIND = Kind(SmsSettings, _build, "gateway")
