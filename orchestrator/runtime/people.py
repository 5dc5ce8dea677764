"""What people may ask of whoever keeps their data: all of it, or that it is forgotten."""

from __future__ import annotations

from datetime import datetime

import asyncpg
from msgspec.structs import asdict
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from orchestrator.core.acts import Deed
from orchestrator.core.dossier import Dossier
from orchestrator.store import acts, dossier, erasure
from orchestrator.store.erasure import Holdings


async def export(
    connection: asyncpg.Connection, subscriber_id: int, who: str, now: datetime, secret: bytes
) -> Dossier | None:
    """Everything about this subscriber; None if there is nobody. That `who` asked for it is in the
    audit log before it is read."""
    async with connection.transaction():
        deed = Deed(who, "subscriber.exported", f"subscriber:{subscriber_id}")
        await acts.record(connection, deed, now, secret)
    return await dossier.load(connection, subscriber_id, now)


# Turns, and gateways that record what they sent, lock the same rows in other orders; the one that
# PostgreSQL ends tries again.
@retry(
    retry=retry_if_exception_type(asyncpg.DeadlockDetectedError),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(0.05, 2),
    reraise=True,
)
async def erase(
    connection: asyncpg.Connection, subscriber_id: int, who: str, now: datetime, secret: bytes
) -> Holdings | None:
    """Nobody can tell any more who this subscriber was; returns what there was, None if nobody.
    Safe to repeat, and while everything else runs."""
    async with connection.transaction():
        had = await erasure.erase(connection, subscriber_id, secret, now)
        if had is not None:
            about = f"subscriber:{subscriber_id}"
            deed = Deed(who, "subscriber.erased", about, before=asdict(had))
            await acts.record(connection, deed, now, secret)
    return had
