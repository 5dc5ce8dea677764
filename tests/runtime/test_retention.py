"""What has been kept long enough goes, and nothing that is still needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from orchestrator.core.retention import Keep, Retention
from orchestrator.runtime.context import Context
from orchestrator.runtime.sweep import sweep
from orchestrator.store import acts, retention
from orchestrator.store.checks import examine
from orchestrator.store.ids import first_id
from orchestrator.store.retention import PASSES
from tests.runtime.installation import (
    CONTACT,
    FILES,
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

DAY = timedelta(days=1)
FOREVER = {
    **FILES,
    "journeys/program/retention.yaml": "".join(
        f"{name}: forever\n" for name in Retention.__struct_fields__
    ),
}
SHORT = {
    **FILES,
    "journeys/program/contact.yaml": CONTACT.replace(
        "    per_day: 1\n", "    per_day: 1\n    same_message: 50d\n"
    ),
    "journeys/program/retention.yaml": "messages: 1d\ntexts: 2d\n",
}
FIRST = first_id(NOON)
OLD = (
    "DELETE FROM attempts",
    "UPDATE messages SET state = 'delivered', carrier_id = 'c1', code = '000' WHERE id > 0",
    """INSERT INTO suppressions SELECT id, $1, 'welcome', 'x', 'hello', 'per_day', NULL
       FROM subscribers""",
    """INSERT INTO failures (subscriber_id, at, what, error)
       SELECT id, $1, 'turn', 'x' FROM subscribers""",
    "INSERT INTO past_enrollments SELECT * FROM enrollments",
    """INSERT INTO usage_months SELECT id, 'mb', '2026-02-01', 3, '{3}' FROM subscribers""",
    f"""INSERT INTO events
       SELECT {FIRST} + 100 + id, id, shard, 'reply', 'sms', '{{}}', $1, 'sms', 'r' || id, $1
       FROM subscribers""",
    f"""INSERT INTO events (id, subscriber_id, shard, kind, name, properties, at, source, source_id,
           taken_at, tries)
       SELECT {FIRST} + 200 + id, id, shard, 'event', 'bad', '{{}}', $1, 'crm', 'b' || id, $1, 5
       FROM subscribers""",
)
COUNTS = """
SELECT (SELECT count(*) FROM messages WHERE content <> '{}') AS texts,
    (SELECT count(*) FROM messages WHERE carrier_id IS NOT NULL) AS receipts,
    (SELECT count(*) FROM messages) AS messages,
    (SELECT count(*) FROM events WHERE kind = 'reply') AS replies,
    (SELECT count(*) FROM events WHERE kind <> 'reply' AND tries < 5) AS events,
    (SELECT count(*) FROM events WHERE tries >= 5) AS letters,
    (SELECT count(*) FROM failures) AS failures,
    (SELECT count(*) FROM suppressions) AS suppressions,
    (SELECT count(*) FROM past_enrollments) AS past_enrollments,
    (SELECT count(*) FROM usage_months) AS usage,
    (SELECT count(*) FROM lives WHERE project_id IS NOT NULL) AS turns,
    (SELECT count(*) FROM sources) AS source_ids
