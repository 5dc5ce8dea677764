"""Batches over several binds: to each what it has room for, and on to the others when one ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Generic

from channels.sms.account import Account, Compose, Sendable, unsent
from orchestrator.core.delivery import Outcome

_LEAST = 10
"""Messages of a piece; a piece's end is when its bind gets the next."""


class Spreading(Generic[Sendable]):
    """One batch on its way. A message goes over one bind at a time, and over another only if the
    first has provably not sent it: what was written and not answered is unknown, and stays."""

    def __init__(
        self, accounts: Sequence[Account], batch: Sequence[Sendable], compose: Compose[Sendable]
    ) -> None:
        self._accounts = accounts
        self._compose = compose
        self._waiting = list(reversed(batch))
        self._by_id = {message.message_id: message for message in batch}
        self._under_way: dict[asyncio.Task[list[Outcome]], Account] = {}
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + max(it.settings.deadline_s for it in accounts)

    async def outcomes(self, *, first_only: bool) -> list[Outcome]:
        """One per message. `first_only`: over the first bind that is up, not over all."""
        settled: list[Outcome] = []
        try:
            while True:
                usable = [it for it in self._accounts if it.usable]
                for account, share in self._shares(usable[:1] if first_only else usable):
                    task = self._loop.create_task(account.submit(share, self._compose))
                    self._under_way[task] = account
                if not self._under_way:
                    break
                done, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del self._under_way[task]
                    self._settle(task.result(), settled)
        finally:
            for task in self._under_way:
                task.cancel()
        reason = next((it.trouble for it in self._accounts if it.trouble), "").partition("\n")[0]
        reason = reason or "not connected to the carrier"
        return [*settled, *(unsent(message, reason) for message in self._waiting)]

    def _settle(self, outcomes: list[Outcome], settled: list[Outcome]) -> None:
        late = self._loop.time() >= self._until
        for outcome in outcomes:
            if outcome.result == "unsent" and not late:
                self._waiting.append(self._by_id[outcome.message_id])
            else:
                settled.append(outcome)

    def _shares(self, usable: Sequence[Account]) -> Iterator[tuple[Account, list[Sendable]]]:
        """What each bind gets now, in pieces. Without room anywhere, the batch queues behind what
        is under way, as it would on a single bind."""
        if not self._waiting or not usable:
            return
        rooms = [account.room() for account in usable]
        if not any(rooms):
            if self._under_way:
                return
            rooms = [account.settings.window for account in usable]
        total, waiting = sum(rooms), len(self._waiting)
        for account, room in zip(usable, rooms, strict=True):
            share = min(room, -(-room * waiting // total))
            piece = max(_LEAST, share // 4)
            while share > 0 and self._waiting:
                taken = min(piece, share, len(self._waiting))
                share -= taken
                yield account, [self._waiting.pop() for _ in range(taken)]
