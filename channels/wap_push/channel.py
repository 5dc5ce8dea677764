"""The WAP push channel over short messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec.structs import replace

from channels.base import (
    Bearer,
    Capabilities,
    Fate,
    Health,
    Held,
    Inbox,
    Kind,
    Means,
    Outcome,
    Outgoing,
    Prepared,
    Querying,
    Recalling,
)
from channels.wap_push import carriage
from channels.wap_push.authored import deletion_of, document_of, may_be_deleted
from channels.wap_push.documents import Document, encode
from channels.wap_push.settings import WapPushSettings
from channels.wap_push.taking_back import TOO_LATE, withdrawn
from channels.wap_push.tree import PushError
from orchestrator.core.errors import OutreachError

_ROOM = 128
"""Octets of a document in one short message, its headers aside."""


class WapPush:
    """Pushes links to telephones over the connections of a channel of short messages.

    It is up when that one is. Receipts come in by that one's name, and the store knows that they
    may be this one's (`over`).
    """

    def __init__(
        self, name: str, settings: WapPushSettings, bearer: Bearer, now: Callable[[], datetime]
    ) -> None:
        self.name = name
        self.over = settings.over
        self.settings = settings
        self.capabilities = Capabilities(
            max_text=settings.max_sms * _ROOM // 2,
            two_way=False,
            receipts=bearer.capabilities.receipts,
            window=bearer.capabilities.window,
        )
        self._bearer = bearer
        self._now = now
        self._reference = int(now().timestamp()) & 0xFF
        self._started = False

    async def start(self, inbox: Inbox) -> None:
        """Pushes may go, as soon as the bearer is connected."""
        self._started = True

    async def stop(self) -> None:
        self._started = False

    def health(self) -> Health:
        return self._bearer.health() if self._started else "down"

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome per message."""
        return await self._push(
            batch, lambda message: document_of(message, self.settings, self._now())
        )

    async def cancel(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """What these messages brought is taken from the phones that keep it by its name. The
        outcomes are those of the push that says so; nobody says whether a phone obeyed."""
        return await self._push(
            batch, lambda message: deletion_of(message, self.settings, self._now())
        )

    async def query(self, batch: Sequence[Held]) -> list[Fate]:
        """What the bearer's carrier says became of the short messages."""
        if not isinstance(self._bearer, Querying):
            reason = "the channel that carries it cannot ask"
            return [Fate(it.message.message_id, "cannot", reason=reason) for it in batch]
        return await self._bearer.query(_borne(batch))

    async def recall(self, batch: Sequence[Held]) -> list[Fate]:
        """The carrier does not bring these pushes any more; of those that it has brought, or does
        not give back, the phone is told to delete the words that it keeps."""
        fates: dict[int, Fate] = {}
        if isinstance(self._bearer, Recalling):
            for fate in await self._bearer.recall(_borne(batch)):
                fates[fate.message_id] = fate
        told: list[Outgoing] = []
        for held in batch:
            known = fates.get(held.message.message_id)
            if known is None or known.word in TOO_LATE:
                message = held.message
                if may_be_deleted(message, self.settings):
                    told.append(replace(message, valid_until=None))
                elif known is None or known.word == "cannot":
                    reason = "a phone keeps nothing of it that could be deleted"
                    fates[message.message_id] = Fate(message.message_id, "cannot", reason=reason)
        for outcome in await self.cancel(told) if told else ():
            fates[outcome.message_id] = withdrawn(outcome)
        return list(fates.values())

    async def _push(
        self, batch: Sequence[Outgoing], document: Callable[[Outgoing], Document]
    ) -> list[Outcome]:
        if not self._started:
            reason = "the channel has stopped"
            return [Outcome(it.message_id, "unsent", reason=reason, retry="later") for it in batch]
        outcomes: list[Outcome] = []
        prepared: list[Prepared] = []
        for message in batch:
            try:
                parts = self._parts(document(message))
            except PushError as error:
                outcomes.append(Outcome(message.message_id, "rejected", reason=error.message))
                continue
            prepared.append(
                Prepared(
                    message.message_id,
                    message.address,
                    parts,
                    message.sender,
                    message.valid_until,
                )
            )
        if prepared:
            outcomes += await self._bearer.submit(prepared)
        return outcomes

    def _parts(self, document: Document) -> tuple[bytes, ...]:
        self._reference = (self._reference + 1) & 0xFF
        parts = carriage.parts(carriage.push(*encode(document)), self._reference)
        if len(parts) > self.settings.max_sms:
            raise PushError(f"the push takes {len(parts)} short messages, more than max_sms")
        return parts


def _borne(batch: Sequence[Held]) -> list[Held]:
    """As the bearer sent them: prepared messages have neither class nor step."""
    return [replace(it, message=replace(it.message, contact_class="", series="")) for it in batch]


def _build(name: str, settings: WapPushSettings, means: Means) -> WapPush:
    bearer = means.built.get(settings.over)
    if not isinstance(bearer, Bearer):
        raise OutreachError(
            f"{name} cannot go over {settings.over}",
            "`over` must name a channel that holds a carrier's connection, such as sms over SMPP",
        )
    return WapPush(name, settings, bearer, means.now)


KIND = Kind(WapPushSettings, _build, "gateway", over=lambda settings: str(settings.over))
