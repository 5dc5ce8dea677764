"""WAP push through a simulated push proxy gateway, which tells us over HTTP what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.channels.contract.rig import Rig
from tests.channels.contract.wap_push import PushRig
from tests.channels.pap.conftest import benched


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    async with benched(deadline_s=deadline_s) as bench:

        def shown(address: str) -> Sequence[str]:
            return [text for text, _ in bench.shown(address)]

        async def say(address: str, words: str) -> None:
            raise AssertionError("nobody answers a push")

        async def cut() -> None:
            await bench.ppg.stop()
            await bench.channel.send([bench.message(99)])

        def refuse() -> None:
            bench.ppg.faults.code = 2001

        def mute() -> None:
            bench.ppg.faults.mute = True

        yield PushRig(
            bench.channel,
            bench.kept,
            reachable=("+8613800138000", "+8613800138001"),
            wrong="nobody",
            shown=shown,
            say=say,
            cut=cut,
            refuse=refuse,
            mute=mute,
        )
