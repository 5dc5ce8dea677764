"""The project that runs: applied once, then followed by every process."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import asyncpg
from msgspec.structs import replace

from orchestrator.core.errors import OutreachError
from orchestrator.core.media import pictures_in
from orchestrator.core.project import Project
from orchestrator.project import source
from orchestrator.project.load import load, load_journey
from orchestrator.store import media, projects

GIVING_WAY_S = 0.0005
"""A thread that reads a project gives way so often to those who wait for the interpreter. A reply
waits some fifty times; at Python's 5 ms it would take as long as the reading."""

log = logging.getLogger(__name__)


async def apply(
    connection: asyncpg.Connection,
    files: Mapping[str, str],
    now: datetime,
    pictures: Mapping[str, bytes] | None = None,
    by: str = "",
    copy_of: int | None = None,
) -> tuple[Project, bool]:
    """The project of these files is the one that runs, and whether it was not before. `pictures`
    are the octets of those it has, by hash; `by` is who applies it, `copy_of` the number of the
    project that it brings back. Nobody in flight moves: see `runtime.applying`."""
    project = load(files)
    paths = {
        source.version_hash(text): path
        for path, text in files.items()
        if source.version_hash(text) in project.versions
    }
    async with connection.transaction():
        changed = await projects.apply(
            connection, project, files, paths, source.content_hash(files), now, by, copy_of
        )
        if changed:
            await media.keep(connection, pictures_in(files), pictures or {}, now)
    return project, changed


class Projects:
    """The current project, and each older journey version that somebody still stands in."""

    def __init__(self) -> None:
        self._number = 0
        self._project: Project | None = None
        self._reading = asyncio.Lock()
        self._unreadable: tuple[int, OutreachError] | None = None

    @property
    def project(self) -> Project:
        """The project as last followed."""
        if self._project is None:
            raise OutreachError("no project has been applied", "apply one: outreach apply")
        return self._project

    @property
    def number(self) -> int:
        """Under which it was applied; 0 before the first was followed."""
        return self._number

    async def follow(self, connection: asyncpg.Connection | asyncpg.Pool) -> Project:
        """The newest applied project is the current one. It is read in a thread, which takes up to
        seconds: whoever needs it waits, all others go on."""
        if self._reading.locked():
            async with self._reading:
                pass  # what is being read there is most likely the newest
        found = await projects.current(connection, self._number)
        if found is not None:
            async with self._reading:
                await self._read(*found)
        return self.project

    async def _read(self, number: int, files: Mapping[str, str]) -> None:
        """The project of that number is the current one, unless a newer one is already."""
        if number <= self._number:
            return
        if self._unreadable is not None and self._unreadable[0] == number:
            raise self._unreadable[1].with_traceback(None)
        try:
            with _giving_way():
                project = await asyncio.to_thread(load, files)
        except OutreachError as error:
            self._unreadable = number, error
            raise
        older = dict(self._project.versions) if self._project else {}
        self._number = number
        self._project = replace(project, versions={**older, **project.versions})

    async def counting(self, pool: asyncpg.Pool) -> Project | None:
        """The newest project, which says what events count; None if none was applied. One that
        cannot be read must not keep events from being stored: then the one before says it. Whoever
        waits for it holds no connection."""
        try:
            return await self.follow(pool)
        except OutreachError as error:
            if self._number or self._project:
                log.warning("project_unreadable", extra={"reason": error.message})
            return self._project

    async def with_versions(self, connection: asyncpg.Connection, wanted: set[str]) -> Project:
        """The current project, knowing these journey versions as well, as far as they can be
        read: who stands in another fails alone."""
        if not wanted <= self.project.versions.keys():
            # Most likely a newer project's, whose messages it needs as well.
            await self.follow(connection)
        project = self.project
        missing = wanted - project.versions.keys()
        if missing:
            found = {}
            for version, text in (await projects.versions(connection, missing)).items():
                try:
                    found[version] = load_journey(*text)
                except OutreachError as error:
                    log.warning(
                        "version_unreadable version=%s", version, extra={"reason": error.message}
                    )
            # A newer one may have come meanwhile.
            newest = self.project
            self._project = project = replace(newest, versions={**newest.versions, **found})
        return project


_usual_s: list[float] = []
"""For each project that is being read, how often threads gave way before."""


@contextmanager
def _giving_way() -> Iterator[None]:
    """Threads give way to each other more often than otherwise. Several may read at once: the last
    to end puts back what was before the first."""
    _usual_s.append(_usual_s[0] if _usual_s else sys.getswitchinterval())
    sys.setswitchinterval(GIVING_WAY_S)
    try:
        yield
    finally:
        usual_s = _usual_s.pop()
        if not _usual_s:
            sys.setswitchinterval(usual_s)
