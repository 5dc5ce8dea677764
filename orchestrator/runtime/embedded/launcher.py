"""The servers that a program needs are up: the given ones, or embedded ones, ours or shared."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Protocol

from msgspec import Struct

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.embedded.child import Child
from orchestrator.runtime.embedded.folder import Folder, close_folder, open_folder
from orchestrator.runtime.embedded.postgres import Postgres
from orchestrator.runtime.embedded.valkey import Valkey

ATTACH_S = 10.0
"""How long a server whose owner says it is ready may take to answer us."""
POLL_S = 0.02


class Wanted(Protocol):
    """What says where the servers are: `Settings` does. None: embedded, under `data`."""

    @property
    def database_url(self) -> str | None: ...

    @property
    def redis_url(self) -> str | None: ...

    @property
    def data(self) -> Path: ...


class Urls(Struct, frozen=True):
    """Where PostgreSQL and Redis answer: for `asyncpg.connect` and `redis_settings`."""

    database_url: str
    redis_url: str


class _Server(Protocol):
    name: str
    url: str
    folder: Folder

    def start(self) -> Child: ...

    def ready(self) -> bool: ...


@asynccontextmanager
async def servers(wanted: Wanted) -> AsyncIterator[Urls]:
    """`run_servers` for an event loop, which starting and ending hold up (0.2 s; 1 s if new):
    the servers end with the thread that starts them, so that must be the loop's."""
    with run_servers(wanted) as urls:
        yield urls


@contextmanager
def run_servers(wanted: Wanted) -> Iterator[Urls]:
    """PostgreSQL and Redis answer at the yielded URLs, until the block ends.

    Given URLs are taken as they are. Else we start our own over `wanted.data` and stop them at the
    end; if another program runs them there already, we use those and leave them be. Raises
    OutreachError. Call from a thread that lives as long as the block.
    """
    with ExitStack() as stack:
        if wanted.database_url and wanted.redis_url:
            yield Urls(wanted.database_url, wanted.redis_url)
            return
        folder = open_folder(wanted.data)
        redis_url = wanted.redis_url or stack.enter_context(
            _own_or_attach(Valkey(folder), folder.lock("valkey"))
        )
        database_url = wanted.database_url or stack.enter_context(
            _own_or_attach(Postgres(folder), folder.lock("postgres"))
        )
        yield Urls(database_url, redis_url)


@contextmanager
def _own_or_attach(server: _Server, lock_path: Path) -> Iterator[str]:
    """`server` runs: started by us, who hold its lock, or by another, who holds it."""
    with lock_path.open("a+") as lock:
        if not _own(server, lock):
            yield server.url
            return
        _say(lock, "starting")
        open_folder(server.folder.root)
        child = server.start()
        try:
            _say(lock, "ready")
            yield server.url
        finally:
            _say(lock, "stopping")
            child.end()
            close_folder(server.folder)


def _own(server: _Server, lock: IO[str]) -> bool:
    """True: we hold the lock. False: another does, and its server answers."""
    waited_s = 0.0
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            owner, state = _read(lock)
        if state == "ready":
            if server.ready():
                return False
            if waited_s > ATTACH_S:
                raise OutreachError(
                    f"Another outreach ({owner}) runs {server.name} in {Path(lock.name).parent}, "
                    "but it does not answer",
                    f"Stop {owner}, then try again.",
                )
            waited_s += POLL_S
        time.sleep(POLL_S)


def _say(lock: IO[str], state: str) -> None:
    """Those who come second read who we are and how far we are."""
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()} {state}\n")
    lock.flush()


def _read(lock: IO[str]) -> tuple[str, str]:
    lock.seek(0)
    pid, _, state = lock.read().strip().partition(" ")
    return f"process {pid or 'unknown'}", state
