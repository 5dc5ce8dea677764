"""The HTTP channel with the preset `twilio`, and an aggregator that speaks that API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.channels.contract.rig import Rig
from tests.channels.http.conftest import twilio_like


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    async with twilio_like(deadline_s=deadline_s) as (channel, kept, aggregator):

        def shown(address: str) -> Sequence[str]:
            return aggregator.shown[address]

        async def say(address: str, words: str) -> None:
            assert await aggregator.say(address, words) == 200

        def refuse() -> None:
            aggregator.refused = (400, 21610)

        def mute() -> None:
            aggregator.mute = True

        yield Rig(
            channel,
            kept,
            reachable=("+8613800138000", "+8613800138001"),
            wrong="nobody",
            shown=shown,
            say=say,
            refuse=refuse,
            mute=mute,
        )
