"""A project's folder as it is now: read again whenever somebody saves a file in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from watchfiles import Change, DefaultFilter, awatch

from orchestrator.core.errors import OutreachError
from orchestrator.project import source
from orchestrator.project.draft import Bot, Draft
from orchestrator.project.findings import Finding, Mark, ProjectErrors
from orchestrator.project.load import inspect
from orchestrator.project.source import BELONGS

log = logging.getLogger("outreach.preview")

SETTLES_MS = 50
"""A save is over once nothing has changed for so long."""
LONGEST_MS = 400
"""Who never stops saving sees it after so long."""


class Reading(Struct, frozen=True):
    """All that could be read, and what is wrong with it. `number` grows with each reading."""

    draft: Draft
    findings: tuple[Finding, ...]
    number: int = 0


class Folder:
    """A project's folder. `now` is the latest reading; what cannot be read at all leaves the one
    before in its place, with the reason among its findings. `bot` is as of `inspect`."""

    def __init__(self, path: Path, bot: Bot | None = None) -> None:
        self.path = path
        self._bot = bot
        self._files: Mapping[str, str] = source.read_folder(path)
        draft, findings = inspect(self._files, bot)
        self.now = Reading(draft, findings)
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """While it lasts, the folder is read again after each change."""
        stop = asyncio.Event()
        watching = asyncio.create_task(self._watch(stop))
        try:
            yield
        finally:
            stop.set()
            await watching

    async def after(self, number: int) -> Reading:
        """The first reading later than that, once there is one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.now.number > number)
            return self.now

    async def read(self) -> None:
        """What lies there now is the latest reading; if it says what it said, nothing happens."""
        number = self.now.number + 1
        try:
            files = await asyncio.to_thread(source.read_folder, self.path)
            if files == self._files:
                return
            self._files = files
            fresh = Reading(*await asyncio.to_thread(inspect, files, self._bot), number)
        except ProjectErrors as errors:
            fresh = self._unreadable(errors.findings)
        except (OutreachError, OSError) as error:
            said = error.message if isinstance(error, OutreachError) else type(error).__name__
            fresh = self._unreadable([Finding(Mark("journeys"), said, "save it again", "file")])
        except Exception as error:  # a bug of ours must not end the author's session
            log.exception("preview_failed")
            said = f"a bug: {type(error).__name__}: {error}"
            hint = "please report it; what is saved next is looked at again"
            fresh = self._unreadable([Finding(Mark("journeys"), said, hint, "file")])
        async with self._changed:
            self.now = fresh
            self._changed.notify_all()

    def _unreadable(self, findings: Sequence[Finding]) -> Reading:
        self._files = {}
        return replace(self.now, findings=tuple(findings), number=self.now.number + 1)

    async def _watch(self, stop: asyncio.Event) -> None:
        folders = [it for it in (self.path / "journeys", self.path / "templates") if it.is_dir()]
        changes = awatch(
            *folders,
            watch_filter=_Ours(),
            step=SETTLES_MS,
            debounce=LONGEST_MS,
            stop_event=stop,
            rust_timeout=1_000,
        )
        # Watching begins with the first step of this task, and what was saved before it, since
        # the folder was first read, is seen by the reading below.
        change = asyncio.ensure_future(anext(changes, None))
        await asyncio.sleep(0)
        await self.read()
        while await change is not None:
            await self.read()
            change = asyncio.ensure_future(anext(changes, None))


class _Ours(DefaultFilter):
    """What may be part of a project; not what editors leave beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._suffixes = tuple({end for ends in BELONGS.values() for end in ends})

    def __call__(self, change: Change, path: str) -> bool:
        return path.endswith(self._suffixes) and super().__call__(change, path)
