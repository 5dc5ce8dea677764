"""WhatsApp at a simulated Cloud API, where two people have it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from channels.carriers.graph import ACCESS_TOKEN, APP_SECRET, NUMBER_ID, VERIFY_TOKEN, Graph
from channels.whatsapp.channel import WhatsApp
from channels.whatsapp.settings import WhatsAppSettings
from tests.channels.contract.rig import Kept, Rig, serve, until
from tests.channels.mms.conftest import MEANS


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    graph = Graph()
    await graph.start()
    settings = WhatsAppSettings(
        phone_number_id=NUMBER_ID,
        access_token=ACCESS_TOKEN,
        app_secret=APP_SECRET,
        verify_token=VERIFY_TOKEN,
        graph_url=graph.url,
        deadline_s=deadline_s,
        probe_s=0.05,
    )
    channel, kept = WhatsApp("whatsapp", settings, MEANS), Kept()
    server = await serve(channel)
    graph.webhook = str(server.make_url("/whatsapp"))
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")
    addresses = ("+8613800138000", "+8613800138001")
    for address in addresses:
        graph.handset(address)

    def shown(address: str) -> Sequence[str]:
        return [arrived.text for arrived in graph.handset(address).arrived]

    def pictures(address: str) -> Sequence[bytes]:
        return [it.picture.octets for it in graph.handset(address).arrived if it.picture]

    async def say(address: str, words: str) -> None:
        graph.handset(address).say(words)

    def refuse() -> None:
        graph.faults.closed_window = True

    def mute() -> None:
        graph.faults.mute = True

    yield Rig(
        channel,
        kept,
        reachable=addresses,
        wrong="nobody",
        shown=shown,
        say=say,
        cut=graph.stop,
        refuse=refuse,
        mute=mute,
        pictures=pictures,
    )
    await channel.stop()
    await server.close()
    await graph.stop()
