"""The floor: the least that honestly does the job, for one fixed journey step.

Claim with SKIP LOCKED, join the subscriber, all caps (per day, same message, other journey), render
one compiled template, a row committed before the first byte, the PDU, the outcome recorded with the
carrier's id (indexed: a receipt must find it). No YAML, no conditions, no fallback, no fencing, no
consent, no local hours, no second step, no isolation of a bad row, no orchestration.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.bench.pipeline.wire import Wire, submit_body

BATCH = 500
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)

SCHEMA = """
CREATE TABLE subscribers (id bigint PRIMARY KEY, name text, phone text, city text, mb integer);
CREATE TABLE enrollments (subscriber_id bigint PRIMARY KEY, step integer, due_at timestamptz)
    WITH (fillfactor = 80);
CREATE INDEX ON enrollments (due_at);
CREATE TABLE messages (subscriber_id bigint, sent_at timestamptz, template text, journey text,
    body text, state text, carrier_id text,
    PRIMARY KEY (subscriber_id, sent_at) INCLUDE (template, journey)) WITH (fillfactor = 80);
CREATE INDEX ON messages (carrier_id) WHERE carrier_id IS NOT NULL;
"""

FILL = """
INSERT INTO subscribers SELECT i, 'Name ' || i, '8613' || (800000000 + i), 'City', i % 90
    FROM generate_series(1, $1) i
"""
FILL_ENROLLMENTS = """
INSERT INTO enrollments
SELECT i, 1, CASE WHEN i % $3 = 0 THEN $2::timestamptz ELSE $2::timestamptz + interval '1 day' END
FROM generate_series(1, $1) i
"""
FILL_MESSAGES = """
INSERT INTO messages (subscriber_id, template, journey, body, state, sent_at)
SELECT i, 'old-' || n, 'older', 'text', 'delivered', $2::timestamptz - make_interval(days => 8 + n)
FROM generate_series(1, 4) n, generate_series(1, $1) i
"""

CLAIM = """
WITH due AS (
    SELECT e.subscriber_id FROM enrollments e WHERE e.due_at <= $1
    ORDER BY e.due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
SELECT s.id, s.name, s.phone, s.city, s.mb,
    sent.today, sent.same, sent.other
FROM due JOIN subscribers s ON s.id = due.subscriber_id CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE m.sent_at >= $3) AS today,
        count(*) FILTER (WHERE m.template = $6) AS same,
        count(*) FILTER (WHERE m.sent_at > $5 AND m.journey <> $7) AS other
    FROM messages m WHERE m.subscriber_id = s.id AND m.sent_at > $4) sent
"""
INSERT = """
INSERT INTO messages (subscriber_id, template, journey, body, state, sent_at)
SELECT id, 'welcome', 'bench', body, 'submitting', $3
FROM unnest($1::bigint[], $2::text[]) u (id, body)
"""
ADVANCE = """
UPDATE enrollments SET step = 2, due_at = $2 WHERE subscriber_id = ANY($1::bigint[])
"""
RECORD = """
UPDATE messages m SET state = 'accepted', carrier_id = u.carrier_id
FROM unnest($1::bigint[], $2::text[]) u (id, carrier_id)
WHERE m.subscriber_id = u.id AND m.sent_at = $3
"""


async def fill(connection: asyncpg.Connection, people: int, every: int) -> None:
    """The floor's own tables: so many people, each `every`th due, with four older messages each."""
    await connection.execute(SCHEMA)
    await connection.execute(FILL, people)
    await connection.execute(FILL_ENROLLMENTS, people, NOW, every)
    await connection.execute(FILL_MESSAGES, people, NOW)
    await connection.execute("VACUUM ANALYZE")


async def run(url: str, port: int, text: str) -> int:
    """Everybody due was sent their message; returns how many."""
    connection = await asyncpg.connect(url)
    wire = await Wire.bind(port)
    template = ImmutableSandboxedEnvironment().from_string(text)
    later = NOW + timedelta(days=1)
    count = 0
    while True:
        async with connection.transaction():
            rows = await connection.fetch(
                CLAIM, NOW, BATCH, NOW - timedelta(hours=12), NOW - timedelta(days=30),
                NOW - timedelta(days=7), "welcome", "bench",
            )  # fmt: skip
            if not rows:
                break
            ids, bodies, phones = [], [], []
            for i, name, phone, city, mb, today, same, other in rows:
                if today < 2 and not same and not other:
                    context = template.new_context(
                        {"name": name, "city": city, "mb": mb}, shared=True
                    )
                    ids.append(i)
                    phones.append(phone)
                    bodies.append("".join(template.root_render_func(context)))
            await connection.execute(INSERT, ids, bodies, NOW)
            await connection.execute(ADVANCE, [row[0] for row in rows], later)
        pdus = [submit_body(p, b) for p, b in zip(phones, bodies, strict=True)]
        carrier_ids = await wire.submit(pdus)
        await connection.execute(RECORD, ids, carrier_ids, NOW)
        count += len(ids)
    wire.close()
    await connection.close()
    return count
