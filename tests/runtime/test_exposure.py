"""What the death of a gateway leaves uncertain: how much, how long, and what mends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
import pytest_asyncio

from channels.base import Capabilities, Health, Inbox
from channels.carriers.smsc import Smsc
from orchestrator.core.delivery import Outcome, Outgoing, Receipt
from orchestrator.runtime import deliver
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_named
from orchestrator.store.claims import ATTEMPT_SIZE
from tests.runtime.installation import (
    NOON,
    at,
    carrier,
    installed,
    rows,
    sms,
    until,
    until_found,
    value,
)
from tests.runtime.test_delivery import (
    SERVICE,
    STATES,
    accepted,
    claimed,
    lapse,
    queued,
    received,
    recorded,
    say,
)

STILL_OUT = "SELECT count(*) FROM messages WHERE state <> 'delivered'"


async def all_delivered(office: Context) -> None:
    """Every message is. A receipt that comes before its message's record waits for a sweep."""
    async with asyncio.timeout(30):
        while await value(office, STILL_OUT):
            await sweep(office)
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with carrier() as smsc:
        yield smsc


async def test_who_takes_over_a_channel_settles_what_its_former_holder_claimed(
    office: Context, smsc: Smsc
) -> None:
    """At once: the lease of the claim has a minute to go and more."""
    await queued(office, 3)
    await claimed(office)
    async with holding(office, [sms(smsc)]):
        await asyncio.sleep(0.3)
        assert await rows(office, STATES) == [("queued", 3)], "others may hold it beside us"
    async with holding(office, [sms(smsc)], alone=True):
        await until_found(
            office, 3, "SELECT count(*) FROM messages WHERE state = 'unknown'", patience_s=30
        )
    assert await value(office, "SELECT count(*) FROM attempts") == 0


async def test_what_a_killed_gateway_claimed_goes_out_again_flagged_if_its_class_says_so(
    database_url: str, redis_url: str, smsc: Smsc
) -> None:
    async with installed(database_url, redis_url, SERVICE, sweep_s=0.1) as office:
        await queued(office, 3)
        async with holding(office, [sms(smsc)], alone=True):
            await until(lambda: smsc.customers)
            # The last claim of one who was killed is committed after we took over.
            await claimed(office)
            await all_delivered(office)
            assert await rows(office, "SELECT DISTINCT may_duplicate FROM messages") == [(True,)]
    assert [len(phone.arrived) for phone in smsc.handsets.values()] == [1, 1, 1]


async def test_a_former_holder_that_was_only_slow_still_says_what_became_of_its_messages(
    office: Context, smsc: Smsc
) -> None:
    """Its late record counts, and so do receipts that came before it."""
    await queued(office, 3)
    slow = await claimed(office)
    async with holding(office, [sms(smsc)], alone=True):
        await until_found(office, 3, "SELECT count(*) FROM messages WHERE state = 'unknown'")
        await received(office, *(Receipt("sms", said.carrier_id, "delivered")
                                 for said in accepted(slow)))  # fmt: skip
        await recorded(office, slow, [
            accepted(slow)[0], accepted(slow)[1],
            Outcome(slow.messages[2].outgoing.message_id, "unsent", retry="later"),
        ])  # fmt: skip
        # What it never sent goes out after all.
        await all_delivered(office)
    reasons = await rows(office, "SELECT DISTINCT state, reason FROM messages")
    assert reasons == [("delivered", None)]
    assert sum(len(phone.arrived) for phone in smsc.handsets.values()) == 1


async def test_receipts_count_however_late_they_come(office: Context) -> None:
    await queued(office, 2)
    claim = await claimed(office)
    await recorded(office, claim, accepted(claim))
    later = at(office, NOON + timedelta(days=3))
    await sweep(later)
    first, second = accepted(claim)
    await received(later, Receipt("sms", first.carrier_id, "delivered"))
    await received(later, Receipt("sms", second.carrier_id, "expired"))
    assert await rows(office, "SELECT state, ended_at FROM messages ORDER BY subscriber_id") == [
        ("delivered", later.clock.now()), ("expired", later.clock.now())
    ]  # fmt: skip


