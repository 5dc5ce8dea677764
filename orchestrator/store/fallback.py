"""Messages that failed wait for the turn that may send them on by another channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from orchestrator.core.model import CHAT_CHANNELS
from orchestrator.store.columns import columns
from orchestrator.store.events import NewEvent
from orchestrator.store.events import add as add_events
from orchestrator.store.ids import Ids

# What failed messages were, for the turn that may send them on.
FAILED = """
SELECT m.id, m.subscriber_id, s.shard, m.template, m.contact_class, m.journey, m.run, m.step,
    m.via, m.channel
FROM unnest($1::bigint[], $2::bigint[]) AS u (subscriber_id, id)
JOIN messages m USING (subscriber_id, id)
JOIN subscribers s ON s.id = m.subscriber_id
WHERE m.journey <> ''
"""


async def send_on(
    connection: asyncpg.Connection,
    failed: Sequence[tuple[int, int]],
    state: str,
    now: datetime,
    ids: Ids,
    retry_channel: bool = False,
) -> list[int]:
    """Failed messages (subscriber id, id) that have a channel left wait for their subscriber's
    turn; with `retry_channel` the one they were on counts as left."""
    news = []
    for row in await connection.fetch(FAILED, *columns(failed)):
        word = "chat" if row["channel"] in CHAT_CHANNELS else row["channel"]
        via = [word, *row["via"]] if retry_channel else [*row["via"]]
        if not via:
            continue
        properties = {
            "message_id": row["id"],
            "template": row["template"],
            "contact_class": row["contact_class"],
            "journey": row["journey"],
            "run": row["run"],
            "step": row["step"],
            "via": via,
            "state": state,
        }
        source = f"{row['id']}:{row['channel']}:{state}:{now.timestamp()}"
        news.append(
            NewEvent(
                row["subscriber_id"],
                row["shard"],
                "failed",
                state,
                properties,
                now,
                "messages",
                source,
            )
        )
    return [subscriber_id for subscriber_id, _ in await add_events(connection, news, now, ids)]
