"""What authors applied: projects as files, journeys as immutable versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import asyncpg
from msgspec.json import Decoder

from orchestrator.core.project import Project
from orchestrator.store import json, stock

# The project that workers should run, if it is newer than the one they have.
CURRENT = "SELECT id, hash, files FROM projects WHERE id > $1 ORDER BY id DESC LIMIT 1"

# A project is applied.
APPLY = "INSERT INTO projects (hash, applied_at, files) VALUES ($1, $2, $3::jsonb) RETURNING id"

# Journey texts are kept for as long as somebody stands in them.
KEEP_VERSIONS = """
INSERT INTO versions (version, journey, path, text, applied_at)
SELECT version, journey, path, text, $5
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    AS u (version, journey, path, text)
ON CONFLICT DO NOTHING
"""

# The texts of these versions.
VERSIONS = "SELECT version, path, text FROM versions WHERE version = ANY($1::text[])"

_files = Decoder(dict[str, str]).decode


async def current(
    connection: asyncpg.Connection, since: int = 0
) -> tuple[int, dict[str, str]] | None:
    """Number and files of the newest applied project; None if there is none after `since`."""
    row = await connection.fetchrow(CURRENT, since)
    return (row["id"], _files(row["files"])) if row else None


async def apply(
    connection: asyncpg.Connection,
    project: Project,
    files: Mapping[str, str],
    paths: Mapping[str, str],
    content_hash: str,
    now: datetime,
) -> bool:
    """The project is the current one; False if it was already. `paths` says which file each
    journey version is in. Versions are only ever added."""
    async with connection.transaction():
        row = await connection.fetchrow(CURRENT, 0)
        if row is not None and row["hash"] == content_hash:
            return False
        await connection.fetchval(APPLY, content_hash, now, json.encode(files))
        journeys = [*project.journeys.values()]
        await connection.execute(
            KEEP_VERSIONS,
            [journey.version for journey in journeys],
            [journey.name for journey in journeys],
            [paths[journey.version] for journey in journeys],
            [files[paths[journey.version]] for journey in journeys],
            now,
        )
        await stock.ensure_stock(connection, project.rewards.values(), now)
    return True


async def versions(
    connection: asyncpg.Connection, wanted: Iterable[str]
) -> dict[str, tuple[str, str]]:
    """(path, text) of each of these versions."""
    rows = await connection.fetch(VERSIONS, [*wanted])
    return {row["version"]: (row["path"], row["text"]) for row in rows}
