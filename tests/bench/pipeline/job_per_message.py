"""One arq job per message, on the floor's tables, with arq tuned. Two ways to write the job: with
an ORM, as such systems are usually written (`orm`), and with the floor's own SQL (`by_hand`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from arq.connections import create_pool
from arq.worker import Worker, func
from jinja2.sandbox import ImmutableSandboxedEnvironment
from sqlalchemy import BigInteger, DateTime, Select, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.functions import count

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


class Line:
    """The bare wire shared by jobs: what came while it was busy goes out together."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: list[tuple[bytes, asyncio.Future[str]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, body: bytes) -> str:
        """The carrier's id for this submit_sm body."""
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


Job = Callable[[dict[str, Any], int], Awaitable[None]]


def by_hand(pool: asyncpg.Pool, line: Line, text: str) -> Job:
    """The job with the floor's own SQL on asyncpg."""
    template = ImmutableSandboxedEnvironment().from_string(text)

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
                await connection.execute(ADVANCE, subscriber_id, NOW + timedelta(days=1))
            carrier_id = await line.submit(submit_body(row["phone"], body))
            await connection.execute(RECORD, subscriber_id, carrier_id, NOW)

    return send


class _Base(DeclarativeBase):
    pass


class _Subscriber(_Base):
    __tablename__ = "subscribers"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str]
    phone: Mapped[str]
    city: Mapped[str]
    mb: Mapped[int]


class _Enrollment(_Base):
    __tablename__ = "enrollments"
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    step: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class _Message(_Base):
    __tablename__ = "messages"
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    template: Mapped[str]
    journey: Mapped[str]
    body: Mapped[str]
    state: Mapped[str]
    carrier_id: Mapped[str | None]


def orm(sessions: async_sessionmaker[AsyncSession], line: Line, text: str) -> Job:
    """The job as SQLAlchemy's ORM has one write it: load, look, add, commit, send, commit."""
    template = ImmutableSandboxedEnvironment().from_string(text)

    def sent(subscriber_id: int, since: timedelta) -> Select[tuple[int]]:
        return (
            select(count())
            .select_from(_Message)
            .where(_Message.subscriber_id == subscriber_id, _Message.sent_at > NOW - since)
        )

    async def send(_: dict[str, Any], subscriber_id: int) -> None:
        async with sessions() as session:
            enrollment = await session.get(_Enrollment, subscriber_id, with_for_update=True)
            if enrollment is None or enrollment.due_at > NOW:
                return
            subscriber = await session.get_one(_Subscriber, subscriber_id)
            today = await session.scalar(sent(subscriber_id, timedelta(hours=12)))
            same = await session.scalar(
                sent(subscriber_id, timedelta(days=30)).where(_Message.template == "welcome")
            )
            other = await session.scalar(
                sent(subscriber_id, timedelta(days=7)).where(_Message.journey != "bench")
            )
            if (today or 0) >= 2 or same or other:
                return
            body = template.render(name=subscriber.name, city=subscriber.city, mb=subscriber.mb)
            message = _Message(
                subscriber_id=subscriber_id, sent_at=NOW, template="welcome", journey="bench",
                body=body, state="submitting",
            )  # fmt: skip
            session.add(message)
            enrollment.step, enrollment.due_at = 2, NOW + timedelta(days=1)
            await session.commit()
            message.carrier_id = await line.submit(submit_body(subscriber.phone, body))
            message.state = "accepted"
            await session.commit()

    return send


async def run(url: str, redis_url: str, port: int, most: int, text: str, *, with_orm: bool) -> int:
    """Of the people due, `most` were sent their message, by a job each; enqueuing is part of it."""
    pool = await asyncpg.create_pool(url, min_size=8, max_size=8)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=8)
    wire = await Wire.bind(port)
    line = Line(wire)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    send = orm(sessions, line, text) if with_orm else by_hand(pool, line, text)
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
    await engine.dispose()
    return int(sent)
