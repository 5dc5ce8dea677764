"""A blast over two carriers, of which one dies: the store and the phones say the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

from channels.sms.channel import SmsChannel
from channels.sms.settings import SmsSettings
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.sweep import sweep
from tests.runtime.installation import (
    carrier,
    happened,
    number,
    people,
    rows,
    turns,
    until,
    until_found,
)

PEOPLE = 400


async def test_a_carrier_that_dies_in_a_blast_loses_nobody_and_doubles_nobody(
    office: Context,
) -> None:
    known = await people(office, range(PEOPLE))
    await happened(office, known)
    await turns(office)
    async with carrier() as dying, carrier() as living:
        dying.faults.delay_s = living.faults.delay_s = 0.02
        binds = tuple(
            f"smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086&window=10&refused=60"
            for smsc in (dying, living)
        )
        wanted = SmsSettings(binds=binds)
        channel = SmsChannel(wanted.accounts(), "sms", wanted)
        await channel.start(Ingest(office).inbox)
        await until(lambda: set(channel.lines().values()) == {"up"})
        blast = asyncio.create_task(Delivery(office, channel).run())
        await until(lambda: dying.submits >= 50)
        cast(dict[str, str], dying.settings.accounts)["outreach"] = "changed"
        dying.cut()
        await blast
        query = "SELECT count(*) FROM messages WHERE state = 'queued'"
        await until_found(office, 0, query)

        def seen() -> Counter[str]:
            return Counter(
                handset.number
                for smsc in (dying, living)
                for handset in smsc.handsets.values()
                for _ in handset.arrived
            )

        await until(lambda: seen().total() == dying.submits + living.submits)
        states = "SELECT s.key, m.state FROM messages m JOIN subscribers s ON s.id = subscriber_id"
        told = {str(key): str(state) for key, state in await rows(office, states)}
        shown = seen()
        assert len(told) == PEOPLE
        assert set(told.values()) <= {"accepted", "delivered", "unknown"}
        unknown = Counter(told.values())["unknown"]
        assert 1 <= unknown <= 10
        for key, state in told.items():
            times = shown[number(int(key)).removeprefix("+")]
            assert times <= 1
            assert times == 1 or state == "unknown"

        brought = sum(len(handset.arrived) for handset in living.handsets.values())
        await sweep(office)
        done = "SELECT count(*) >= $1 FROM messages WHERE state = 'delivered'"
        await until_found(office, True, done, brought)
        await channel.stop()
