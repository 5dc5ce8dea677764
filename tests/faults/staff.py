"""The real processes, `outreach worker` and `outreach gateway`: started, killed, started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

_OURS = ("OUTREACH_", "DATABASE_URL", "REDIS_URL", "NOTIFY_SOCKET")


class Member:
    """One place in the installation: a process that a supervisor starts again whenever it ends.

    Each life has a `life` of its own, by which PostgreSQL knows it (`application_name`).
    """

    def __init__(self, role: str, env: Callable[[str], Mapping[str, str]], folder: Path) -> None:
        self.role = role
        self.lives = count(1)
        self.life = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.ended_by_itself = 0
        self.command = [sys.executable, "-m", "orchestrator.cli", role.split("-")[0]]
        self._env = env
        self._log = folder / f"{role}.log"

    def start(self) -> None:
        self.life = f"{self.role}-{next(self.lives)}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env={**inherited, **self._env(self.life)}, stdout=log, stderr=log
            )

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    async def kill(self) -> str:
        """It was killed with -9; returns the name of the life that ended."""
        process, life = self.process, self.life
        self.signal(signal.SIGKILL)
        async with asyncio.timeout(60):
            while process is not None and process.poll() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return life
