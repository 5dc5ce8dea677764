"""Whom an operator means."""

from __future__ import annotations

import asyncpg

from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Subscriber
from orchestrator.store import timeline


async def found_by(connection: asyncpg.Connection, who: str) -> Subscriber:
    """The subscriber of this key, phone number or CHANNEL:ADDRESS. Raises OutreachError."""
    person = await timeline.find(connection, who)
    if person is None:
        raise OutreachError(
            f"there is no subscriber {who}",
            "ask by key, by phone number with its country (+86…), or by CHANNEL:ADDRESS",
        )
    return person
