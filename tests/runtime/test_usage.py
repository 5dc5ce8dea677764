"""What is reported is counted in the transaction that stores it, and led by into journeys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio

from orchestrator.cli.retelling import life_of
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.sweep import sweep
from orchestrator.store import dossier, importing, joining
from orchestrator.store.subscribers import NewSubscriber
from tests.runtime.installation import FILES, NOON, at, installed, number, rows, turns, value

DAY = timedelta(days=1)
COUNTING = {
    **FILES,
    "journeys/program/events.yaml": """
events: {data.used: {properties: {mb: number}, counts: {mb: event.mb}}}
usage: {mb: {by: city, of: plan_mb}}
""",
    "journeys/program/segments.yaml": "segments: {used: usage.mb_7d > 0}",
    "journeys/warn.yaml": """
journey: warn
class: urgent
enter: [{on: data.used, if: usage.mb_share >= 0.8}]
again: each month
steps: [{id: say, send: used, via: [sms]}]
""",
    "journeys/week.yaml": """
journey: week
class: urgent
enter: [{segment: used, every: day at 13:00}]
again: always
steps: [{id: mark, set: {tags: [+used]}}]
""",
    "templates/used.en.j2": "{% block sms %}{{ usage.mb_month }} of {{ subscriber.plan_mb }}"
    "{% if usage.mb_mean %}, mean {{ usage.mb_mean }}{% endif %}{% endblock %}",
}


@pytest_asyncio.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    async with installed(database_url, redis_url, COUNTING) as context:
        people = [
            NewSubscriber(
                key,
                timezone="Asia/Shanghai",
                addresses={"sms": number(n)},
                attributes={"plan_mb": 100, "city": "Bonn"},
            )
            for n, key in enumerate(("ann", "ben"))
        ]
        async with context.pool.acquire() as connection, connection.transaction():
            await importing.add(connection, people, NOON, "en", context.secret)
        yield context


async def used(context: Context, who: str, mb: float, *source_ids: str) -> None:
    """Reported once for each of these ids, and looked at."""
    reports = [EventIn(who, "data.used", it, None, {"mb": mb}) for it in source_ids]
    await Ingest(context).events(reports, "network")
    await turns(context)


async def texts(context: Context) -> list[str]:
    found = await rows(context, "SELECT content::json ->> 'text' FROM messages ORDER BY id")
    return [row[0] for row in found]


async def test_a_report_that_comes_twice_is_counted_once(house: Context) -> None:
    await used(house, "ann", 5.3, "a", "b", "a")
    await used(house, "ann", 5.3, "b", "c")
    assert float(await value(house, "SELECT total FROM usage_months")) == 15.9


async def test_reports_that_come_in_at_once_do_not_stand_in_each_others_way(
    house: Context,
) -> None:
    reports = [
        EventIn(who, "data.used", f"{who}:{n}", None, {"mb": 0.1})
        for n in range(40)
        for who in ("ann", "ben")
    ]
    batches = (reports, reports[::-1], reports[20:] + reports[:20], reports[::2])
    await asyncio.gather(*(Ingest(house).events(it, "network") for it in batches))
    found = await rows(house, "SELECT total FROM usage_months")
    assert [float(row[0]) for row in found] == [4, 4]


async def test_a_life_told_anew_knows_what_had_been_counted(house: Context) -> None:
    await used(house, "ann", 50, "a")
    await used(at(house, NOON + timedelta(hours=1)), "ann", 31, "b")
    await used(at(house, NOON + timedelta(hours=2)), "ann", 9, "c")
    async with house.pool.acquire() as connection:
        story = await life_of(connection, "ann", None, NOON + DAY)
    assert story.differing == 0
    (sent,) = [line for it in story.decisions for line in it.lines if "sends used" in line.what]
    assert sent.saw["usage.mb_month"] == 81
    [decision] = [it for it in story.decisions if sent in it.lines]
    assert decision.lines[-1].what == (
        "how others stood then is not kept: usage.mb_mean is unknown here"
    )


async def test_who_comes_near_their_allowance_is_told_once_a_month(house: Context) -> None:
    await used(house, "ann", 79.9, "a")
    assert await texts(house) == []
    await used(house, "ann", 0.1, "b")
    await used(house, "ann", 3, "c")
    assert await texts(house) == ["80 of 100"]
    april = at(house, NOON + 30 * DAY)
    await used(april, "ann", 1, "d")
    assert len(await texts(house)) == 1
    await used(april, "ann", 79, "e")
    assert await texts(house) == ["80 of 100", "80 of 100"]


async def test_the_sweep_compares_and_a_segment_sees_what_was_counted(house: Context) -> None:
    await sweep(house)
    await used(house, "ann", 60, "a")
    await sweep(at(house, NOON + timedelta(hours=2)))
    await turns(at(house, NOON + timedelta(hours=2)))
    tagged = await rows(house, "SELECT key FROM subscribers WHERE 'used' = ANY(tags)")
    assert [row[0] for row in tagged] == ["ann"]
    await used(at(house, NOON + timedelta(hours=3)), "ann", 30, "b")
    assert await texts(house) == ["90 of 100, mean 30"]


async def test_what_was_counted_of_two_who_are_one_is_added_day_by_day(house: Context) -> None:
    await used(house, "ann", 1, "a")
    await used(house, "ben", 2, "b")
    await used(at(house, NOON + DAY), "ben", 4, "c")
    async with house.pool.acquire() as connection, connection.transaction():
        ids = await connection.fetch("SELECT id FROM subscribers ORDER BY key")
        stays, goes = (await joining.lock(connection, [row["id"] for row in ids])).values()
        await joining.merge(connection, stays, goes, NOON)
    ann = ids[0]["id"]
    async with house.pool.acquire() as connection:
        told = await dossier.load(connection, ann, NOON)
    assert told is not None
    ((days, total),) = [(it.days, it.total) for it in told.usage]
    assert (days, total) == ({"2026-03-02": 3, "2026-03-03": 4}, 7)
