"""What those who watch are told: figures that follow what really happened."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.feed import Happened
from orchestrator.runtime.context import Context
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.meters import Meters, reason_of
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.worker import repeating
from orchestrator.store.pulse import Audit
from orchestrator.web import operations
from orchestrator.web.operations import create_operations
from tests.runtime.installation import (
    at,
    carrier,
    do,
    happened,
    installed,
    people,
    sms,
    turns,
    until,
    until_found,
)


class Watch:
    """Somebody who asks a process how it is."""

    def __init__(self, server: TestServer) -> None:
        self._server = server

    async def status(self, path: str) -> int:
        async with aiohttp.ClientSession() as http, http.get(self._server.make_url(path)) as said:
            return said.status

    async def figures(self) -> dict[str, float]:
        """Every sample of /metrics, by its name with its labels' values."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(self._server.make_url("/metrics")) as said,
        ):
            assert said.status == 200
            assert said.headers["Content-Type"].startswith("text/plain; version=")
            families = text_string_to_metric_families(await said.text())
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for family in families
            for sample in family.samples
        }


@asynccontextmanager
async def watching(context: Context) -> AsyncIterator[Watch]:
    server = TestServer(create_operations(context))
    await server.start_server()
    try:
        yield Watch(server)
    finally:
        await server.close()


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    """A process of an installation with a small campaign; its clock stands at noon."""
    async with installed(database_url, redis_url) as context:
        yield context


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "FRESH_S", 0.0)


async def test_how_many_events_wait_is_told_also_where_no_matcher_runs(office: Context) -> None:
    calls = [Happened("call.ended", number, 0.0, str(number), {}) for number in range(3)]
    async with watching(office) as watch:
        assert (await watch.figures())["outreach_matching_backlog_events"] == 0
        await office.streams.add(calls)
        assert (await watch.figures())["outreach_matching_backlog_events"] == 3
        await office.streams.redis.set("outreach:matching:taken", "no hash any more")
        assert math.isnan((await watch.figures())["outreach_matching_backlog_events"])


async def test_what_happens_to_a_message_is_counted(database_url: str, redis_url: str) -> None:
    async with (
        installed(database_url, redis_url) as context,
        carrier() as smsc,
        watching(context) as watch,
    ):
        await people(context, range(3))
        await happened(context, ["0", "1", "2"])
        await turns(context)
        figures = await watch.figures()
        assert figures["outreach_queued_messages"] == 3
        assert figures["outreach_turn_subscribers_sum"] == 3
        assert figures["outreach_turn_seconds_count"] >= 1
        assert figures["outreach_due_lag_seconds"] == 0
        channel = sms(smsc)
        # A receipt may overtake the answer it belongs to: sweeps match those, as in a worker.
        sweeps = repeating(partial(sweep, context), 0.5, "sweep")
        async with holding(context, [channel]), sweeps:
            await until(lambda: channel.health() == "up")
            await context.bell.ring_delivery(["sms"])
            query = "SELECT count(*) FROM messages WHERE state = 'delivered'"
            await until_found(context, 3, query)
            figures = await watch.figures()
            assert figures["outreach_channel_up sms"] == 1
            assert figures[f"outreach_line_up sms 127.0.0.1:{smsc.port}"] == 1
            assert figures["outreach_window_in_flight sms"] == 0
        figures = await watch.figures()
        assert figures["outreach_submissions_total sms accepted"] == 3
        assert figures["outreach_queued_messages"] == 0
        assert figures["outreach_channel_up sms"] == 0
        assert figures[f"outreach_line_up sms 127.0.0.1:{smsc.port}"] == 0


def later(context: Context, seconds: float) -> Context:
    """Another process, its clock so much further."""
    moment = context.clock.now() + timedelta(seconds=seconds)
    return replace(at(context, moment), meters=Meters())


