"""The simulated gateways of CMPP, SMGP and SGIP towards customers who know nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.channels.china.mutations import mutated
from tests.channels.china.said import seeds
from tests.channels.china.worlds import NUMBER, PROTOCOLS, message, world
from tests.channels.contract.rig import until
from tests.hostile.targets.ends import Nowhere


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_a_customer_who_talks_nonsense_is_survived(name: str) -> None:
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    async with world(name) as there, there.up() as (channel, _):
        for octets in mutated(seeds(name), 1_000, seed=3):
            customer = there.exchange.new_customer()
            customer.connection_made(Nowhere())
            customer.data_received(octets)
            await asyncio.sleep(0)
            customer.connection_lost(None)
        [outcome] = await channel.send([message(1)])
        assert outcome.result == "accepted"
    assert not failed


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_what_phones_say_waits_until_somebody_is_there(name: str) -> None:
    async with world(name) as there:
        said = there.exchange.handset(NUMBER).say("anybody there?", "10086")
        assert said.acknowledged_at is None
        async with there.up() as (_, kept):
            there.exchange.handset(NUMBER).say("hello?", "10086")
            await until(lambda: said.acknowledged_at)
            assert kept.replies[0].text == "anybody there?"


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_a_phone_that_is_switched_off_gets_its_messages_later(name: str) -> None:
    async with world(name) as there, there.up() as (channel, kept):
        handset = there.exchange.handset(NUMBER)
        handset.switch_off()
        await channel.send([message(1, "later")])
        await asyncio.sleep(0.1)
        assert not handset.arrived
        assert not kept.receipts
        handset.switch_on()
        await until(lambda: kept.receipts)
        assert [arrived.text for arrived in handset.arrived] == ["later"]


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_lost_reports_are_lost(name: str) -> None:
    async with world(name) as there, there.up() as (channel, kept):
        there.exchange.faults.drop_receipts = 1.0
        await channel.send([message(1)])
        await until(lambda: there.exchange.handset(NUMBER).arrived)
        await asyncio.sleep(0.05)
        assert not kept.receipts
