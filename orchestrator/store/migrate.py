"""The schema: numbered SQL files, each applied once, in order, in a transaction of its own."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg

from orchestrator.core.errors import OutreachError

_LOCK = 0x6F757472
"""Advisory lock under which one process at a time migrates."""


async def migrate(connection: asyncpg.Connection) -> list[str]:
    """The database has the newest schema; returns the names of the files just applied.

    Safe to run from many processes at once: they take turns, and the later ones find nothing to do.
    """
    applied_now: list[str] = []
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz)"
        )
        for script in await _lacking(connection):
            async with connection.transaction():
                await connection.execute(script.read_text(encoding="utf-8"))
                await connection.execute("INSERT INTO migrations VALUES ($1, now())", script.name)
            applied_now.append(script.name)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return applied_now


async def lacking(connection: asyncpg.Connection) -> list[str]:
    """The names of the files that the database still lacks: none if it was never migrated, and
    holds nothing of ours. Raises OutreachError if it is newer than this program."""
    if not await connection.fetchval("SELECT to_regclass('migrations') IS NOT NULL"):
        return []
    return [script.name for script in await _lacking(connection)]


async def _lacking(connection: asyncpg.Connection) -> list[Traversable]:
    scripts = {
        entry.name: entry
        for entry in files(__package__).joinpath("migrations").iterdir()
        if entry.name.endswith(".sql")
    }
    applied = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
    if newer := applied - scripts.keys():
        raise OutreachError(
            f"the database is newer than this program (it has {', '.join(sorted(newer))})",
            "upgrade Outreach, or point DATABASE_URL at another database",
        )
    return [scripts[name] for name in sorted(scripts.keys() - applied)]
