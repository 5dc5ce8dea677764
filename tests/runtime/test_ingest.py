"""What comes in is stored once, answered once, and acknowledged only when it is stored."""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import pytest
from msgspec.structs import replace

from channels.carriers.customer import Delivery
from channels.carriers.smsc import Smsc, SmscSettings
from orchestrator.core.delivery import Reply
from orchestrator.runtime.context import Context
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.ingest import LONGEST_REPLY, EventIn, Ingest
from orchestrator.runtime.worker import working
from tests.runtime.installation import (
    FILES,
    carrier,
    counting,
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

POINTS = """
earn:
  - on: shop.bought
    award: 10
    reason: purchase
"""


def reply(n: int, text: str, source_id: str) -> Reply:
    return Reply("sms", number(n), text, source_id, to="10086")


async def test_the_same_event_twice_is_one(office: Context) -> None:
    await people(office, range(2))
    ingest = Ingest(office)
    twice = [EventIn("0", "a.b", "1"), EventIn("0", "a.b", "1"), EventIn("1", "a.b", "2")]
    counts = await ingest.events(twice, "switch")
    assert (counts.stored, counts.known, counts.strangers) == (2, 1, ())
    counts = await ingest.events(twice, "switch")
    assert (counts.stored, counts.known) == (0, 3)


async def test_events_of_strangers_are_counted_by_position(office: Context) -> None:
    await people(office, range(1))
    reported = [EventIn("x", "a.b", "1"), EventIn("0", "a.b", "2"), EventIn("y", "a.b", "3")]
    counts = await Ingest(office).events(reported, "switch")
    assert (counts.stored, counts.known, counts.strangers) == (1, 0, (0, 2))
    # Nothing is remembered of them: once they are known, it counts.
    await people(office, [])
    assert await value(office, "SELECT count(*) FROM sources") == 1


async def test_two_sources_may_use_one_id(database_url: str, redis_url: str) -> None:
    """The shop's order 17 and the kiosk's order 17 are two purchases, and earn twice."""
    files = {**FILES, "journeys/program/points.yaml": POINTS}
    async with installed(database_url, redis_url, files) as office:
        await people(office, range(1))
        ingest = Ingest(office)
        for source in ("shop", "kiosk", "shop"):
            await ingest.events([EventIn("0", "shop.bought", "17")], source)
        await turns(office)
        assert await value(office, "SELECT balance_points FROM accounts") == 20


async def test_what_postgresql_cannot_hold_is_left_out(office: Context) -> None:
    await people(office, range(2))
    bad = {"text": "a\0b", "in\0": ["\0", {"x\0": "\0\0"}], "path": "C:\\u0000"}
    events = [EventIn("0", "a.b", "1", properties=bad), EventIn("1", "a.b", "2")]
    counts = await Ingest(office).events(events, "switch")
    assert counts.stored == 2
    (stored,) = await rows(office, "SELECT properties::text FROM events WHERE source_id = '1'")
    assert stored == ('{"in": ["", {"x": ""}], "path": "C:\\\\u0000", "text": "ab"}',)


async def test_many_processes_report_the_same_at_once(database_url: str, redis_url: str) -> None:
    """In whatever order: each event is stored once, and nobody fails."""
    async with installed(database_url, redis_url, connections=10) as office:
        await people(office, range(200))
        reported = [EventIn(str(n), "a.b", str(n)) for n in range(200)]
        orders = [reported, reported[::-1]] * 4
        counts = await asyncio.gather(*(Ingest(office).events(o, "switch") for o in orders))
        assert sum(c.stored for c in counts) == 200
        assert await value(office, "SELECT count(*) FROM events") == 200


async def test_the_same_reply_twice_is_answered_once(office: Context) -> None:
    await people(office, range(1))
    ingest = Ingest(office)
    for _ in range(3):
        await ingest.inbox.replies([reply(0, "points", "a"), reply(0, "points", "a")])
    await ingest.answered()
    assert await rows(office, "SELECT template, channel, address FROM messages") == [
        ("bot/balance", "sms", number(0))
    ]


async def test_who_writes_is_somebody(office: Context) -> None:
    ingest, other = Ingest(office), Ingest(office)
    await asyncio.gather(
        *(ingest.inbox.replies([reply(7, "what?", str(n))]) for n in range(3)),
        other.inbox.replies([reply(7, "who?", "x")]),
    )
    await ingest.answered()
    await other.answered()
    await turns(office)
    assert await rows(office, "SELECT key FROM subscribers") == [(f"sms:{number(7)}",)]
    templates = {row[0] for row in await rows(office, "SELECT template FROM messages")}
    assert templates == {"bot/help"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "\ud800",
        "a\0\udfff",
        "😀" * 100_000,
        "x" * 100_000,
        "\u202e\ufeff",
        "{{ 7*7 }}",
    ],
    ids=["empty", "blank", "nul", "half", "mixed", "emoji", "long", "marks", "template"],
)
async def test_whatever_somebody_types_is_stored_and_answered(office: Context, text: str) -> None:
    await people(office, range(2))
    ingest = Ingest(office)
    await asyncio.gather(
        ingest.inbox.replies([reply(0, text, "a\0\ud800")]),
        ingest.inbox.replies([reply(1, "points", "b")]),
        ingest.inbox.replies([Reply("sms", "\0\ud800", text, "c")]),
    )
    await ingest.answered()
    assert await value(office, "SELECT count(*) FROM failures") == 0
    assert await value(office, "SELECT count(*) FROM events WHERE taken_at IS NULL") == 0
    longest = await value(office, "SELECT max(length(properties ->> 'text')) FROM events")
    assert longest <= LONGEST_REPLY
    found = await rows(office, "SELECT template FROM messages WHERE address = $1", number(1))
    assert found == [("bot/balance",)]


