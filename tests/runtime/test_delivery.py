"""From queued to the last receipt, over a real carrier: what is promised of each message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio
from msgspec.structs import replace

from channels.base import Capabilities, Health, Inbox
from channels.carriers.smsc import Smsc
from channels.sms import status
from channels.sms.channel import SmsChannel
from orchestrator.core.delivery import Late, Outcome, Outgoing, Receipt
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import LEASE, Delivery
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_named
from orchestrator.store import claims, outcomes
from orchestrator.store.claims import Claim
from tests.runtime.installation import (
    FILES,
    NOON,
    at,
    carrier,
    do,
    happened,
    installed,
    number,
    people,
    rows,
    sms,
    turns,
    until,
    until_found,
    value,
)

STATES = "SELECT state, count(*) FROM messages GROUP BY 1 ORDER BY 1"

TWO_CHANNELS = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"].replace("[sms]", "[sms, chat]"),
}
SERVICE = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"].replace("promotion", "urgent"),
}


@pytest_asyncio.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with carrier() as smsc:
        yield smsc


async def connected(smsc: Smsc, context: Context, options: str = "") -> SmsChannel:
    channel = sms(smsc, options)
    await channel.start(Ingest(context).inbox)
    await until(lambda: channel.health() == "up")
    return channel


async def queued(context: Context, count: int, first: int = 0) -> dict[str, int]:
    """So many people have a message that waits to be delivered."""
    known = await people(context, range(first, first + count))
    await happened(context, known)
    await turns(context)
    return known


async def claimed(context: Context, attempts: int = 99) -> Claim:
    async with context.pool.acquire() as connection, connection.transaction():
        return await claims.claim(
            connection, "sms", "test", context.clock.now(),
            context.clock.real_now() + LEASE, attempts, context.ids, context.projects.project,
        )  # fmt: skip


async def recorded(context: Context, claim: Claim, said: Sequence[Outcome]) -> None:
    async with context.pool.acquire() as connection, connection.transaction():
        await outcomes.record(
            connection, "sms", claim, said, context.projects.project.contact.classes,
            context.clock.now(), context.clock.now(), context.ids,
        )  # fmt: skip


async def received(context: Context, *receipts: Receipt) -> None:
    await Ingest(context).inbox.receipts(receipts)


async def lapse(context: Context) -> None:
    """The leases of all gateways are over, and a sweep has come by."""
    await do(context, "UPDATE attempts SET lease_until = now() - interval '1 second'")
    await sweep(context)


def accepted(claim: Claim) -> list[Outcome]:
    return [
        Outcome(m.outgoing.message_id, "accepted", f"c{m.outgoing.subscriber_id}")
        for m in claim.messages
    ]


async def test_a_message_is_committed_as_claimed_before_a_byte_is_written(office: Context) -> None:
    """The channel looks at the database while it sends: what it has been given is claimed there."""
    await queued(office, 3)
    seen: list[object] = []

    class Looking:
        name = "sms"
        capabilities = Capabilities(max_text=160, two_way=False, receipts=False)

        async def start(self, inbox: Inbox) -> None: ...

        async def stop(self) -> None: ...

        def health(self) -> Health:
            return "up"

        async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
            seen.extend(await rows(office, "SELECT claimed_by FROM attempts"))
            return [Outcome(m.message_id, "accepted", str(m.message_id)) for m in batch]

    assert await Delivery(office, Looking()).run() == 3
    assert seen == [(office.name,)]
    assert await rows(office, STATES) == [("accepted", 3)]
    assert await value(office, "SELECT count(*) FROM attempts") == 0


async def test_what_was_delivered_says_so(office: Context, smsc: Smsc) -> None:
    await queued(office, 30)
    channel = await connected(smsc, office)
    assert await Delivery(office, channel).run() == 30
    async with asyncio.timeout(10):
        while await rows(office, STATES) != [("delivered", 30)]:
            await sweep(office)
    await channel.stop()
    assert [phone.arrived[0].text for phone in smsc.handsets.values()].count("Hello Name 7!") == 1


async def test_one_bad_address_fails_alone(office: Context, smsc: Smsc) -> None:
    await queued(office, 10)
    bad = ["", "nobody", "电话", "+" + "1" * 40, "+86 138", "\x1b", "x" * 5000]
    for n, address in enumerate(bad):
        await do(
            office, "UPDATE messages SET address = $2 WHERE subscriber_id = $1", n + 1, address
        )
    channel = await connected(smsc, office)
    await Delivery(office, channel).run()
    await channel.stop()
    states = dict(await rows(office, STATES))
    assert states.get("rejected") == len(bad)
    assert sum(states.values()) == 10
    reasons = await rows(office, "SELECT DISTINCT reason FROM messages WHERE state = 'rejected'")
    assert all(reason for (reason,) in reasons)


async def test_a_content_that_cannot_be_read_fails_alone(office: Context, smsc: Smsc) -> None:
    await queued(office, 5)
    await do(office, "UPDATE messages SET content = '{' WHERE subscriber_id = 1")
    channel = await connected(smsc, office)
    assert await Delivery(office, channel).run() == 4
    await channel.stop()
    assert await value(office, "SELECT state FROM messages WHERE subscriber_id = 1") == "rejected"


async def test_a_refusal_for_good_is_the_end(office: Context, smsc: Smsc) -> None:
    await queued(office, 2)
    smsc.faults.reject = lambda number: status.INVALID_DESTINATION
    channel = await connected(smsc, office)
    await Delivery(office, channel).run()
    await channel.stop()
    assert await rows(office, "SELECT DISTINCT state, code FROM messages") == [
        ("rejected", "ESME_RINVDSTADR")
    ]


@pytest.mark.parametrize("outcome", ["unsent", "rejected"])
async def test_what_may_go_later_waits_and_is_no_duplicate(office: Context, outcome: str) -> None:
    await queued(office, 3)
    claim = await claimed(office)
    later = [
        Outcome(m.outgoing.message_id, outcome, reason="busy", retry="later")  # type: ignore[arg-type]
        for m in claim.messages
    ]
    await recorded(office, claim, later)
    assert await rows(office, STATES) == [("queued", 3)]
    assert await value(office, "SELECT bool_or(may_duplicate) FROM messages") is False
    again = await claimed(office)
    assert {m.outgoing.message_id for m in again.messages} == {
        m.outgoing.message_id for m in claim.messages
    }


async def test_an_unsent_message_may_not_be_sent_before_its_pause_is_over(office: Context) -> None:
    await queued(office, 1)
    claim = await claimed(office)
    pause_ends = NOON + timedelta(minutes=1)
    async with office.pool.acquire() as connection, connection.transaction():
        await outcomes.record(
            connection, "sms", claim,
            [Outcome(claim.messages[0].outgoing.message_id, "unsent", retry="later")],
            office.projects.project.contact.classes, NOON, pause_ends, office.ids,
        )  # fmt: skip
    assert (await claimed(office)).messages == ()
    assert len((await claimed(at(office, pause_ends))).messages) == 1


async def test_an_uncertain_message_is_held(office: Context) -> None:
    await queued(office, 2)
    claim = await claimed(office)
    await recorded(
        office, claim, [Outcome(m.outgoing.message_id, "unknown") for m in claim.messages]
    )
    assert await rows(office, STATES) == [("unknown", 2)]
    assert (await claimed(office)).messages == ()


async def test_an_uncertain_message_is_sent_again_if_its_class_says_so(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, SERVICE) as office:
        await queued(office, 2)
        claim = await claimed(office)
        await recorded(
            office, claim, [Outcome(m.outgoing.message_id, "unknown") for m in claim.messages]
        )
        assert await rows(office, "SELECT DISTINCT state, may_duplicate FROM messages") == [
            ("queued", True)
        ]
        assert len((await claimed(office)).messages) == 2


async def test_no_answer_from_the_carrier_is_unknown(office: Context, smsc: Smsc) -> None:
    await queued(office, 2)
    smsc.faults.drop_responses = 1.0
    channel = await connected(smsc, office, "&deadline=0.3")
    await Delivery(office, channel).run()
    await channel.stop()
    assert await rows(office, STATES) == [("unknown", 2)]


async def test_an_answer_that_comes_after_all_makes_an_unknown_message_accepted(
    office: Context, smsc: Smsc
) -> None:
    await queued(office, 2)
    channel = await connected(smsc, office, "&deadline=0.3")
    smsc.faults.delay_s = 0.9
    await Delivery(office, channel).run()
    assert await rows(office, STATES) == [("unknown", 2)]
    await until_found(office, 2, "SELECT count(*) FROM messages WHERE state = 'accepted'")
    await until_found(office, 2, "SELECT count(*) FROM parked_receipts")
    await sweep(office)
    assert await rows(office, STATES) == [("delivered", 2)]
    await channel.stop()


async def test_what_is_over_or_forgotten_is_not_accepted_late(office: Context) -> None:
    known = await queued(office, 3)
    claim = await claimed(office)
    await recorded(
        office, claim, [Outcome(m.outgoing.message_id, "unknown") for m in claim.messages]
    )
    late = [
        Late(m.outgoing.subscriber_id, m.outgoing.message_id, f"c{place}")
        for place, m in enumerate(claim.messages)
    ]
    first, second, third = (it.message_id for it in late)
    await do(office, f"UPDATE messages SET state = 'suppressed' WHERE id = {first}")
    await do(office, f"UPDATE messages SET address = '' WHERE id = {second}")
    for _ in range(2):
        await Ingest(office).inbox.late(late)
    query = "SELECT id, state, carrier_id FROM messages ORDER BY id"
    assert {row[0]: row[1:] for row in await rows(office, query)} == {
        first: ("suppressed", None),
        second: ("unknown", None),
        third: ("accepted", "c2"),
    }
    assert len(known) == 3


async def test_a_gateway_that_falls_silent_leaves_unknowns(office: Context) -> None:
    await queued(office, 300)
    assert len((await claimed(office, attempts=1)).messages) > 0
    await sweep(office)
    assert await rows(office, STATES) == [("queued", 300)], "its lease is not over"
    await lapse(office)
    states = dict(await rows(office, STATES))
    assert states["unknown"] + states.get("queued", 0) == 300
    assert await value(
        office, "SELECT DISTINCT reason FROM messages WHERE state = 'unknown'"
    ) == "the gateway stopped meanwhile"  # fmt: skip


async def test_however_many_gateways_fall_silent_no_message_is_stranded(office: Context) -> None:
    """Each message that is still queued stands in an attempt that somebody can claim."""
    await queued(office, 1)
    await do(
        office,
        "WITH a AS (INSERT INTO attempts (channel, priority, not_before, claimed_by, lease_until)"
        " SELECT 'sms', 1, $1, 'gone', now() - interval '1 minute' FROM generate_series(1, 30)"
        " RETURNING id) INSERT INTO messages SELECT m.id + 1000 * a.id + n, subscriber_id,"
        " template, journey, contact_class, a.id, 'queued', channel, address, content, via, run,"
        " step, NULL, NULL, NULL, NULL, false, queued_at"
        " FROM messages m, a, generate_series(1, 250) n",
        NOON,
    )
    for _ in range(5):
        await sweep(office)
    assert dict(await rows(office, STATES)) == {"queued": 1, "unknown": 7500}
    assert await value(
        office, "SELECT count(*) FROM messages WHERE state = 'queued' AND attempt_id NOT IN"
        " (SELECT id FROM attempts)"
    ) == 0  # fmt: skip


async def test_a_late_record_of_a_held_message_still_counts(office: Context) -> None:
    await queued(office, 1)
    claim = await claimed(office)
    await lapse(office)
    await recorded(office, claim, accepted(claim))
    assert await rows(office, STATES) == [("accepted", 1)]


async def test_a_late_record_of_a_message_sent_again_is_fenced_off(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, SERVICE) as office:
        await queued(office, 1)
        slow = await claimed(office)
        await lapse(office)
        quick = await claimed(office)
        (mine,) = quick.messages
        await recorded(office, slow, [replace(accepted(slow)[0], result="rejected")])
        assert await rows(office, STATES) == [("queued", 1)]
        await recorded(office, quick, [Outcome(mine.outgoing.message_id, "accepted", "second")])
        await recorded(office, slow, accepted(slow))
        assert await rows(office, "SELECT state, carrier_id, may_duplicate FROM messages") == [
            ("accepted", "second", True)
        ]


async def test_what_outlived_its_hours_is_put_off_not_sent(office: Context, smsc: Smsc) -> None:
    await queued(office, 3)
    evening = at(office, NOON + timedelta(hours=9))  # 21:00: its hours ended at 20:00
    channel = await connected(smsc, office)
    assert await Delivery(evening, channel).run() == 0
    await turns(evening)
    assert await rows(office, STATES) == [("queued", 3)]
    assert await Delivery(evening, channel).run() == 0
    morning = at(office, NOON + timedelta(hours=21))  # 09:00
    assert await Delivery(morning, channel).run() == 3
    await channel.stop()


async def test_a_refused_message_moves_on_to_its_next_channel(
    database_url: str, redis_url: str, smsc: Smsc
) -> None:
    async with installed(database_url, redis_url, TWO_CHANNELS) as office:
        known = await people(office, range(2))
        await do(
            office,
            'UPDATE subscribers SET addresses = addresses || \'{"webchat": "w"}\''
            " WHERE key = '1'",
        )
        await happened(office, known)
        await turns(office)
        smsc.faults.reject = lambda number: status.INVALID_DESTINATION
        channel = await connected(smsc, office)
        await Delivery(office, channel).run()
        await channel.stop()
        taken = await turns(office)
        assert taken.channels == {"webchat"}
        assert await rows(
            office, "SELECT subscriber_id, channel, address, state FROM messages ORDER BY 1"
        ) == [
            (known["0"], "sms", number(0), "rejected"),
            (known["1"], "webchat", "w", "queued"),
        ]  # fmt: skip
        assert await rows(office, "SELECT reason FROM suppressions") == [("fallback: no_channel",)]


async def test_a_refusal_that_is_recorded_again_moves_nothing_on_again(office: Context) -> None:
    """The connection broke at the commit, and the gateway cannot know that it came through."""
    await people(office, [1])
    await happened(office, ["1"])
    await turns(office)
    await do(office, "UPDATE messages SET via = '{chat}'")
    classes, ids = office.projects.project.contact.classes, office.ids
    async with office.pool.acquire() as connection:
        until = NOON + timedelta(minutes=2)
        claim = await claims.claim(
            connection, "sms", "gateway", NOON, until, 5, ids, office.projects.project
        )
        [one] = claim.messages
        said = [Outcome(one.outgoing.message_id, "rejected", code="1")]
        for second in range(3):
            now = NOON + timedelta(seconds=second)
            await outcomes.record(connection, "sms", claim, said, classes, now, now, ids)
    assert await value(office, "SELECT count(*) FROM events WHERE kind = 'failed'") == 1


@pytest.mark.parametrize("state", ["undelivered", "expired", "rejected"])
async def test_a_failed_receipt_moves_a_message_on_once(
    database_url: str, redis_url: str, state: str
) -> None:
    async with installed(database_url, redis_url, TWO_CHANNELS) as office:
        known = await people(office, range(1))
        await do(office, 'UPDATE subscribers SET addresses = addresses || \'{"webchat": "w"}\'')
        await happened(office, known)
        await turns(office)
        claim = await claimed(office)
        await recorded(office, claim, accepted(claim))
        carrier_id = f"c{known['0']}"
        receipt = Receipt("sms", carrier_id, state, "003")  # type: ignore[arg-type]
        await received(office, receipt, receipt)
        await received(office, receipt)
        await turns(office)
        assert await rows(office, "SELECT channel, state, via, reason FROM messages") == [
            ("webchat", "queued", [], f"fell back from sms: {state} 003")
        ]
        # What the old carrier still says is not about the message as it now is.
        await received(office, Receipt("sms", carrier_id, "delivered"))
        await sweep(office)
        assert await rows(office, "SELECT channel, state FROM messages") == [("webchat", "queued")]


async def test_a_receipt_before_its_response_is_kept_until_then(office: Context) -> None:
    known = await queued(office, 2)
    claim = await claimed(office)
    first, second = (f"c{who}" for who in known.values())
    await received(office, Receipt("sms", first, "delivered"))
    await sweep(office)
    assert await value(office, "SELECT count(*) FROM parked_receipts") == 1
    await recorded(office, claim, accepted(claim))
    await received(office, Receipt("sms", second, "delivered"))
    await sweep(office)
    assert await rows(office, STATES) == [("delivered", 2)]
    assert await value(office, "SELECT count(*) FROM parked_receipts") == 0


async def test_a_receipt_comes_twice_and_out_of_order(office: Context) -> None:
    known = await queued(office, 3)
    claim = await claimed(office)
    await recorded(office, claim, accepted(claim))
    a, b, c = (f"c{who}" for who in known.values())
    await received(office, Receipt("sms", a, "delivered"), Receipt("sms", a, "expired"))
    await received(office, Receipt("sms", b, "undelivered", "012"))
    await received(office, Receipt("sms", b, "delivered"))
    await received(office, Receipt("sms", c, "delivered"), Receipt("sms", c, "delivered"))
    await received(office, Receipt("sms", c, "undelivered"))
    await sweep(office)
    found = await rows(office, "SELECT carrier_id, state FROM messages ORDER BY subscriber_id")
    assert found == [(a, "delivered"), (b, "undelivered"), (c, "delivered")]
    assert await value(office, "SELECT count(*) FROM parked_receipts") == 0


async def test_receipts_for_nothing_we_know_are_forgotten_in_the_end(office: Context) -> None:
    await received(office, *(Receipt("sms", f"stranger{n}", "delivered") for n in range(50)))
    await received(office, Receipt("sms", "\0\ud800", "delivered", "\0"))
    await sweep(office)
    assert await value(office, "SELECT count(*) FROM parked_receipts") == 51
    await sweep(at(office, NOON + timedelta(days=4)))
    assert await value(office, "SELECT count(*) FROM parked_receipts") == 0


async def test_an_opt_out_drops_what_is_queued(office: Context, smsc: Smsc) -> None:
    known = await queued(office, 3)
    await stop(office, known["1"], "1")
    states = dict(await rows(office, "SELECT subscriber_id, state FROM messages WHERE journey<>''"))
    assert states == {
        known["0"]: "queued",
        known["1"]: "suppressed",
        known["2"]: "queued",
    }
    assert len((await claimed(office)).messages) == 3, "two, and the goodbye"


async def stop(context: Context, subscriber_id: int, key: str) -> None:
    """This subscriber has opted out: it is committed when this returns."""
    await say(context, key, "STOP")
    await take_named(context, [subscriber_id])


async def say(context: Context, key: str, text: str) -> None:
    """The reply is stored; nobody has answered it."""
    from orchestrator.store import events
    from orchestrator.store.events import NewEvent

    async with context.pool.acquire() as connection, connection.transaction():
        who = await connection.fetchrow("SELECT id, shard FROM subscribers WHERE key = $1", key)
        said = {"text": text, "channel": "sms", "address": number(int(key))}
        now = context.clock.now()
        await events.add(
            connection,
            [NewEvent(who["id"], who["shard"], "reply", "sms", said, now, "sms", f"{key}:{text}")],
            now,
            context.ids,
        )


async def test_an_opt_out_drops_what_comes_back_from_the_carrier(office: Context) -> None:
    """A gateway had the message when they opted out. It was not sent; now it must not be."""
    known = await queued(office, 2)
    claim = await claimed(office)
    await stop(office, known["1"], "1")
    await recorded(
        office, claim,
        [Outcome(m.outgoing.message_id, "unsent", retry="later") for m in claim.messages],
    )  # fmt: skip
    going = [
        m.outgoing.subscriber_id
        for m in (await claimed(office)).messages
        if m.contact_class != "answer"
    ]
    assert going == [known["0"]]
    assert await rows(
        office, "SELECT subscriber_id, reason FROM messages WHERE state = 'suppressed'"
    ) == [(known["1"], "opted_out")]  # fmt: skip


async def test_an_opt_out_does_not_unsay_what_may_have_been_sent(
    database_url: str, redis_url: str
) -> None:
    """It would be sent again but for the opt-out; that it never was, nobody knows."""
    async with installed(database_url, redis_url, SERVICE) as office:
        known = await queued(office, 1)
        claim = await claimed(office)
        await stop(office, known["0"], "0")
        await recorded(
            office, claim, [Outcome(m.outgoing.message_id, "unknown") for m in claim.messages]
        )
        assert await rows(
            office, "SELECT state, reason FROM messages WHERE journey = 'welcome'"
        ) == [("unknown", "opted_out")]


async def test_once_an_opt_out_is_committed_nothing_is_claimed(
    database_url: str, redis_url: str
) -> None:
    """Gateways claim and give back, people opt out, all at once: whoever begins to claim after an
    opt-out was committed gets nothing of that person's."""
    crowd = 120
    async with installed(database_url, redis_url, connections=14) as office:
        known = await queued(office, crowd)
        await do(office, "UPDATE messages SET attempt_id = attempt_id")
        opted_out: set[int] = set()
        wrong: list[int] = []
        done = asyncio.Event()

        async def gateway() -> None:
            while not done.is_set():
                before = {*opted_out}
                claim = await claimed(office, attempts=1)
                wrong.extend(
                    m.outgoing.subscriber_id
                    for m in claim.messages
                    if m.outgoing.subscriber_id in before and m.contact_class != "answer"
                )
                await asyncio.sleep(0)
                if claim.attempts:
                    await recorded(
                        office, claim,
                        [
                            Outcome(m.outgoing.message_id, "accepted", "x")
                            if m.contact_class == "answer"
                            else Outcome(m.outgoing.message_id, "unsent", retry="later")
                            for m in claim.messages
                        ],
                    )  # fmt: skip

        async def leave(key: str, who: int) -> None:
            await stop(office, who, key)
            opted_out.add(who)

        async def leaving(part: list[tuple[str, int]]) -> None:
            for key, who in part:
                await leave(key, who)
                await asyncio.sleep(0.002)

        gateways = [asyncio.create_task(gateway()) for _ in range(4)]
        everybody = [*known.items()]
        await asyncio.gather(*(leaving(everybody[n::3]) for n in range(3)))
        await asyncio.sleep(0.1)
        done.set()
        await asyncio.gather(*gateways)
        assert wrong == []
        assert len(opted_out) == crowd
        left = await rows(
            office, "SELECT state, count(*) FROM messages WHERE journey <> '' GROUP BY 1"
        )
        assert left == [("suppressed", crowd)]


