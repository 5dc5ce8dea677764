"""What came from the carrier, on its way into the store: in batches, answered once stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from channels.sms import status
from channels.sms.window import Window

log = logging.getLogger("outreach.sms")

Ack = tuple[Window, int]
"""A deliver_sm to answer: where it came in, and its sequence number."""
Item = TypeVar("Item")


class Intake(Generic[Item]):
    """Hands items to `store` one batch at a time: while one is being stored, the next gathers.

    Each item's acks are answered with success after its batch is stored, or with
    ESME_RX_T_APPN if storing raised, so that the carrier brings it again; `settled` hears which.
    At most `max_waiting` items wait; what comes over that is answered ESME_RMSGQFUL at once.
    """

    def __init__(
        self,
        store: Callable[[Sequence[Item]], Awaitable[None]],
        settled: Callable[[Item, bool], None] = lambda item, stored: None,
        *,
        max_waiting: int = 20_000,
    ) -> None:
        self._store = store
        self._settled = settled
        self._max_waiting = max_waiting
        self._waiting: list[tuple[Item, Sequence[Ack]]] = []
        self._worker: asyncio.Task[None] | None = None

    def put(self, item: Item, acks: Sequence[Ack]) -> None:
        """The item will be stored, and its acks answered."""
        if len(self._waiting) >= self._max_waiting:
            self._refuse(item, acks, status.QUEUE_FULL)
            return
        self._waiting.append((item, acks))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def finish(self) -> None:
        """Everything put in so far is stored or refused."""
        while self._worker is not None:
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                if not await self._stored(batch) and len(batch) > 1:
                    await self._store_singly(batch)
        finally:
            self._worker = None

    async def _store_singly(self, batch: list[tuple[Item, Sequence[Ack]]]) -> None:
        """One bad item does not hold up the others; two failures in a row mean that it is not the
        items, and the carrier brings the rest again."""
        failures = 0
        for index, single in enumerate(batch):
            failures = 0 if await self._stored([single]) else failures + 1
            if failures == 2:
                for item, acks in batch[index + 1 :]:
                    self._refuse(item, acks, status.TEMPORARY_APPLICATION_ERROR)
                return

    async def _stored(self, batch: list[tuple[Item, Sequence[Ack]]]) -> bool:
        try:
            await self._store([item for item, _ in batch])
        except Exception as error:
            log.error("inbox_failed items=%d reason=%s", len(batch), type(error).__name__)
            if len(batch) == 1:
                self._refuse(*batch[0], status.TEMPORARY_APPLICATION_ERROR)
            return False
        for item, acks in batch:
            self._settled(item, True)
            for session, sequence in acks:
                session.answer_deliver(sequence)
        return True

    def _refuse(self, item: Item, acks: Sequence[Ack], command_status: int) -> None:
        self._settled(item, False)
        for session, sequence in acks:
            session.answer_deliver(sequence, command_status)
