"""What most systems do: one arq job per message, on the floor's tables, with arq tuned."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
from arq.connections import create_pool
from arq.worker import Worker, func
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orchestrator.runtime.redis_url import redis_settings
from tests.bench.pipeline.floor import NOW
from tests.bench.pipeline.wire import Wire, submit_body

LOOK = """
SELECT s.id, s.name, s.phone, s.city, s.mb,
    sent.today, sent.same, sent.other
FROM enrollments e JOIN subscribers s ON s.id = e.subscriber_id CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE m.sent_at >= $2) AS today,
        count(*) FILTER (WHERE m.template = $5) AS same,
        count(*) FILTER (WHERE m.sent_at > $4 AND m.journey <> $6) AS other
    FROM messages m WHERE m.subscriber_id = s.id AND m.sent_at > $3) sent
WHERE e.subscriber_id = $1 AND e.due_at <= $7 FOR UPDATE OF e
"""
INSERT = """
INSERT INTO messages (subscriber_id, template, journey, body, state, sent_at)
VALUES ($1, 'welcome', 'bench', $2, 'submitting', $3)
"""
ADVANCE = "UPDATE enrollments SET step = 2, due_at = $2 WHERE subscriber_id = $1"
RECORD = """
UPDATE messages SET state = 'accepted', carrier_id = $2 WHERE subscriber_id = $1 AND sent_at = $3
"""


class _Line:
    """The bare wire shared by jobs: what came while it was busy goes out together."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: list[tuple[bytes, asyncio.Future[str]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, body: bytes) -> str:
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await done

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            ids = await self._wire.submit([body for body, _ in batch])
            for (_, done), carrier_id in zip(batch, ids, strict=True):
                done.set_result(carrier_id)


async def run(url: str, redis_url: str, port: int, most: int, text: str) -> int:
    """Of the people due, `most` were sent their message, by a job each; enqueuing is part of it."""
    pool = await asyncpg.create_pool(url, min_size=8, max_size=8)
    wire = await Wire.bind(port)
    line = _Line(wire)
    template = ImmutableSandboxedEnvironment().from_string(text)
    later = NOW + timedelta(days=1)

    async def send(_: dict[str, Any], subscriber_id: int) -> None:
        async with pool.acquire() as connection:
            async with connection.transaction():
                row = await connection.fetchrow(
                    LOOK, subscriber_id, NOW - timedelta(hours=12), NOW - timedelta(days=30),
                    NOW - timedelta(days=7), "welcome", "bench", NOW,
                )  # fmt: skip
                if row is None or row["today"] >= 2 or row["same"] or row["other"]:
                    return
                body = template.render(name=row["name"], city=row["city"], mb=row["mb"])
                await connection.execute(INSERT, subscriber_id, body, NOW)
                await connection.execute(ADVANCE, subscriber_id, later)
            carrier_id = await line.submit(submit_body(row["phone"], body))
            await connection.execute(RECORD, subscriber_id, carrier_id, NOW)

    redis = await create_pool(redis_settings(redis_url))
    due = await pool.fetch(
        "SELECT subscriber_id FROM enrollments WHERE due_at <= $1 LIMIT $2", NOW, most
    )
    for first in range(0, len(due), 50):
        await asyncio.gather(
            *(
                redis.enqueue_job("send", i, _job_id=f"send:{i}", _queue_name="bench")
                for (i,) in due[first : first + 50]
            )
        )
    worker = Worker(
        [func(send, name="send", keep_result=0)],
        queue_name="bench",
        redis_pool=redis,
        burst=True,
        max_jobs=50,
        poll_delay=0.01,
        queue_read_limit=500,
        handle_signals=False,
        log_results=False,
    )
    await worker.async_run()
    await worker.close()
    sent = await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'accepted'")
    wire.close()
    await pool.close()
    return int(sent)
