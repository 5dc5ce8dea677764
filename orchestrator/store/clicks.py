"""What a tracked link leads to, and whose message it stood in."""

from __future__ import annotations

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.links import Link
from orchestrator.core.model import Content

# The message of a link.
MESSAGE = """
SELECT s.key, m.template, m.journey, m.step, m.channel, m.content
FROM messages m JOIN subscribers s ON s.id = m.subscriber_id
WHERE m.subscriber_id = $1 AND m.id = $2
"""

_content = Decoder(Content).decode


class Target(Struct, frozen=True):
    """Where a link leads, and what message it stood in; `subscriber` is their key."""

    url: str
    subscriber: str
    template: str
    journey: str
    step: str
    channel: str


async def target_of(connection: asyncpg.Connection, link: Link) -> Target | None:
    """Where the link leads, or None if its message is gone."""
    row = await connection.fetchrow(MESSAGE, link.subscriber_id, link.message_id)
    if row is None:
        return None
    links = _content(row["content"]).links
    if link.index >= len(links):
        return None
    return Target(
        links[link.index], row["key"], row["template"], row["journey"], row["step"], row["channel"]
    )
