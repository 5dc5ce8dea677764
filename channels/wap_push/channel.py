"""The WAP push channel over short messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from channels.base import (
    Bearer,
    Capabilities,
    Health,
    Inbox,
    Kind,
    Means,
    Outcome,
    Outgoing,
    Prepared,
)
from channels.wap_push import carriage
from channels.wap_push.authored import deletion_of, document_of
from channels.wap_push.documents import Document, encode
from channels.wap_push.settings import WapPushSettings
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


def _build(name: str, settings: WapPushSettings, means: Means) -> WapPush:
    bearer = means.built.get(settings.over)
    if not isinstance(bearer, Bearer):
        raise OutreachError(
            f"{name} cannot go over {settings.over}",
            "`over` must name a channel that holds a carrier's connection, such as sms over SMPP",
        )
    return WapPush(name, settings, bearer, means.now)


KIND = Kind(WapPushSettings, _build, "gateway", over=lambda settings: str(settings.over))
