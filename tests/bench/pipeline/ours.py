"""Ours, end to end: the worker's turns and the gateway's delivery, rung by arq, in one process."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg

from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import open_context
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.projects import apply
from orchestrator.runtime.worker import working
from orchestrator.store.ids import first_id
from orchestrator.store.migrate import migrate
from tests.bench.pipeline.floor import NOW

JOURNEY = """
journey: bench
class: lifecycle
enter:
  - on: subscriber.activated
leave:
  - on: subscriber.deactivated
steps:
  - id: welcome
    at: day 1 10:00
    send: bench/welcome
    via: [chat, sms]
  - id: second
    at: day 2 10:00
    send: bench/second
    via: [chat, sms]
"""

CONTACT = """
classes:
  lifecycle:
    purpose: marketing
    consent: opt_in
    hours: 09:00-20:00
    per_day: 2
    same_message: 30d
    other_journey: 7d
  answer:
    purpose: answer
    consent: answer
"""

PROJECT = """
name: bench
locale: en
timezone: Asia/Shanghai
"""


def files(text: str) -> dict[str, str]:
    """The project of the bench; `text` is its message."""
    return {
        "journeys/bench.yaml": JOURNEY,
        "journeys/program/contact.yaml": CONTACT,
        "journeys/program/project.yaml": PROJECT,
        "templates/bench/welcome.en.j2": _blocks(text),
        "templates/bench/second.en.j2": _blocks("Second. Reply STOP to opt out"),
    }


def _blocks(text: str) -> str:
    return "".join(f"{{% block {name} %}}{text}{{% endblock %}}\n" for name in ("sms", "chat"))


FILL = """
INSERT INTO subscribers (key, shard, locale, timezone, attributes, addresses, consents, created_at)
SELECT 'k' || i, i % 64, 'en', 'Asia/Shanghai',
    jsonb_build_object('name', 'Name ' || i, 'city', 'City', 'mb', i % 90, 'plan', 'basic',
                       'network', '4g', 'usage', jsonb_build_object('mb_7d', i % 90)),
    jsonb_build_object('sms', '+8613' || (800000000 + i)),
    jsonb_build_object('marketing', jsonb_build_object('granted', true, 'at', $2::timestamptz,
                                                       'how', 'import')), $2
FROM generate_series(1, $1) i
"""
FILL_ADDRESSES = """
INSERT INTO addresses SELECT 'sms', addresses ->> 'sms', id FROM subscribers
"""
FILL_ENROLLMENTS = """
INSERT INTO enrollments (subscriber_id, journey, shard, version, run, status, step, due_at,
    entered_at)
SELECT id, 'bench', shard, $1, 1, 'active', 'welcome',
    CASE WHEN id / 64 % $4 = 0 THEN $2::timestamptz ELSE $2::timestamptz + interval '1 day' END, $3
FROM subscribers
"""
FILL_MESSAGES = """
INSERT INTO messages (id, subscriber_id, template, journey, contact_class, attempt_id, state,
    channel, address, content, via, run, step, queued_at)
SELECT $1::bigint + n, s.id, 'old-' || n, 'older', 'lifecycle', 0, 'delivered',
    'sms', '', '{}', '{}', 1, 'old', $2
FROM generate_series(1, 4) n, subscribers s
"""


async def fill(connection: asyncpg.Connection, people: int, every: int, text: str) -> None:
    """Our tables: so many people, about each `every`th due, with four older messages each."""
    await migrate(connection)
    project, _ = await apply(connection, files(text), NOW)
    await connection.execute(FILL, people, NOW)
    await connection.execute(FILL_ADDRESSES)
    version = project.journeys["bench"].version
    await connection.execute(FILL_ENROLLMENTS, version, NOW, NOW - timedelta(hours=2), every)
    older = NOW - timedelta(days=9)
    await connection.execute(FILL_MESSAGES, first_id(older), older)
    await connection.execute("VACUUM ANALYZE")


async def run(url: str, redis_url: str, port: int) -> int:
    """Everybody due was sent their message; returns how many."""
    settings = SmppSettings.from_url(
        f"smpp://bench:secret@127.0.0.1:{port}?window=100&source=10086"
    )
    clock = Clock.starting(NOW, 1.0)
    async with (
        open_context(
            url, redis_url, secret=b"bench", clock=clock, batch=500, sweep_s=1.0, role="bench"
        ) as context,
        holding(context, [SmsChannel(settings)]),
        working(context),
        context.pool.acquire() as connection,
    ):
        while True:
            await asyncio.sleep(0.25)
            # A look that costs next to nothing: the due index is empty, no attempt is left.
            left = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM enrollments WHERE shard = ANY($1) AND due_at <= $2)"
                " OR EXISTS (SELECT FROM attempts)",
                list(range(64)), NOW + timedelta(hours=1),
            )  # fmt: skip
            if not left:
                return int(
                    await connection.fetchval(
                        "SELECT count(*) FROM messages WHERE state = 'accepted'"
                    )
                )