async def test_what_was_sent_is_recorded_although_the_database_was_away(
    office: Context, smsc: Smsc, database_url: str
) -> None:
    await queued(office, 20)
    smsc.faults.delay_s = 0.5
    channel = await connected(smsc, office)
    delivering = asyncio.create_task(Delivery(office, channel).run())
    await until(lambda: smsc.submits == 20)
    # While the carrier thinks and answers, every connection to the database ends again and again.
    base = await asyncpg.connect(database_url)
    for _ in range(40):
        await base.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await asyncio.sleep(0.025)
    await base.close()
    await asyncio.wait({delivering})
    delivering.exception()  # that of its next claim, perhaps: a sweep rings again
    assert dict(await rows(office, STATES)).get("unknown") is None
    await sweep(office)
    await until_found(
        office, 20, "SELECT count(*) FROM messages WHERE state IN ('accepted', 'delivered')"
    )
    await channel.stop()


async def test_an_answer_passes_a_blast(office: Context, smsc: Smsc) -> None:
    """All lanes of the blast are busy with a slow carrier; the answer does not wait for them."""
    await queued(office, 40)
    channel = await connected(smsc, office, "&rate=20")
    delivery = Delivery(replace(office, clock=Clock.starting(NOON, 0)), channel)
    blast = asyncio.create_task(delivery.run())
    await until(lambda: smsc.submits > 2)
    known = await people(office, [1000])
    await say(office, "1000", "points")
    await take_named(office, known.values())
    async with asyncio.timeout(1.0):
        assert await delivery.run_answers() == 1
    assert not blast.done()
    blast.cancel()
    await asyncio.wait({blast})
    await channel.stop()


async def test_a_claim_takes_no_more_than_it_may(office: Context) -> None:
    """Whatever plan PostgreSQL makes: in an `IN (SELECT … LIMIT)` it may look again and again."""
    await queued(office, 1)
    await do(office, "ANALYZE attempts")
    await do(
        office,
        "INSERT INTO attempts (channel, priority, not_before)"
        " SELECT 'sms', 1, $1 FROM generate_series(1, 50)",
        NOON,
    )
    async with office.pool.acquire() as connection, connection.transaction():
        for plan in ("hashjoin", "mergejoin", "hashagg", "sort", "material"):
            await connection.execute(f"SET LOCAL enable_{plan} = off")
        claim = await claims.claim(
            connection, "sms", "test", NOON, office.clock.real_now() + LEASE, 2, office.ids,
            office.projects.project,
        )  # fmt: skip
    assert len(claim.attempts) == 2