async def test_a_receipt_waits_days_for_the_record_of_what_counts_as_unknown(
    office: Context,
) -> None:
    """A gateway was cut off from the database after it had sent; its record comes very late."""
    await queued(office, 1)
    slow = await claimed(office)
    await lapse(office)
    assert await rows(office, STATES) == [("unknown", 1)]
    await received(office, Receipt("sms", accepted(slow)[0].carrier_id, "delivered"))
    later = at(office, NOON + timedelta(days=2, hours=23))
    await sweep(later)
    await recorded(later, slow, accepted(slow))
    await sweep(later)
    assert await rows(office, STATES) == [("delivered", 1)]
    assert await value(office, "SELECT count(*) FROM parked_receipts") == 0


async def test_an_answer_that_was_not_sent_is_still_an_answer(office: Context) -> None:
    """It goes out before any blast when it is tried again."""
    known = await queued(office, 1)
    await say(office, "0", "points")
    await take_named(office, known.values())
    claim = await claimed(office)
    assert len(claim.messages) == 2
    await recorded(
        office, claim,
        [Outcome(m.outgoing.message_id, "unsent", retry="later") for m in claim.messages],
    )  # fmt: skip
    assert await rows(
        office, "SELECT a.priority, m.contact_class FROM attempts a JOIN messages m"
        " ON m.attempt_id = a.id ORDER BY 1"
    ) == [(0, "answer"), (1, "promotion")]  # fmt: skip


async def test_what_comes_back_waits_in_attempts_of_the_usual_size(office: Context) -> None:
    await queued(office, 3 * ATTEMPT_SIZE)
    claim = await claimed(office)
    await recorded(
        office, claim,
        [Outcome(m.outgoing.message_id, "unsent", retry="later") for m in claim.messages],
    )  # fmt: skip
    assert await rows(
        office, "SELECT count(*) FROM messages WHERE state = 'queued' AND attempt_id IN"
        " (SELECT id FROM attempts) GROUP BY attempt_id"
    ) == [(ATTEMPT_SIZE,)] * 3  # fmt: skip


class Taking:
    """A channel that takes everything, each claim in so long."""

    name = "sms"
    capabilities = Capabilities(max_text=160, two_way=False, receipts=False, window=100)

    def __init__(self, context: Context, takes_s: float) -> None:
        self.sizes: list[int] = []
        self.exposed: list[int] = []
        self._context = context
        self._takes_s = takes_s

    async def start(self, inbox: Inbox) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Health:
        return "up"

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        self.sizes.append(len(batch))
        self.exposed.append(
            await value(
                self._context, "SELECT count(*) FROM messages WHERE state = 'queued' AND"
                " attempt_id IN (SELECT id FROM attempts WHERE claimed_by IS NOT NULL)"
            )
        )  # fmt: skip
        await asyncio.sleep(self._takes_s)
        return [Outcome(m.message_id, "accepted", str(m.message_id)) for m in batch]


async def test_what_is_claimed_follows_what_the_carrier_takes(
    office: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the death of a gateway would leave uncertain is one window and a half at a slow
    carrier; at a quick one the claims grow."""
    await queued(office, 1200)
    slow = Taking(office, 0.5)
    delivery = Delivery(office, slow)
    await asyncio.gather(*(delivery.run(lambda: len(slow.sizes) < 9) for _ in range(3)))
    assert max(slow.exposed) <= 150
    assert {*slow.sizes} == {50}
    monkeypatch.setattr(deliver, "QUICK_S", 60.0)  # whatever this machine takes
    quick = Taking(office, 0.0)
    await Delivery(office, quick).run()
    assert quick.sizes[0] == 50
    assert max(quick.sizes) > 300
