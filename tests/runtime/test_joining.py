"""A code said in a chat makes that chat somebody's: once, in time, and with all it had before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest_asyncio

from orchestrator.core.delivery import Reply
from orchestrator.core.invitations import (
    hash_invitation,
    long_code,
    read_invitation,
    short_code,
)
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.reports import EventShape
from orchestrator.store import checks, invitations, joining, points
from tests.runtime.installation import (
    NOON,
    at,
    do,
    happened,
    installed,
    people,
    rows,
    turns,
    value,
)

CHAT = ("telegram", "4200001")
CODE = "7Q2M0RXA9KTVC4HE"


@pytest_asyncio.fixture
async def context(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    async with installed(database_url, redis_url) as made:
        yield made


async def says(context: Context, text: str, sender: tuple[str, str] = CHAT) -> list[str]:
    """What is queued for the sender, once they have said this."""
    before = {row[0] for row in await rows(context, "SELECT id FROM messages")}
    number = await value(context, "SELECT count(*) FROM sources")
    ingest = Ingest(context)
    await ingest.inbox.replies([Reply(*sender, text, f"said-{number}")])
    await ingest.answered()
    query = "SELECT id, content FROM messages WHERE channel = $1 AND address = $2 ORDER BY id"
    told = await rows(context, query, *sender)
    return [msgspec.json.decode(it[1])["text"] for it in told if it[0] not in before]


async def invite(context: Context, subscriber_id: int, code: str = CODE) -> None:
    async with context.pool.acquire() as connection:
        until = context.clock.now() + timedelta(minutes=10)
        hashed = hash_invitation(code, context.secret)
        await invitations.add(connection, [(hashed, subscriber_id, until)], context.clock.now())


async def owner(context: Context, sender: tuple[str, str] = CHAT) -> str | None:
    query = """
    SELECT s.key FROM addresses a JOIN subscribers s ON s.id = a.subscriber_id
    WHERE a.channel = $1 AND a.address = $2
    """
    key: str | None = await value(context, query, *sender)
    return key


async def sound(context: Context) -> bool:
    """Every invariant of the database holds."""
    async with context.pool.acquire() as connection:
        findings = await checks.examine(connection, context.clock.now())
    wrong = {it.check: it.found for it in findings if it.found}
    assert not wrong, wrong
    return True


def test_codes_are_read_as_people_type_them() -> None:
    short, long = short_code(bytes(range(16)), "x"), long_code(bytes(range(16)))
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}", short)
    assert re.fullmatch(r"[0-9A-Z]{16}", long)
    assert read_invitation(short.lower()) == short.replace("-", "")
    assert read_invitation("7q2m orxa") == "7Q2M0RXA"
    assert read_invitation("7q2m") is None
    assert read_invitation("７Ｑ２Ｍ") is None
    assert hash_invitation(short, b"s") == hash_invitation(short.replace("-", ""), b"s")
    assert hash_invitation(short, b"s") != hash_invitation(short, b"t")


async def test_a_code_from_a_text_message_connects_a_chat(context: Context) -> None:
    ids = await people(context, [1])
    phone = ("sms", "+8613000000001")
    [told] = await says(context, "LINK", phone)
    [code] = re.findall(r"LINK ([0-9A-Z]{4}-[0-9A-Z]{4})", told)
    [welcome] = await says(context, f"link {code.lower()}")
    assert "belong together" in welcome
    assert await owner(context) == "1"
    addresses = await value(context, "SELECT addresses FROM subscribers WHERE id = $1", ids["1"])
    assert msgspec.json.decode(addresses) == dict([phone, CHAT])
    [again] = await says(context, f"link {code}")
    assert "belong together" in again
    [late] = await says(context, f"link {code}", ("telegram", "4200002"))
    assert "wrong" in late
    assert await sound(context)
    stored = await rows(context, "SELECT code_hash FROM invitations")
    assert stored == [(hash_invitation(code, context.secret),)]


async def test_who_wrote_in_before_is_one_with_them_and_an_opt_out_holds(context: Context) -> None:
    ids = await people(context, [1])
    await says(context, "STOP")
    stranger = await value(context, "SELECT id FROM subscribers WHERE key = 'telegram:4200001'")
    await invite(context, ids["1"])
    await says(context, f"/start {CODE.lower()}")
    assert await owner(context) == "1"
    consents = await value(context, "SELECT consents FROM subscribers WHERE id = $1", ids["1"])
    assert msgspec.json.decode(consents)["everything"]["granted"] is False
    for table in ("events", "messages", "consent_records"):
        theirs = f"SELECT count(*) FROM {table} WHERE subscriber_id = $1"
        assert await value(context, theirs, stranger) == 0
        assert await value(context, theirs, ids["1"]) > 0
    assert await value(context, "SELECT count(*) FROM subscribers WHERE id = $1", stranger) == 0
    assert await sound(context)


async def test_points_and_journeys_of_both_are_one_members(context: Context) -> None:
    ids = await people(context, [1])
    await says(context, "hello")
    stranger = await value(context, "SELECT id FROM subscribers WHERE key = 'telegram:4200001'")
    keys = ["1", "telegram:4200001"]
    await happened(context, keys)
    await turns(context)
    await invite(context, ids["1"])
    await says(context, f"link {CODE}")
    held = "SELECT balance_points, earned_points FROM accounts WHERE subscriber_id = $1"
    assert await rows(context, held, ids["1"]) == [(10, 10)]
    assert await rows(context, held, stranger) == []
    async with context.pool.acquire() as connection:
        accounts = await points.load_accounts(connection, [ids["1"]])
    assert sum(lot.points for lot in accounts[ids["1"]].lots) == 10
    assert await sound(context)


async def test_of_many_who_say_one_code_at_once_one_is_connected(context: Context) -> None:
    ids = await people(context, [1])
    await invite(context, ids["1"])
    senders = [("telegram", f"420000{number}") for number in range(8)]
    ingests = [Ingest(context) for _ in senders]
    await asyncio.gather(
        *(
            ingest.inbox.replies([Reply(*sender, f"link {CODE}", f"at-once-{sender[1]}")])
            for ingest, sender in zip(ingests, senders, strict=True)
        )
    )
    for ingest in ingests:
        await ingest.answered()
    assert [await owner(context, it) for it in senders].count("1") == 1
    assert await sound(context)


async def test_a_code_lives_for_ten_minutes(context: Context) -> None:
    ids = await people(context, [1])
    await invite(context, ids["1"])
    late = at(context, NOON + timedelta(minutes=11))
    assert "too old" in (await says(late, f"link {CODE}"))[0]
    assert await owner(context) == "telegram:4200001"


async def test_after_five_wrong_codes_an_hour_has_to_pass(context: Context) -> None:
    ids = await people(context, [1])
    await invite(context, ids["1"])
    for number in range(5):
        await says(context, f"link 7777888{number}")
    await says(context, f"link {CODE}")
    assert await owner(context) == "telegram:4200001"
    assert await says(context, f"link {CODE}", ("telegram", "4200002"))
    assert await owner(context, ("telegram", "4200002")) == "1"
    await invite(context, ids["1"], "8" * 16)
    later = at(context, NOON + timedelta(minutes=61))
    await do(context, "UPDATE invitations SET expires_at = $1", NOON + timedelta(hours=2))
    assert "belong together" in (await says(later, f"link {'8' * 16}"))[0]
    assert await owner(context) == "1"


async def test_two_people_we_know_stay_two(context: Context) -> None:
    ids = await people(context, [1, 2])
    await invite(context, ids["1"])
    [told] = await says(context, f"link {CODE}", ("sms", "+8613000000002"))
    assert "two different customers" in told
    assert await owner(context, ("sms", "+8613000000002")) == "2"
    assert await owner(context, ("sms", "+8613000000001")) == "1"


async def test_another_telephone_does_not_take_the_place_of_theirs(context: Context) -> None:
    ids = await people(context, [1])
    await invite(context, ids["1"])
    other = ("sms", "+8613999999999")
    [told] = await says(context, f"link {CODE}", other)
    assert "two different customers" in told
    await says(context, f"link {CODE}", other)
    assert await owner(context, other) == "sms:+8613999999999"
    assert await owner(context, ("sms", "+8613000000001")) == "1"
    assert await sound(context)


async def test_a_code_from_a_chat_said_by_text_message_connects_it_too(context: Context) -> None:
    await people(context, [1])
    [told] = await says(context, "/link")
    [code] = re.findall(r"LINK ([0-9A-Z]{4}-[0-9A-Z]{4})", told)
    assert await says(context, f"LINK {code}", CHAT)  # said where it was given: nothing happens
    assert await owner(context) == "telegram:4200001"
    [welcome] = await says(context, f"LINK {code}", ("sms", "+8613000000001"))
    assert "belong together" in welcome
    assert await owner(context) == "1"
    assert await sound(context)


async def test_no_table_about_somebody_is_forgotten_when_two_become_one(context: Context) -> None:
    query = """
    SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = 'subscriber_id'
    """
    found = {row[0] for row in await rows(context, query)} - {"erasures"}
    queries = " ".join(it for it in vars(joining).values() if isinstance(it, str))
    moved = set(re.findall(r"(?:UPDATE|DELETE FROM|INSERT INTO) (\w+)", queries))
    assert found <= moved, f"say in store/joining.py what becomes of {sorted(found - moved)}"


async def test_a_code_for_what_was_bought_belongs_to_its_sale_still(context: Context) -> None:
    ids = await people(context, [1])
    await says(context, "HELP")
    stranger = await value(context, "SELECT id FROM subscribers WHERE key = 'telegram:4200001'")
    now = context.clock.now()
    for command in (
        "INSERT INTO stock (reward, stock, free, sold, stocked_at) VALUES ('cup', 1, 0, 1, $2)",
        "INSERT INTO holds VALUES ($1, 'h', 'cup', 0, '[]', 'sold', $2, $2, $2)",
        "INSERT INTO codes VALUES ($1, 'hash', 'h', 'cup', $2)",
    ):
        await do(context, command.replace("$2", "now()"), *([stranger] if "$1" in command else []))
    await invite(context, ids["1"])
    await says(context, f"/start {CODE.lower()}")
    assert await value(context, "SELECT subscriber_id FROM codes") == ids["1"]
    assert await sound(at(context, now))


async def test_that_a_refusal_holds_for_both_is_on_record(context: Context) -> None:
    ids = await people(context, [1])
    await says(context, "STOP")
    later = at(context, NOON + timedelta(minutes=1))
    await says(later, "START", ("sms", "+8613000000001"))
    later = at(context, NOON + timedelta(minutes=2))
    await invite(later, ids["1"])
    await says(later, f"/start {CODE.lower()}")
    last = "SELECT granted, how FROM consent_records WHERE subscriber_id = $1 ORDER BY at DESC"
    assert (await rows(later, last, ids["1"]))[0] == (False, "joined")
    assert await sound(later)


async def test_what_somebody_says_while_they_become_another_is_not_lost(context: Context) -> None:
    ids = await people(context, [1])
    await says(context, "HELP")
    stranger = await value(context, "SELECT id FROM subscribers WHERE key = 'telegram:4200001'")
    async with context.pool.acquire() as connection, connection.transaction():
        both = await joining.lock(connection, [ids["1"], stranger])
        await joining.merge(connection, both[ids["1"]], both[stranger], NOON)
        saying = asyncio.create_task(says(context, "STOP"))
        async with asyncio.timeout(30):
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not await value(context, waits):  # noqa: ASYNC110 - a lock has no event
                await asyncio.sleep(0.01)
    await saying
    consents = await value(context, "SELECT consents FROM subscribers WHERE id = $1", ids["1"])
    assert msgspec.json.decode(consents)["everything"]["granted"] is False
    assert await value(context, "SELECT count(*) FROM subscribers") == 1
    assert await sound(context)


async def test_what_is_reported_of_somebody_while_they_become_another_is_not_lost(
    context: Context,
) -> None:
    await says(context, "HELP")
    ids = await people(context, [1])
    stranger, number = ids["1"], "+8613000000001"
    host = await value(context, "SELECT id FROM subscribers WHERE key = 'telegram:4200001'")
    bought = EventShape("shop.bought", "b1", number=number)
    by_key = EventShape("shop.bought", "b2", subscriber="1")
    async with context.pool.acquire() as connection, connection.transaction():
        both = await joining.lock(connection, [host, stranger])
        await joining.merge(connection, both[host], both[stranger], NOON)
        taking = asyncio.create_task(Intake(context).take([bought, by_key]))
        async with asyncio.timeout(30):
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not await value(context, waits):  # noqa: ASYNC110 - a lock has no event
                await asyncio.sleep(0.01)
    taken = await taking
    assert (taken.stored, taken.known, taken.strangers) == (1, 0, (1,))
    whose = "SELECT subscriber_id, source_id FROM events WHERE name = 'shop.bought'"
    assert await rows(context, whose) == [(host, "b1")]
    assert (await Intake(context).take([bought])).known == 1
