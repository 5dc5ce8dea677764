"""Thousands of PDUs that no gateway should send, into a session that is logged in: it lives, or it
hangs up, and what it holds is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from channels.base import Inbox
from orchestrator.core.delivery import Receipt, Reply
from tests.channels.china.mutations import mutated
from tests.channels.china.said import seeds
from tests.channels.china.worlds import PROTOCOLS, world
from tests.hostile.targets.ends import Nowhere, storable


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_no_octets_are_too_odd(name: str) -> None:
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    stored = 0

    async def replies(items: Sequence[Reply]) -> None:
        nonlocal stored
        stored += len(items)
        for it in items:
            storable(it.text, 2_000)
            for word in (it.address, it.to, it.source_id):
                storable(word, 100)

    async def receipts(items: Sequence[Receipt]) -> None:
        nonlocal stored
        stored += len(items)
        for it in items:
            storable(it.carrier_id, 100)
            storable(it.code, 20)

    async with world(name) as there:
        channel = there.channel()
        channel.inbound.start(Inbox(replies=replies, receipts=receipts))
        whole = seeds(name)
        for number, octets in enumerate([*whole, *mutated(whole, 5_000, seed=2)]):
            session, nowhere = channel.new_session(), Nowhere()
            session.connection_made(nowhere)
            session._admitted = True
            session.open_window()
            waiting = asyncio.ensure_future(session.submit([b"x"]))
            await asyncio.sleep(0)
            if number % 2:  # the length at least is right, so that the body is read
                octets = len(octets).to_bytes(4, "big") + octets[4:]
            size = 1 + number % 97
            for at in range(0, len(octets), size):
                if not nowhere.closed:
                    session.data_received(octets[at : at + size])
            await asyncio.sleep(0)
            assert len(session._rest) <= session.max_octets
            assert nowhere.octets <= 200 + 3 * len(octets)
            session.connection_lost(None)
            assert len(await waiting) == 1
        await channel.inbound.stop()
    assert stored > 200
    assert not failed