async def test_many_replies_are_few_transactions(database_url: str, redis_url: str) -> None:
    statements: list[str] = []
    async with installed(database_url, redis_url) as office:
        await people(office, range(1000))
        pool = await asyncpg.create_pool(database_url, min_size=2, init=counting(statements))
        ingest = Ingest(replace(office, pool=pool))
        await asyncio.gather(
            *(ingest.inbox.replies([reply(n, "points", str(n))]) for n in range(1000))
        )
        await ingest.answered()
        await pool.close()
        assert await value(office, "SELECT count(*) FROM messages") == 1000
    assert len(statements) < 200, f"{len(statements)} for 1,000 replies"


async def test_a_reply_is_acknowledged_only_once_it_is_stored(
    office: Context, database_url: str
) -> None:
    """While the database is away, the carrier hears that we cannot; it brings the reply again, and
    nothing is lost, nothing answered twice."""
    await people(office, range(20))
    base = await asyncpg.connect(database_url)
    async with (
        carrier(redeliver_after_s=0.3) as smsc,
        holding(office, [sms(smsc)]) as ingest,
        working(office),
    ):
        await until(lambda: smsc.customers)
        # Replies cannot be stored: whoever tries waits, and is then cut off.
        said = []
        scissors = await asyncpg.connect(database_url)
        cutting = asyncio.create_task(_cut(scissors, base.get_server_pid(), 1.5))
        for n in range(20):
            said.append(smsc.handset(number(n)).say("points", to="10086"))
            await asyncio.sleep(0.05)
            acknowledged = sum(s.acknowledged_at is not None for s in said)
            stored = await base.fetchval("SELECT count(*) FROM events WHERE kind = 'reply'")
            assert acknowledged <= stored
        await cutting
        await scissors.close()
        await until(lambda: all(s.acknowledged_at for s in said))
        await ingest.answered()
        await until_found(office, 20, "SELECT count(*) FROM messages WHERE state = 'delivered'")
        assert await value(office, "SELECT count(*) FROM events WHERE kind = 'reply'") == 20
        await asyncio.sleep(0.5)
    assert [len(smsc.handset(number(n)).arrived) for n in range(20)] == [1] * 20
    await base.close()


async def _cut(base: asyncpg.Connection, spared: int, for_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(for_s):
            while True:
                await base.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> $1",
                    spared,
                )
                await asyncio.sleep(0.02)


async def test_a_reply_that_the_database_keeps_waiting_is_refused_in_time_and_counts_once(
    office: Context,
) -> None:
    """The carrier hears so before it thinks the connection dead, and brings it again."""
    await people(office, [1])
    refused: list[bool] = []

    class Counting(Smsc):
        def brought_back(self, delivery: Delivery, delay: bool) -> None:
            refused.append(delay)
            super().brought_back(delivery, delay=False)  # at once: nobody need wait 8 s here

    smsc = Counting(SmscSettings(redeliver_after_s=8.0))
    smsc.handset(number(1)).say("points", "10086")
    await smsc.start()
    async with office.pool.acquire() as connection, holding(office, [sms(smsc)]):
        async with connection.transaction():
            await connection.execute("LOCK TABLE events")
            await until(lambda: any(refused), patience_s=9)
        (said,) = smsc.handset(number(1)).said
        await until(lambda: said.acknowledged_at)
        await until(lambda: smsc.handset(number(1)).arrived)
    await smsc.stop()
    assert refused == [True], "answered, not given up by the carrier or lost with its connection"
    assert await value(office, "SELECT count(*) FROM events WHERE kind = 'reply'") == 1
    assert len(smsc.handset(number(1)).arrived) == 1
