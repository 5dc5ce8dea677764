"""Somebody is erased: nothing that says who they were is left, whatever goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio

from channels.carriers.smsc import Smsc
from orchestrator.core.contact import EVERYTHING
from orchestrator.core.delivery import Reply
from orchestrator.core.dossier import Dossier
from orchestrator.core.model import Consent
from orchestrator.runtime import people as rights
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.sweep import sweep
from orchestrator.store import events, failures, importing, scenes, timeline
from orchestrator.store.checks import examine
from orchestrator.store.erasure import Holdings
from orchestrator.store.events import NewEvent
from orchestrator.store.subscribers import NewSubscriber
from tests.runtime.installation import (
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

CANARIES = ("Canary", "canary", "dear words", "000000007", "chat-of-ann")
"""What must not be anywhere afterwards; her number ends in 000000007, and her key is ann-canary."""

EVERYTHING_ELSE = (
    "INSERT INTO suppressions VALUES ($1, now(), 'welcome', 'x', 'hello', 'canary said', NULL)",
    "INSERT INTO failures (subscriber_id, at, what, error) VALUES ($1, now(), 'turn', 'canary')",
    "INSERT INTO past_enrollments SELECT * FROM enrollments WHERE subscriber_id = $1",
    'UPDATE subscribers SET conversation = \'{"topic":"canary"}\' WHERE id = $1',
    "INSERT INTO stock VALUES ('cup', 10, 8, 1, 1, now())",
    """INSERT INTO holds
           (subscriber_id, key, reward, points, taken, state, at, expires_at, ended_at)
       VALUES ($1, 'sms:canary', 'cup', 0, '[]', 'sold', now(), now(), now())""",
    """INSERT INTO holds (subscriber_id, key, reward, points, taken, state, at, expires_at)
       VALUES ($1, 'sms:canary2', 'cup', 2, '[{"lot":"canary","points":-2}]', 'held', now(),
               now() + interval '1 hour')""",
    """INSERT INTO entries (subscriber_id, key, debit, credit, points, reason, at)
       VALUES ($1, 'hold:sms:canary2', 'available', 'held', 2, 'cup', now())""",
    "UPDATE accounts SET balance_points = 3, held_points = 2 WHERE subscriber_id = $1",
    "UPDATE lots SET points = 3 WHERE subscriber_id = $1",
    "INSERT INTO usage_months VALUES ($1, 'canary', '2026-03-01', 3, '[2:2]={3}')",
    # Her number's slot, and her key's.
    """INSERT INTO trigger_waits
       VALUES (10, '+8613000000007', 'welcome', 0, 'call.ended', 0, 1, 'x', '{"cell":"canary"}')""",
    """INSERT INTO trigger_states
       VALUES (10, '+8613000000007', '{"cell":[1.5,"canary"]}', 1.5)""",
    "INSERT INTO trigger_firings VALUES (43, '=ann-canary', 'welcome', 0, 2)",
    """INSERT INTO set_aside_events (at, source, name, source_id, who, reason, body, digest)
       VALUES (now(), 'api', 'x', 'y', '+8613000000007', 'no', '{"number":"canary"}', '\\x01')""",
    """INSERT INTO codes (subscriber_id, code_hash, hold, reward, given_at)
       VALUES ($1, '\\x01', 'sms:canary', 'cup', now())""",
)


@pytest_asyncio.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    async with installed(database_url, redis_url) as context:
        yield context


async def ann(context: Context) -> int:
    """Ann, about whom everything is known that can be; her number is that of 7."""
    consents = {"marketing": Consent(True, NOON, "form", "I agree, dear words")}
    told = NewSubscriber(
        "ann-canary",
        timezone="Asia/Shanghai",
        addresses={"sms": number(7), "webchat": "chat-of-ann"},
        attributes={"name": "Ann Canary"},
        tags=("canary-lover",),
        consents=consents,
    )
    async with context.pool.acquire() as connection, connection.transaction():
        await importing.add(connection, [told], NOON, "en", context.secret)
        who: int = await connection.fetchval("SELECT id FROM subscribers WHERE key = 'ann-canary'")
    report = EventIn(
        "ann-canary", "subscriber.activated", f"crm:{number(7)}", None, {"plan": "canary"}
    )
    await Ingest(context).events([report], "crm")
    await turns(context)
    ingest = Ingest(context)
    await ingest.inbox.replies([Reply("sms", number(7), "dear words", "r1")])
    await ingest.answered()
    for command in EVERYTHING_ELSE:
        await do(context, command, *([who] * ("$1" in command)))
    return who


async def erase(context: Context, who: int) -> Holdings | None:
    async with context.pool.acquire() as connection:
        return await rights.erase(connection, who, "cli:op@host", NOON, context.secret)


async def everywhere(context: Context) -> dict[str, str]:
    """Every table as text."""
    tables = await rows(
        context,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    )
    found = {}
    for (table,) in tables:
        found[table] = "\n".join(
            row[0] for row in await rows(context, f"SELECT it::text FROM {table} it")
        )
    return found


async def wrong(context: Context) -> list[str]:
    async with context.pool.acquire() as connection:
        found = await examine(connection, context.clock.now())
    return [line for finding in found for line in finding.found]


async def said_by(context: Context, address: str, text: str, source_id: str) -> None:
    """A reply has come in, and been answered."""
    ingest = Ingest(context)
    await ingest.inbox.replies([Reply("sms", address, text, source_id)])
    await ingest.answered()


def later(context: Context) -> Context:
    """The same process, a minute on."""
    return at(context, NOON + timedelta(minutes=1))


async def imported(context: Context, key: str, n: int) -> dict[str, Consent]:
    """Somebody is imported with this number, and a consent: their consents."""
    news = NewSubscriber(
        key,
        timezone="Asia/Shanghai",
        addresses={"sms": number(n)},
        consents={"marketing": Consent(True, NOON, "import")},
    )
    async with context.pool.acquire() as connection, connection.transaction():
        added = await importing.add(connection, [news], NOON, "en", context.secret)
        assert not added.refused
        found = await timeline.find(connection, key)
        assert found is not None
    return dict(found.consents)


async def test_nothing_that_says_who_they_were_is_left_in_any_table(house: Context) -> None:
    who = await ann(house)
    before = await everywhere(house)
    assert sum(any(it in text for it in CANARIES) for text in before.values()) >= 10
    had = await erase(house, who)
    assert had is not None
    assert (had.replies, had.addresses, had.points, had.unused_codes) == (1, 2, 5, 1)
    for table, text in (await everywhere(house)).items():
        assert [it for it in CANARIES if it in text] == [], table
    assert await wrong(house) == []


async def test_the_accounts_still_add_up_and_what_was_held_is_free_again(house: Context) -> None:
    who = await ann(house)
    await erase(house, who)
    figures = "SELECT balance_points, held_points, expired_points, earned_points FROM accounts"
    assert await rows(house, figures) == [(0, 0, 5, 5)]
    assert await rows(house, "SELECT free, reserved, sold FROM stock") == [(9, 0, 1)]
    assert await value(house, "SELECT count(*) FROM entries WHERE subscriber_id = $1", who) >= 3
    states = "SELECT state FROM messages WHERE subscriber_id = $1 AND template = 'hello'"
    assert await rows(house, states, who) == [("suppressed",)]


async def test_erasing_twice_is_safe_and_on_record_once(house: Context) -> None:
    who = await ann(house)
    assert await erase(house, who) is not None
    assert await erase(house, who) is None
    acts = "SELECT entry::json ->> 'about' FROM acts WHERE entry::json ->> 'what' LIKE '%erased'"
    assert await rows(house, acts) == [(f"subscriber:{who}",)]


async def test_whoever_comes_back_with_the_address_stays_opted_out(house: Context) -> None:
    await erase(house, await ann(house))
    consents = await imported(house, "ann-again", 7)
    assert consents[EVERYTHING].granted is False
    assert consents[EVERYTHING].how == "erased"
    assert await wrong(house) == []
    await happened(house, ["ann-again"])
    await turns(house)
    theirs = """
        SELECT count(*) FROM messages JOIN subscribers s ON s.id = subscriber_id
        WHERE s.key = 'ann-again'"""
    assert await value(house, theirs) == 0


async def test_an_import_does_not_undo_it_a_start_does(house: Context) -> None:
    await erase(house, await ann(house))
    for _ in range(2):
        assert (await imported(house, "ann-again", 7))[EVERYTHING].granted is False
    await said_by(later(house), number(7), "START", "r2")
    assert await value(house, "SELECT count(*) FROM forgotten_addresses") == 1  # the chat's
    assert (await imported(house, "ann-again", 7))[EVERYTHING].granted is True
    assert await wrong(house) == []


async def test_a_stop_and_a_start_from_the_number_get_what_unknown_numbers_get(
    house: Context,
) -> None:
    await erase(house, await ann(house))
    await said_by(house, number(7), "STOP", "r3")
    await said_by(house, number(8), "STOP", "r4")
    answers = """
        SELECT s.key, m.template FROM messages m JOIN subscribers s ON s.id = m.subscriber_id
        ORDER BY 1"""
    assert await rows(house, answers) == [
        (f"sms:{number(7)}", "bot/stopped"),
        (f"sms:{number(8)}", "bot/stopped"),
    ]
    assert (await imported(house, "ann-again", 7))[EVERYTHING].granted is False
    await said_by(later(house), number(7), "START", "r5")
    assert (await imported(house, "ann-again", 7))[EVERYTHING].granted is True


async def test_others_are_not_opted_out(house: Context) -> None:
    await erase(house, await ann(house))
    assert EVERYTHING not in await imported(house, "bob", 9)


async def test_a_message_in_flight_and_its_receipt_bring_nothing_back(house: Context) -> None:
    known = await people(house, [1, 2])
    await happened(house, known)
    await turns(house)
    async with carrier(receipt_delay_s=0.3) as smsc:
        smsc.faults.delay_s = 0.5
        channel = sms(smsc)
        await channel.start(Ingest(house).inbox)
        await until(lambda: channel.health() == "up")
        sending = asyncio.create_task(Delivery(house, channel).run())
        claimed = "SELECT count(*) > 0 FROM attempts WHERE claimed_by IS NOT NULL"
        await until_found(house, True, claimed)
        await erase(house, known["1"])
        assert await sending == 2
        one = "SELECT state, carrier_id, address, content FROM messages WHERE subscriber_id = $1"
        assert await rows(house, one, known["1"]) == [("unknown", None, "", "{}")]
        delivered = "SELECT state FROM messages WHERE subscriber_id = $1"
        await until_found(house, "delivered", delivered, known["2"])
        await until_found(house, 1, "SELECT count(*) FROM parked_receipts")
        await sweep(house)
        assert await rows(house, one, known["1"]) == [("unknown", None, "", "{}")]
        await channel.stop()
    assert len(told(smsc)) == 2
    assert await wrong(house) == []


def told(smsc: Smsc) -> list[str]:
    return [arrived.text for n in (1, 2) for arrived in smsc.handset(number(n)).arrived]


async def test_a_turn_that_has_them_in_hand_ends_first(house: Context) -> None:
    who = await ann(house)
    async with house.pool.acquire() as connection:
        turn = connection.transaction()
        await turn.start()
        await scenes.claim_named(connection, [who])
        erasing = asyncio.create_task(erase(house, who))
        done, _ = await asyncio.wait([erasing], timeout=0.3)
        assert not done
        await turn.commit()
    assert await erasing is not None


async def test_a_report_that_is_being_stored_meanwhile_is_gone_too(house: Context) -> None:
    who = await ann(house)
    shard = await value(house, "SELECT shard FROM subscribers WHERE id = $1", who)
    late = NewEvent(who, shard, "event", "late", {"says": "canary"}, NOON, "crm", "late-1")
    async with house.pool.acquire() as connection:
        storing = connection.transaction()
        await storing.start()
        assert await events.add(connection, [late], NOON, house.ids) != []
        erasing = asyncio.create_task(erase(house, who))
        await asyncio.wait([erasing], timeout=0.3)
        await storing.commit()
    assert await erasing is not None
    assert await value(house, "SELECT count(*) FROM events") == 0
    async with house.pool.acquire() as connection:
        assert await events.add(connection, [late], NOON, house.ids) == []
        await failures.record(connection, [(who, "turn", "canary")], NOON, NOON)
    assert await value(house, "SELECT count(*) FROM failures") == 0
    assert await wrong(house) == []


async def test_people_are_erased_while_everything_else_goes_on(house: Context) -> None:
    known = await people(house, range(60))
    await happened(house, known)
    gone = [known[str(n)] for n in range(0, 60, 3)]

    async def work() -> None:
        for round_ in range(4):
            await happened(house, known, f"data.used.{round_}")
            await turns(house)
            await sweep(house)

    async def forget() -> None:
        for who in gone:
            await erase(house, who)

    await asyncio.gather(work(), forget())
    await turns(house)
    left = "SELECT count(*) FROM events WHERE subscriber_id = ANY($1::bigint[])"
    assert await value(house, left, gone) == 0
    assert await value(house, "SELECT count(*) FROM subscribers") == 40
    assert await wrong(house) == []


async def test_an_export_has_everything_and_is_on_record(house: Context) -> None:
    who = await ann(house)
    async with house.pool.acquire() as connection:
        told = await rights.export(connection, who, "cli:op@host", NOON, house.secret)
    assert isinstance(told, Dossier)
    assert told.subscriber.attributes == {"name": "Ann Canary"}
    assert [it.wording for it in told.consents] == ["I agree, dear words"]
    assert [it.text for it in told.replies] == ["dear words"]
    assert told.events[0].properties == {"plan": "canary"}
    assert "Hello Ann Canary!" in [it.content["text"] for it in told.messages]
    assert {it.journey for it in told.enrollments} == {"welcome"}
    assert told.versions[0].journey == "welcome"
    assert told.points.account is not None
    assert told.points.account.held_points == 2
    assert [it.key for it in told.points.purchases] == ["sms:canary", "sms:canary2"]
    assert [it.hold for it in told.points.codes] == ["sms:canary"]
    assert [it.error for it in told.failures] == ["canary"]
    assert [it.what for it in told.acts] == ["subscriber.exported"]
    assert {it.kind for it in told.timeline} >= {"event", "reply", "message", "points", "consent"}
    assert int(told.messages[0].id) > 2**53


async def test_nobody_is_exported_after_an_erasure(house: Context) -> None:
    who = await ann(house)
    await erase(house, who)
    async with house.pool.acquire() as connection:
        assert await rights.export(connection, who, "cli:op@host", NOON, house.secret) is None


async def test_the_log_of_acts_cannot_be_changed_by_mistake(house: Context) -> None:
    await erase(house, await ann(house))
    for command in ("DELETE FROM acts", "UPDATE acts SET seal = ''", "TRUNCATE acts"):
        with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
            await do(house, command)
