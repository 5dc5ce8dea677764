"""`outreach events set-aside`: what could not be taken is told, and may be dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import asyncpg

from orchestrator.store import set_aside
from tests.cli.shell import outreach

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def test_what_was_sent_by_mistake_is_dropped_and_that_is_on_record(
    applied: Mapping[str, str],
) -> None:
    connection = await asyncpg.connect(applied["DATABASE_URL"])
    news = [
        set_aside.NewAside("api", "", "", "", body, "JSON is malformed") for body in ("one", "two")
    ]
    await set_aside.add(connection, news, AT)
    await connection.close()

    async def ask(*args: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(outreach, "events", "set-aside", *args, env=applied)
        return done.returncode, done.stdout, done.stderr

    code, told, _ = await ask()
    assert (code, told.splitlines()[0]) == (
        1,
        "(no event): 2 since 2026-03-02 09:00:00Z: JSON is malformed",
    )
    code, told, said = await ask("--drop")
    assert (code, "add --yes" in said) == (1, True)
    assert (await ask("--drop", "--yes"))[:2] == (0, "dropped: 2\n")
    assert (await ask())[:2] == (0, "nothing is set aside\n")
    assert (await ask("--drop", "--yes"))[:2] == (0, "dropped: 0\n")
    audit = await asyncio.to_thread(outreach, "audit", "--what", "events", env=applied)
    assert audit.stdout.count("events.dropped") == 1
