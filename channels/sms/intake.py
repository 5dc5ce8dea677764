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

PATIENCE_S = 5.0
"""So long may storing take: carriers wait ten seconds and more before they think a connection dead,
and one that hears that we are in trouble brings the message again."""


class Intake(Generic[Item]):
    """Hands items to `store` one batch at a time: while one is being stored, the next gathers.

    Each item's acks are answered with success after its batch is stored, or with
    ESME_RX_T_APPN if storing raised or took longer than `patience_s`, so that the carrier brings it
    again; `settled` hears which.
    At most `max_waiting` items wait; what comes over that is answered ESME_RMSGQFUL at once.
    """

    def __init__(
        self,
        store: Callable[[Sequence[Item]], Awaitable[None]],
        settled: Callable[[Item, bool], None] = lambda item, stored: None,
        *,
        max_waiting: int = 20_000,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._store = store
        self._settled = settled
        self._max_waiting = max_waiting
        self._patience_s = patience_s
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
                error = await self._try(batch)
                if isinstance(error, TimeoutError) or (error is not None and len(batch) == 1):
                    self._refuse_all(batch)
                elif error is not None:
                    await self._store_singly(batch)
        finally:
            self._worker = None

    async def _store_singly(self, batch: list[tuple[Item, Sequence[Ack]]]) -> None:
        """One bad item does not hold up the others; two failures in a row mean that it is not the
        items, and the carrier brings the rest again."""
        failures = 0
        for index, single in enumerate(batch):
            if await self._try([single]) is None:
                failures = 0
                continue
            failures += 1
            if failures == 2:
                self._refuse_all(batch[index:])
                return
            self._refuse_all([single])

    async def _try(self, batch: list[tuple[Item, Sequence[Ack]]]) -> Exception | None:
        """None if the batch was stored, and answered; else why not, and nobody has heard."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._store([item for item, _ in batch])
        except Exception as error:
            log.error("inbox_failed items=%d reason=%s", len(batch), type(error).__name__)
            return error
        for item, acks in batch:
            self._settled(item, True)
            for session, sequence in acks:
                session.answer_deliver(sequence)
        return None

    def _refuse_all(self, batch: list[tuple[Item, Sequence[Ack]]]) -> None:
        for item, acks in batch:
            self._refuse(item, acks, status.TEMPORARY_APPLICATION_ERROR)

    def _refuse(self, item: Item, acks: Sequence[Ack], command_status: int) -> None:
        self._settled(item, False)
        for session, sequence in acks:
            session.answer_deliver(sequence, command_status)
