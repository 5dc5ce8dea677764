"""Everything that was sent and said, for whoever compares it with what arrived."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.model import Content

# Every message, with whom it was for.
MESSAGES = """
SELECT s.key, m.journey, m.step, m.template, m.state, m.content, m.queued_at, m.contact_class,
    coalesce(m.reason, '') AS reason
FROM messages m JOIN subscribers s ON s.id = m.subscriber_id ORDER BY m.id
"""

# When each subscriber entered a journey.
ENTERED = """
SELECT s.key, s.id, e.entered_at, e.status FROM enrollments e
JOIN subscribers s ON s.id = e.subscriber_id WHERE e.journey = $1
"""

# Which triggers fired, by which events: journey, place among its entries, and the event's own id.
FIRED = """
SELECT s.addresses ->> 'sms' AS number, e.source_id
FROM events e JOIN subscribers s ON s.id = e.subscriber_id WHERE e.kind = 'trigger'
"""

# How many of each reward were sold, and how many there are to sell.
SOLD = "SELECT reward, free, reserved, sold FROM stock"

_content = Decoder(Content).decode


class Recorded(Struct, frozen=True):
    """One message as we believe it went."""

    journey: str
    step: str
    template: str
    contact_class: str
    state: str
    text: str
    queued_at: datetime
    subject: str = ""
    href: str = ""
    image: str = ""
    reason: str = ""


class Entrance(Struct, frozen=True):
    """One subscriber's way into a journey."""

    subscriber_id: int
    entered_at: datetime
    status: str


async def messages(connection: asyncpg.Connection) -> dict[str, list[Recorded]]:
    """Every message, by the key of whom it was for, in order. Reads the whole table."""
    found: dict[str, list[Recorded]] = defaultdict(list)
    for row in await connection.fetch(MESSAGES):
        content = _content(row["content"])
        found[row["key"]].append(
            Recorded(
                row["journey"],
                row["step"],
                row["template"],
                row["contact_class"],
                row["state"],
                content.text,
                row["queued_at"],
                content.subject,
                content.href,
                content.image,
                row["reason"],
            )
        )
    return found


async def entrances(connection: asyncpg.Connection, journey: str) -> dict[str, Entrance]:
    """Who entered a journey, by key."""
    return {
        row["key"]: Entrance(row["id"], row["entered_at"], row["status"])
        for row in await connection.fetch(ENTERED, journey)
    }


async def fired(connection: asyncpg.Connection) -> set[tuple[str, str, str]]:
    """Which journey's trigger fired for which number, by which event."""
    found = set()
    for number, source_id in await connection.fetch(FIRED):
        journey, _, event = source_id.split(":", 2)
        found.add((journey, number, event))
    return found


async def sold(connection: asyncpg.Connection) -> dict[str, int]:
    """How many of each reward were sold."""
    return {row["reward"]: row["sold"] for row in await connection.fetch(SOLD)}
