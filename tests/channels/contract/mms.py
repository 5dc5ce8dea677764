"""MMS through a simulated MMS centre, which tells us over HTTP what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from channels.base import Outgoing
from orchestrator.core.model import Content
from tests.channels.contract.rig import Rig
from tests.channels.mms.conftest import benched


class MmsRig(Rig):
    """Every message has a subject and a picture."""

    def message(self, message_id: int, text: str, address: str | None = None) -> Outgoing:
        content = Content(text=text, subject="Today", image="hello/small.png")
        return Outgoing(message_id, message_id, address or self.reachable[0], content)


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    async with benched(deadline_s=deadline_s) as bench:

        def shown(address: str) -> Sequence[str]:
            return [it.text for it in bench.shown(address) if it.picture]

        def pictures(address: str) -> Sequence[bytes]:
            return [it.picture.octets for it in bench.shown(address) if it.picture]

        async def say(address: str, words: str) -> None:
            await bench.mmsc.say(address, words)

        async def cut() -> None:
            await bench.mmsc.stop()
            await bench.channel.send([bench.message(99)])

        def refuse() -> None:
            bench.mmsc.faults.code = 2001

        def mute() -> None:
            bench.mmsc.faults.mute = True

        yield MmsRig(
            bench.channel,
            bench.kept,
            reachable=("+8613800138000", "+8613800138001"),
            wrong="nobody",
            shown=shown,
            say=say,
            cut=cut,
            refuse=refuse,
            mute=mute,
            pictures=pictures,
        )