"""


@pytest_asyncio.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    async with installed(database_url, redis_url) as context:
        await lived(context)
        yield context


async def lived(context: Context, count: int = 3) -> None:
    """Some people have one of everything, at noon."""
    known = await people(context, range(count))
    await happened(context, known)
    await turns(context)
    for command in OLD:
        await do(context, command, *([NOON] * ("$1" in command)))


async def kept(context: Context) -> dict[str, int]:
    found = await context.pool.fetchrow(COUNTS)
    return dict(found)


async def wrong(context: Context) -> list[str]:
    async with context.pool.acquire() as connection:
        found = await examine(connection, context.clock.now())
    return [line for finding in found for line in finding.found]


async def swept(context: Context, days: float) -> dict[str, int]:
    """What is left after the sweeps of so many days later."""
    later = at(context, NOON + days * DAY)
    await sweep(later)
    assert await wrong(later) == []
    return await kept(context)


async def test_each_kind_goes_when_its_time_is_over_and_not_before(house: Context) -> None:
    before = await kept(house)
    assert set(before.values()) == {3}
    assert await swept(house, 29) == before
    assert await swept(house, 31) == {
        **before, "receipts": 0, "letters": 0, "failures": 0,
    }  # fmt: skip
    assert (await swept(house, 58))["usage"] == 3
    assert (await swept(house, 61))["usage"] == 0
    left = await swept(house, 91)
    assert (left["texts"], left["source_ids"]) == (0, 0)
    assert (left["replies"], left["events"]) == (3, 3)
    left = await swept(house, 121)
    assert (left["replies"], left["events"]) == (0, 0)
    assert (left["messages"], left["suppressions"], left["past_enrollments"]) == (3, 3, 3)
    assert left["turns"] == 3
    assert set((await swept(house, 401)).values()) == {0}


async def test_points_consents_and_people_stay(house: Context) -> None:
    await swept(house, 5000)
    assert await value(house, "SELECT count(*) FROM subscribers") == 3
    assert await value(house, "SELECT sum(points) FROM entries") == 15
    assert await value(house, "SELECT count(*) FROM enrollments") == 3


async def test_what_is_still_needed_stays_however_old(house: Context) -> None:
    await do(house, "UPDATE messages SET state = 'queued', carrier_id = NULL, code = NULL")
    await do(house, "UPDATE events SET taken_at = NULL WHERE kind = 'reply'")
    later = at(house, NOON + 5000 * DAY)
    async with house.pool.acquire() as connection:
        await retention.ensure(connection, NOON)
        project = house.projects.project
        now = later.clock.now()
        while await retention.take(connection, project.retention, project.contact, now):
            pass
    left = await kept(house)
    assert (left["messages"], left["texts"], left["replies"]) == (3, 3, 3)


async def test_what_is_kept_forever_stays(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url, FOREVER) as context:
        await lived(context)
        assert set((await swept(context, 30000)).values()) == {3}


async def test_messages_stay_as_long_as_the_contact_policy_looks_back(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, SHORT) as context:
        await lived(context)
        left = await swept(context, 49)
        assert (left["messages"], left["texts"]) == (3, 0)
        assert (await swept(context, 52))["messages"] == 0


async def test_a_pass_goes_slice_by_slice_once_a_day(
    house: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE_PAGES", 1)
    fill = """
        INSERT INTO failures (subscriber_id, at, what, error)
        SELECT 1, $1, 'turn', repeat('x', 1000) FROM generate_series(1, 40)"""
    await do(house, fill, NOON)
    keeps = Retention(**dict.fromkeys(Retention.__struct_fields__, Keep()))
    keeps = Retention(
        **{name: getattr(keeps, name) for name in keeps.__struct_fields__ if name != "failures"}
    )
    policy, now = house.projects.project.contact, NOON + 31 * DAY
    slices = []
    async with house.pool.acquire() as connection:
        await do(house, "DELETE FROM events")
        await retention.ensure(connection, now)
        while taken := await retention.take(connection, keeps, policy, now):
            slices.append(taken)
        passed = [it for it in slices if it.kind == "failures"]
        assert len(passed) > 4
        assert [it.total for it in passed if it.total is not None] == [43]
        assert await retention.take(connection, keeps, policy, now + DAY / 2) is None
        assert await retention.take(connection, keeps, policy, now + DAY) is not None


async def test_what_went_is_counted_and_on_record(house: Context) -> None:
    await swept(house, 31)
    async with house.pool.acquire() as connection:
        found = await acts.latest(connection, 10, what="retention")
    assert {it.deed.about: it.deed.after for it in found}["retention:failures"] == {
        "rows": 3, "kept_days": 30,
    }  # fmt: skip
    counted = {
        it.labels["kind"]: it.value
        for metric in house.meters.registry.collect()
        if metric.name == "outreach_retention_rows"
        for it in metric.samples
        if it.name.endswith("_total")
    }
    assert counted["failures"] == 3
    assert await rows(house, "SELECT count(*) FROM retention_passes") == [(len(PASSES),)]
