"""What is sent: two messages per person, each with words of its own, so that every one counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from orchestrator.runtime.projects import apply
from tests.runtime.installation import FILES as SMALL

STEPS = ("first", "second")

_JOURNEY = """
journey: blast
class: campaign
enter:
  - on: subscriber.activated
steps:
  - id: first
    send: first
    via: [sms]
  - id: pause
    wait: {wait_s}s
  - id: second
    send: second
    via: [sms]
"""

_CONTACT = """
classes:
  campaign: {{purpose: marketing, consent: opt_out, uncertain: {uncertain}}}
  answer: {{purpose: answer, consent: answer}}
"""


def files(uncertain: str, wait_s: int) -> dict[str, str]:
    """The project, whose class holds or resends what is uncertain."""
    bot = {path: text for path, text in SMALL.items() if path.startswith("templates/bot/")}
    words = "{% block sms %}{{ subscriber.name }} STEP. Reply STOP to opt out{% endblock %}"
    return {
        **bot,
        **{f"templates/{step}.en.j2": words.replace("STEP", step) for step in STEPS},
        "journeys/blast.yaml": _JOURNEY.format(wait_s=wait_s),
        "journeys/program/contact.yaml": _CONTACT.format(uncertain=uncertain),
        "journeys/program/project.yaml": "{name: faults, locale: en, timezone: Asia/Shanghai}",
    }


# Everybody, known by a number.
PEOPLE = """
INSERT INTO subscribers (key, shard, locale, timezone, attributes, addresses, consents, created_at)
SELECT i::text, i % 64, 'en', 'Asia/Shanghai', jsonb_build_object('name', 'N' || i),
    jsonb_build_object('sms', '+8613' || lpad(i::text, 9, '0')), '{}', $2
FROM generate_series(1, $1::integer) i
"""
ADDRESSES = "INSERT INTO addresses SELECT 'sms', addresses ->> 'sms', id FROM subscribers"

# Everybody stands at the first step, due one after the other over $4 seconds.
ENROLLMENTS = """
INSERT INTO enrollments (subscriber_id, journey, shard, version, run, status, step, due_at,
    entered_at)
SELECT id, 'blast', shard, $1, 1, 'active', 'first',
    $2::timestamptz + make_interval(secs => $4 * key::float / $3), $2
FROM subscribers
"""
DUE = "CREATE TABLE witness_due AS SELECT subscriber_id, due_at FROM enrollments"

# What the judge reads afterwards: when PostgreSQL saw a message queued, who claimed an attempt
# when, and (as it commits) who opted out.
WITNESSES = """
CREATE TABLE witness_queued (message_id bigint, at timestamptz);
CREATE TABLE witness_claimed (attempt_id bigint, at timestamptz, life text);
CREATE FUNCTION see_queued() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO witness_queued VALUES (NEW.id, transaction_timestamp()); RETURN NULL; END';
CREATE FUNCTION see_claimed() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO witness_claimed
     VALUES (NEW.id, clock_timestamp(), current_setting(''application_name'')); RETURN NULL; END';
CREATE FUNCTION see_consent() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_notify(''consent'', NEW.key); RETURN NULL; END';
CREATE TRIGGER see AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION see_queued();
CREATE TRIGGER see AFTER UPDATE OF claimed_by ON attempts FOR EACH ROW
    WHEN (NEW.claimed_by IS NOT NULL) EXECUTE FUNCTION see_claimed();
CREATE TRIGGER see AFTER UPDATE ON subscribers FOR EACH ROW
    WHEN (NEW.consents IS DISTINCT FROM OLD.consents) EXECUTE FUNCTION see_consent();
"""


async def begin(
    connection: asyncpg.Connection, people: int, uncertain: str, wait_s: int, spread_s: float
) -> None:
    """The campaign is applied, and everybody is at its first step."""
    now = datetime.now(UTC)
    project, _ = await apply(connection, files(uncertain, wait_s), now)
    await connection.execute(WITNESSES)
    await connection.execute(PEOPLE, people, now - timedelta(days=1))
    await connection.execute(ADDRESSES)
    version = project.journeys["blast"].version
    await connection.execute(ENROLLMENTS, version, now, people, spread_s)
    await connection.execute(DUE)
    await connection.execute("ANALYZE")
