"""What authors applied: projects as files, journeys as immutable versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.project import Project
from orchestrator.store import json, stock

# The project that workers should run, if it is newer than the one they have.
CURRENT = "SELECT id, hash, files FROM projects WHERE id > $1 ORDER BY id DESC LIMIT 1"

# A project is applied.
APPLY = """
INSERT INTO projects (hash, applied_at, files, applied_by, copy_of)
VALUES ($1, $2, $3::jsonb, $4, $5) RETURNING id
"""

# One project at a time is applied: whoever looked at the one before still sees it.
LOCK = "SELECT pg_advisory_xact_lock($1)"

# Every project that was ever applied, the newest first.
HISTORY = """
SELECT p.id, p.hash, p.applied_at, p.applied_by, p.copy_of,
    coalesce((SELECT sum(m.moved) FROM moves m WHERE m.project_id = p.id), 0)::bigint AS moved,
    coalesce((SELECT sum(m.planned) FROM moves m WHERE m.project_id = p.id
              AND m.done_at IS NULL AND p.id = (SELECT max(id) FROM projects)), 0)::bigint
        AS unfinished
FROM projects p ORDER BY p.id DESC
"""

# Whether the database has its schema.
READY = "SELECT to_regclass('projects') IS NOT NULL"

# One of them.
FILES = "SELECT id, hash, files FROM projects WHERE id = $1"

# Those that came after one, with what is in them.
SINCE = "SELECT id, hash, files FROM projects WHERE id > $1 ORDER BY id"

# The last versions of a journey.
LATEST = """
SELECT version FROM versions WHERE journey = $1 ORDER BY applied_at DESC, version LIMIT $2
"""

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

_APPLYING = 0x6170706C
"""Advisory lock under which one project at a time is applied."""

_files = Decoder(dict[str, str]).decode


class Applied(Struct, frozen=True):
    """One project that was applied: when, by whom, and how many people moved because of it.
    `copy_of` is the number of the project that it brought back; `unfinished` people were
    to move, and not all have; a project that came after it goes on with them."""

    id: int
    hash: str
    applied_at: datetime
    applied_by: str
    copy_of: int | None
    moved: int
    unfinished: int


class Kept(Struct, frozen=True):
    """A project that was applied, with its files."""

    id: int
    hash: str
    files: Mapping[str, str]


async def current(
    connection: asyncpg.Connection | asyncpg.Pool, since: int = 0
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
    by: str = "",
    copy_of: int | None = None,
) -> bool:
    """The project is the current one; False if it was already. `paths` says which file each
    journey version is in; `by` is who applied it; `copy_of` is the number of the project that a
    rollback brings back. Versions are only ever added."""
    async with connection.transaction():
        await lock(connection)
        row = await connection.fetchrow(CURRENT, 0)
        if row is not None and row["hash"] == content_hash:
            return False
        await connection.fetchval(APPLY, content_hash, now, json.encode(files), by, copy_of)
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


async def ready(connection: asyncpg.Connection) -> bool:
    """Whether the database has its schema; without, nothing was ever applied."""
    found: bool = await connection.fetchval(READY)
    return found


async def lock(connection: asyncpg.Connection) -> None:
    """Nobody else applies a project until the caller's transaction ends."""
    await connection.execute(LOCK, _APPLYING)


async def history(connection: asyncpg.Connection) -> list[Applied]:
    """Every project that was ever applied, the newest first."""
    return [Applied(**row) for row in await connection.fetch(HISTORY)]


async def read(connection: asyncpg.Connection, number: int) -> Kept | None:
    """The project of this number, or None."""
    row = await connection.fetchrow(FILES, number)
    return Kept(row["id"], row["hash"], _files(row["files"])) if row else None


async def since(connection: asyncpg.Connection, number: int) -> list[Kept]:
    """The projects that were applied after that of this number, oldest first."""
    rows = await connection.fetch(SINCE, number)
    return [Kept(row["id"], row["hash"], _files(row["files"])) for row in rows]


async def latest_versions(connection: asyncpg.Connection, journey: str, most: int) -> list[str]:
    """The last so many versions of a journey, the newest first."""
    return [row["version"] for row in await connection.fetch(LATEST, journey, most)]
