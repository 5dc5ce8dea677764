"""What a process tells those who watch it: alive, ready, and its metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import msgspec
from aiohttp import web
from prometheus_client import Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError

from orchestrator.runtime.context import Context
from orchestrator.store.pulse import Audit, Pulse, feel

ANSWER_S = 2.0
"""PostgreSQL has so long to answer; else it counts as away."""

FRESH_S = 5.0
"""Figures of the database are asked for at most so often, however many ask us."""

_SINCE = timedelta(hours=24)

_FIGURES = {
    "due_lag_s": ("outreach_due_lag_seconds", "How late the latest due enrollment is."),
    "event_lag_s": ("outreach_event_lag_seconds", "How long the oldest event waits for its turn."),
    "queued": ("outreach_queued_messages", "Messages that wait for a gateway, up to 100,000."),
    "submitting": ("outreach_submitting_messages", "Messages that gateways have in hand."),
    "parked_receipts": ("outreach_parked_receipts", "Receipts that no message is known for."),
    "may_duplicate": ("outreach_may_duplicate_messages", "Messages that may have arrived twice."),
    "failures_24h": ("outreach_failures_24h", "Turns that failed in the last 24 hours."),
}


async def missing(context: Context) -> list[str]:
    """The names of what this process cannot reach; nothing: it is ready. Not Redis: what comes in
    while it is away is stored, and a sweep finds it."""
    try:
        async with context.pool.acquire(timeout=ANSWER_S) as connection:
            await connection.execute("SELECT 1", timeout=ANSWER_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return ["postgresql"]
    return []


class Metrics:
    """`/metrics` of one process: its own counters, and what the database and Redis say. While one
    of them is away the counters are still told, and its figures are not a number."""

    def __init__(self, context: Context) -> None:
        registry = context.meters.registry
        self._context = context
        self._audit = Audit()
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._gauges = {
            name: Gauge(metric, about, registry=registry)
            for name, (metric, about) in _FIGURES.items()
        }
        self._imbalance = Gauge(
            "outreach_ledger_imbalance_members",
            "Members whose points did not add up when last audited, 200 of them per look.",
            registry=registry,
        )
        self._audited = Gauge(
            "outreach_ledger_audited_members",
            "How many members this process has audited since it started.",
            registry=registry,
        )
        self._reached = Gauge(
            "outreach_database_up", "1 if PostgreSQL answers within 2 s.", registry=registry
        )

    async def answer(self, request: web.Request) -> web.Response:
        """In the text format of Prometheus, version 0.0.4."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= FRESH_S:
                await self._look()
                self._looked_at = time.monotonic()
        return web.Response(
            body=generate_latest(self._context.meters.registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"},
        )

    async def _look(self) -> None:
        pulse: Pulse | None = None
        try:
            async with asyncio.timeout(ANSWER_S), self._context.pool.acquire() as connection:
                now = self._context.clock.now()
                pulse = await feel(connection, now, now - _SINCE)
                await self._audit.look(connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pulse = None
        self._reached.set(pulse is not None)
        for name, gauge in self._gauges.items():
            gauge.set(float("nan") if pulse is None else getattr(pulse, name))
        self._imbalance.set(float("nan") if pulse is None else len(self._audit.wrong))
        self._audited.set(self._audit.members)
        try:
            async with asyncio.timeout(ANSWER_S):
                waiting: float = (await self._context.streams.backlog({})).events
        except (OSError, TimeoutError, RedisError):
            waiting = float("nan")
        self._context.meters.waiting(waiting)


def routes(context: Context) -> Sequence[web.AbstractRouteDef]:
    """`/metrics`, for beside the other routes of a process."""
    return [web.get("/metrics", Metrics(context).answer)]


def create_operations(context: Context) -> web.Application:
    """What a process without a web of its own answers on its operations port."""

    async def live(request: web.Request) -> web.Response:
        return _json({"alive": True}, 200)

    async def ready(request: web.Request) -> web.Response:
        waiting_for = await missing(context)
        said = {"ready": not waiting_for, "waiting_for": waiting_for}
        return _json(said, 503 if waiting_for else 200)

    app = web.Application()
    app.add_routes([web.get("/livez", live), web.get("/readyz", ready), *routes(context)])
    return app


def _json(value: object, status: int) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