async def test_what_is_late_says_by_how_much(office: Context) -> None:
    await people(office, range(2))
    await happened(office, ["0"])
    async with watching(later(office, 90)) as watch:
        assert (await watch.figures())["outreach_event_lag_seconds"] == pytest.approx(90, abs=1)
    await turns(office)
    await do(office, "UPDATE enrollments SET due_at = $1", office.clock.now())
    async with watching(later(office, 30)) as watch:
        figures = await watch.figures()
        assert figures["outreach_due_lag_seconds"] == 30
        assert figures["outreach_event_lag_seconds"] == 0
    async with watching(later(office, -30)) as watch:
        assert (await watch.figures())["outreach_due_lag_seconds"] == 0


async def test_reasons_and_doubles_and_failures_are_counted(office: Context) -> None:
    ids = await people(office, range(2))
    night = at(office, office.clock.now() + timedelta(hours=12))
    await happened(night, ["0", "1"])
    await turns(night)
    await turns(at(office, office.clock.now() + timedelta(hours=22)))
    await do(office, "UPDATE messages SET may_duplicate = true WHERE subscriber_id = $1", ids["1"])
    await do(
        office,
        "INSERT INTO failures (subscriber_id, at, what, error) VALUES ($1, $2, 'turn', 'x')",
        ids["0"],
        office.clock.now(),
    )
    await do(
        office,
        "INSERT INTO parked_receipts (channel, carrier_id, state, code, at)"
        " VALUES ('sms', '1', 'delivered', '', $1)",
        office.clock.now(),
    )
    async with watching(office) as watch:
        figures = await watch.figures()
    assert figures["outreach_suppressed_total outside_hours"] == 2
    assert figures["outreach_may_duplicate_messages"] == 1
    assert figures["outreach_failures_24h"] == 1
    assert figures["outreach_parked_receipts"] == 1


async def test_a_ledger_that_does_not_add_up_is_seen_whatever_its_slice(office: Context) -> None:
    await people(office, range(5))
    await happened(office, [str(n) for n in range(5)])
    await turns(office)
    audit = Audit(slice_size=2)
    async with office.pool.acquire() as connection:
        for _ in range(4):
            await audit.look(connection)
        assert audit.wrong == set()
        victim = await connection.fetchval("SELECT max(subscriber_id) FROM accounts")
        await connection.execute(
            "UPDATE entries SET points = points + 1 WHERE subscriber_id = $1", victim
        )
        for _ in range(4):
            await audit.look(connection)
        assert audit.wrong == {victim}
        await connection.execute(
            "UPDATE entries SET points = points - 1 WHERE subscriber_id = $1", victim
        )
        for _ in range(4):
            await audit.look(connection)
        assert audit.wrong == set()


async def test_without_postgresql_a_process_lives_and_still_tells_what_it_counted(
    office: Context,
) -> None:
    async with watching(office) as watch:
        assert (await watch.status("/livez"), await watch.status("/readyz")) == (200, 200)
        assert (await watch.figures())["outreach_database_up"] == 1
        await office.pool.close()
        assert (await watch.status("/livez"), await watch.status("/readyz")) == (200, 503)
        figures = await watch.figures()
        assert figures["outreach_database_up"] == 0
        assert math.isnan(figures["outreach_queued_messages"])


async def test_many_who_ask_at_once_cost_one_look(
    office: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "FRESH_S", 60.0)
    async with watching(office) as watch:
        await asyncio.gather(*(watch.figures() for _ in range(10)))
        await do(
            office,
            "INSERT INTO parked_receipts (channel, carrier_id, state, code, at)"
            " VALUES ('sms', '1', 'delivered', '', $1)",
            office.clock.now(),
        )
        assert (await watch.figures())["outreach_parked_receipts"] == 0


@pytest.mark.parametrize(
    ("reason", "short"),
    [
        ("opted_out", "opted_out"),
        ("render_failed: 'x' is undefined", "render_failed"),
        ("fallback: opted_out", "fallback_opted_out"),
        ("fallback: render_failed: it says +86138…", "fallback_render_failed"),
    ],
)
def test_a_reason_is_counted_without_its_particulars(reason: str, short: str) -> None:
    assert reason_of(reason) == short
