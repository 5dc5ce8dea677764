"""The doctor finds each thing that can be wrong, by breaking it on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
import pytest_asyncio

from orchestrator.core.model import Consent
from orchestrator.runtime.context import Context
from orchestrator.store import subscribers
from orchestrator.store.checks import CHECKS, Finding, examine
from orchestrator.store.subscribers import NewSubscriber
from tests.runtime.installation import NOON, do, happened, installed, people, turns

HELD = """
INSERT INTO holds (subscriber_id, key, reward, points, taken, state, at, expires_at, ended_at)
SELECT id, 'h', 'cup', 0, '[]', 'sold', now(), now(), now() FROM subscribers WHERE key = '1'
"""
STOCKED = "INSERT INTO stock VALUES ('cup', 10, 9, 0, 1, now())"
CODED = """
INSERT INTO codes (subscriber_id, code_hash, hold, reward, given_at)
SELECT id, '\\x01', 'h', 'cup', now() FROM subscribers WHERE key = '1'
"""

WOUNDS: dict[str, Sequence[str]] = {
    "addresses are listed": ["UPDATE subscribers SET addresses = '{}' WHERE key = '1'"],
    "addresses are owned": ["DELETE FROM addresses WHERE address LIKE '%1'"],
    "shards are right": ["UPDATE accounts SET shard = (shard + 1) % 64"],
    "nobody is stuck": ["UPDATE enrollments SET status = 'active', ended_at = NULL"],
    "what has ended rests": ["UPDATE enrollments SET due_at = now()"],
    "versions in use are stored": [
        "UPDATE enrollments SET ended_at = NULL, due_at = now(), step = 'x', version = 'gone'"
    ],
    "edits are followed": [
        "INSERT INTO moves (project_id, journey, version, sources, rule, planned, begun_at)"
        " SELECT max(id), 'welcome', 'v', '{}', '{}', 1, now() - interval '1 year' FROM projects"
    ],
    "queued messages have an attempt": ["DELETE FROM attempts"],
    "attempts have messages": ["UPDATE messages SET state = 'suppressed'"],
    "silent gateways are settled": [
        "UPDATE attempts SET claimed_by = 'x', lease_until = now() - interval '1 hour'"
    ],
    "consents are on record": ["DELETE FROM consent_records WHERE purpose = 'marketing'"],
    "refusals are kept": ["UPDATE subscribers SET consents = consents - 'calls'"],
    "who was erased is gone": ["INSERT INTO erasures SELECT id, now() FROM subscribers"],
    "the audit log is whole": [
        "INSERT INTO acts VALUES (1, '{\"previous\":\"\"}', 'another', 'seal')"
    ],
    "triggers fire when their time has come": [
        "INSERT INTO trigger_waits VALUES (0, '+86138', 'late', 0, 'call.ended', 0, 1, 'x', '{}')"
    ],
    "reported events can be taken": [
        "INSERT INTO set_aside_events (at, source, name, source_id, who, reason, body, digest) "
        "VALUES (now(), 'api', 'call.ended', 'x', '', 'cell is missing', '{}', '')"
    ],
    "the ledger adds up to nothing": [
        "ALTER TABLE accounts DROP CONSTRAINT accounts_check",
        "UPDATE accounts SET balance_points = balance_points + 1",
    ],
    "members' figures are their entries'": ["UPDATE entries SET points = points + 1"],
    "balances are their lots'": ["UPDATE lots SET points = points + 1"],
    "held points are the open holds'": [
        "UPDATE accounts SET held_points = 2, balance_points = balance_points - 2"
    ],
    "holds took from lots what they cost": ["UPDATE holds SET points = 3"],
    "stock is what the holds say": ["UPDATE stock SET sold = 2, free = 8"],
    "codes belong to sales": ["UPDATE codes SET hold = 'another'"],
    "points expire when they are due": ["UPDATE accounts SET due_at = now()"],
}
"""For each check, what breaks it."""


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    """An installation in which something of everything has happened."""
    async with installed(database_url, redis_url) as context:
        consents = {"marketing": Consent(True, NOON), "calls": Consent(False, NOON)}
        await people(context, range(3), consents=consents)
        await happened(context, ["0", "1"])
        await turns(context)
        for made in (HELD, STOCKED, CODED):
            await do(context, made)
        yield context


async def wrong(context: Context) -> dict[str, Finding]:
    """What the doctor finds an hour later, by check."""
    async with context.pool.acquire() as connection:
        later = context.clock.now() + timedelta(hours=1)
        return {it.check: it for it in await examine(connection, later) if it.found}


async def test_a_sound_installation_has_no_finding(office: Context) -> None:
    assert await wrong(office) == {}


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
async def test_what_is_broken_is_found_and_named(name: str, office: Context) -> None:
    for wound in WOUNDS[name]:
        await do(office, wound)
    found = await wrong(office)
    assert name in found
    assert found[name].remedy


async def test_what_a_gateway_will_settle_by_itself_is_no_finding(office: Context) -> None:
    await do(office, "UPDATE messages SET state = 'suppressed'")
    async with office.pool.acquire() as connection:
        now = await examine(connection, office.clock.now())
    assert [it.check for it in now if it.found] == []


async def test_findings_end_where_they_are_told_to(office: Context) -> None:
    await do(office, "DELETE FROM addresses")
    async with office.pool.acquire() as connection:
        findings = {it.check: it for it in await examine(connection, NOON, most=2)}
    assert len(findings["addresses are owned"].found) == 2


async def test_a_consent_that_comes_with_a_later_import_leaves_one_record(office: Context) -> None:
    agreed = NewSubscriber("0", consents={"news": Consent(True, NOON, "import")})
    async with office.pool.acquire() as connection:
        for _ in range(2):
            await subscribers.upsert(connection, [agreed], NOON, "en")
        query = "SELECT count(*) FROM consent_records WHERE purpose = 'news'"
        assert await connection.fetchval(query) == 1
    assert await wrong(office) == {}
