"""Pictures of applied projects: kept once by content, found by name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import asyncpg

from orchestrator.core.media import Media, MediaError, Picture

# Which of these pictures are kept already.
KNOWN = "SELECT hash FROM media WHERE hash = ANY($1::text[])"

# A picture is kept.
KEEP = """
INSERT INTO media (hash, mime, width, height, octets, kept_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
"""

# What names mean in the project that was applied last.
NAME = """
INSERT INTO pictures (name, project_id, hash)
SELECT name, (SELECT max(id) FROM projects), hash
FROM unnest($1::text[], $2::text[]) AS u (name, hash)
ON CONFLICT DO NOTHING
"""

# What no project names any more goes.
FORGET = "DELETE FROM media WHERE NOT EXISTS (SELECT FROM pictures WHERE hash = media.hash)"

# What a name means by now: in the newest project that has it, because a message may have been
# queued before the picture was taken away.
MEANING = "SELECT hash FROM pictures WHERE name = $1 ORDER BY project_id DESC LIMIT 1"

# A picture with its octets.
OCTETS = "SELECT mime, width, height, octets FROM media WHERE hash = $1"


async def keep(
    connection: asyncpg.Connection,
    pictures: Mapping[str, Picture],
    octets: Mapping[str, bytes],
    now: datetime,
) -> None:
    """The pictures, by name, are those of the project that was applied last; `octets` by hash may
    leave out what is kept already. MediaError if something is missing. Safe to repeat."""
    hashes = [it.hash for it in pictures.values()]
    known = {row["hash"] for row in await connection.fetch(KNOWN, hashes)}
    for name, it in pictures.items():
        if it.hash not in known:
            if it.hash not in octets:
                raise MediaError(
                    f"nobody has the picture templates/{name}", "apply the project's own folder"
                )
            known.add(it.hash)
            await connection.execute(
                KEEP, it.hash, it.mime, it.width, it.height, octets[it.hash], now
            )
    await connection.execute(NAME, [*pictures], hashes)
    await connection.execute(FORGET)


async def meaning(connection: asyncpg.Connection, name: str) -> str | None:
    """The hash of the picture of this name, or None."""
    found: str | None = await connection.fetchval(MEANING, name)
    return found


async def read(connection: asyncpg.Connection, digest: str) -> Media | None:
    """The picture of this hash, or None."""
    row = await connection.fetchrow(OCTETS, digest)
    if row is None:
        return None
    octets: bytes = row["octets"]
    picture = Picture(digest, row["mime"], row["width"], row["height"], len(octets))
    return Media(picture, octets)
