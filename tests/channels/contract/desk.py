"""The desk: what is handed in is on the list, and that is all that the channel does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from channels.base import Channel, Means, Outcome, Outgoing
from channels.desk.channel import KIND, DeskSettings
from orchestrator.core.delivery import Receipt, Spoken
from tests.channels.contract.rig import Kept, Rig


class Listed:
    """The channel, and a person who reads what it took at once. The list itself is PostgreSQL's,
    see tests/web/test_desk.py."""

    def __init__(self, channel: Channel, kept: Kept) -> None:
        self._channel, self._kept = channel, kept
        self.name, self.capabilities = channel.name, channel.capabilities
        self.start, self.stop, self.health = channel.start, channel.stop, channel.health
        self.scripts: dict[str, list[str]] = {}

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        outcomes = await self._channel.send(batch)
        said = {message.message_id: message for message in batch}
        for outcome in outcomes:
            if outcome.result == "accepted":
                message = said[outcome.message_id]
                self.scripts.setdefault(message.address, []).append(message.content.text)
                receipt = Receipt(self.name, outcome.carrier_id, "delivered", "accepted")
                await self._kept.inbox.receipts([receipt])
        return outcomes


async def none_spoken(channel: str, address: str, limit: int) -> list[Spoken]:
    return []


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    means = Means(b"0123456789abcdef", lambda: datetime(2026, 3, 2, tzinfo=UTC), none_spoken)
    kept = Kept()
    listed = Listed(KIND.build("calls", DeskSettings(), means), kept)
    await listed.start(kept.inbox)

    def shown(address: str) -> Sequence[str]:
        return listed.scripts.get(address, [])

    async def say(address: str, words: str) -> None:
        raise AssertionError("people of ours speak for them")

    yield Rig(
        listed,
        kept,
        reachable=("+8613800138000", "+8613800138001"),
        wrong="nobody",
        shown=shown,
        say=say,
    )
    await listed.stop()
