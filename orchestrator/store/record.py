"""What is on record about messages to one subscriber, and their scene, without locking them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
from msgspec.json import Decoder

from orchestrator.core.events import Triggered
from orchestrator.core.explain import Happened, Letter, Record, Refusal
from orchestrator.core.project import Project
from orchestrator.core.scene import Scene
from orchestrator.store import scenes
from orchestrator.store.events import event_of
from orchestrator.store.ids import instant_of

# One subscriber as a turn would take them up, not locked.
READ = """
SELECT id, key, shard, locale, timezone, attributes, tags, addresses, consents, conversation,
       created_at
FROM subscribers WHERE id = $1
"""

# The latest messages to them.
LETTERS = """
SELECT m.id, m.journey, m.run, m.step, m.template, m.channel, coalesce(m.code, '') AS code,
    coalesce(m.reason, '') AS reason, m.may_duplicate,
    CASE WHEN m.state = 'queued' AND a.claimed_by IS NOT NULL THEN 'submitting' ELSE m.state END
        AS state
FROM messages m LEFT JOIN attempts a ON a.id = m.attempt_id
WHERE m.subscriber_id = $1 AND m.journey <> '' ORDER BY m.id DESC LIMIT 1000
"""

# The latest of what did not go.
REFUSALS = """
SELECT at, journey, step, template, reason, until
FROM suppressions WHERE subscriber_id = $1 ORDER BY at DESC LIMIT 1000
"""

# The last event of each name.
HAPPENED = """
SELECT DISTINCT ON (name) name, at, properties
FROM events WHERE subscriber_id = $1 AND kind = 'event' ORDER BY name, id DESC
"""

# The latest triggers that fired for them.
FIRED = """
SELECT kind, name, properties, at, source, source_id FROM events
WHERE subscriber_id = $1 AND kind = 'trigger' ORDER BY id DESC LIMIT 1000
"""

# The versions they stand in.
STOOD_IN = "SELECT DISTINCT version FROM enrollments WHERE subscriber_id = $1"

_properties = Decoder(dict[str, Any]).decode


async def stood_in(connection: asyncpg.Connection, subscriber_id: int) -> set[str]:
    """The journey versions that this subscriber is or was last in."""
    return {row["version"] for row in await connection.fetch(STOOD_IN, subscriber_id)}


async def read(
    connection: asyncpg.Connection, subscriber_id: int, project: Project, now: datetime
) -> tuple[Scene, Record]:
    """Their scene, and what is on record, oldest first."""
    rows = await connection.fetch(READ, subscriber_id)
    (case,) = await scenes.load(connection, rows, project, now)
    letters = [
        Letter(at=instant_of(row["id"]), **{k: v for k, v in row.items() if k != "id"})
        for row in await connection.fetch(LETTERS, subscriber_id)
    ]
    refusals = [Refusal(**dict(row)) for row in await connection.fetch(REFUSALS, subscriber_id)]
    events = {
        row["name"]: Happened(row["at"], _properties(row["properties"]))
        for row in await connection.fetch(HAPPENED, subscriber_id)
    }
    fired = [event_of(row) for row in await connection.fetch(FIRED, subscriber_id)]
    triggered = [it for it in fired[::-1] if isinstance(it, Triggered)]
    return case.scene, Record(letters[::-1], refusals[::-1], events, triggered)
