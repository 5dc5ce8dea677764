"""Processes that belong together: started, told apart in the log, started again when they end."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from msgspec import Struct

from orchestrator.runtime.embedded.child import tethered

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""Whoever ran so long before it ended is started again at once."""
PATIENCE_S = 45.0
"""So long may an ending take: a worker finishes its batch."""
MAX_LINE_OCTETS = 64 * 1024

log = logging.getLogger(__name__)

Say = Callable[[str, str], None]
"""Called with the name of a child and each line it writes."""


class Branch(Struct, frozen=True):
    """A process to keep running."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]


class Tree:
    """The children of this process. They end with it, however it ends (Linux)."""

    def __init__(self, say: Say, sockets: Path) -> None:
        self._say = say
        self._sockets = sockets
        self._grown: list[list[_Child]] = []

    async def grow(self, branches: Sequence[Branch]) -> None:
        """The branches run, and each has said once that it is ready."""
        children = [_Child(branch, self._say, self._sockets) for branch in branches]
        self._grown.append(children)
        await asyncio.gather(*(child.ready.wait() for child in children))

    async def stop(self) -> None:
        """No child runs. What was grown last has ended first."""
        for children in reversed(self._grown):
            await asyncio.gather(*(child.stop() for child in children))

    def kill(self) -> None:
        """No child runs from now on, whatever it was doing."""
        for child in self._all:
            child.kill()

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of those who run, by name."""
        return {child.branch.name: child.pid for child in self._all if child.pid}

    @property
    def _all(self) -> list[_Child]:
        return [child for children in self._grown for child in children]


@asynccontextmanager
async def planted(say: Say) -> AsyncIterator[Tree]:
    """An empty tree; at the end of the block its children have ended."""
    # Not TMPDIR: a socket's path must be short.
    sockets = Path(tempfile.mkdtemp(prefix="outreach-up-", dir="/tmp"))
    tree = Tree(say, sockets)
    try:
        yield tree
    finally:
        await tree.stop()
        shutil.rmtree(sockets, ignore_errors=True)


class _Child:
    def __init__(self, branch: Branch, say: Say, sockets: Path) -> None:
        self.branch = branch
        self.ready = asyncio.Event()
        self._say = say
        self._stopping = asyncio.Event()
        self._process: Process | None = None
        self._notices = _listen(sockets / branch.name, self.ready)
        self._task = asyncio.create_task(self._keep_running(str(sockets / branch.name)))

    @property
    def pid(self) -> int:
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else 0

    async def stop(self) -> None:
        self._stopping.set()
        self._send(signal.SIGTERM)
        done, _ = await asyncio.wait({self._task}, timeout=PATIENCE_S)
        if not done:
            log.warning("child_killed name=%s after_s=%d", self.branch.name, PATIENCE_S)
            self._send(signal.SIGKILL)
            await asyncio.wait({self._task})
        asyncio.get_running_loop().remove_reader(self._notices)
        self._notices.close()

    def kill(self) -> None:
        self._stopping.set()
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.pid and self._process is not None:
            self._process.send_signal(number)

    async def _keep_running(self, notify: str) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began_at = time.monotonic()
            code = await self._run_once(notify)
            if self._stopping.is_set():
                return
            if time.monotonic() - began_at > STEADY_S:
                pause_s = FIRST_PAUSE_S
            log.warning(
                "child_ended name=%s code=%d again_in_s=%.1f", self.branch.name, code, pause_s
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _run_once(self, notify: str) -> int:
        """Its exit code, once it has ended and all it wrote is passed on."""
        process = await asyncio.create_subprocess_exec(
            *tethered("self", signal.SIGTERM, self.branch.command),
            env={**self.branch.env, "NOTIFY_SOCKET": notify},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,  # Ctrl-C reaches only us, and we end it in order.
        )
        self._process = process
        if self._stopping.is_set():  # asked to stop while it was being started
            self._send(signal.SIGTERM)
        assert process.stdout is not None
        await self._pass_on(process.stdout)
        return await process.wait()

    async def _pass_on(self, output: asyncio.StreamReader) -> None:
        rest = b""
        while octets := await output.read(MAX_LINE_OCTETS):
            *lines, rest = (rest + octets).split(b"\n")
            if len(rest) > MAX_LINE_OCTETS:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._say(self.branch.name, line.decode(errors="replace"))
        if rest:
            self._say(self.branch.name, rest.decode(errors="replace"))


def _listen(path: Path, ready: asyncio.Event) -> socket.socket:
    """A socket at `path`, by which a child says that it is ready: see `runtime.notify`."""
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.setblocking(False)
    notices.bind(str(path))

    def heard() -> None:
        try:
            if b"READY=1" in notices.recv(4096):
                ready.set()
        except BlockingIOError:
            return

    asyncio.get_running_loop().add_reader(notices, heard)
    return notices
