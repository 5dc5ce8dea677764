"""The real command line, as somebody at a terminal meets it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.cli import forked

Found = TypeVar("Found")

OUTREACH = [sys.executable, "-m", "orchestrator.cli"]
READY = "Ctrl-C stops everything."


def clean_env(**settings: str) -> dict[str, str]:
    """This process's environment, without settings but for these."""
    ours = ("OUTREACH_", "DATABASE_URL", "REDIS_URL")
    return {**{k: v for k, v in os.environ.items() if not k.startswith(ours)}, **settings}


def outreach(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """One command has run, whatever its exit code. How it starts is not what is tested."""
    return forked.run(arguments, clean_env(**(env or {})), cwd)


def eventually(look: Callable[[], Found | None], within_s: float = 30.0) -> Found:
    """What `look` finds, as soon as it finds something."""
    give_up_at = time.monotonic() + within_s
    while True:
        if found := look():
            return found
        assert time.monotonic() < give_up_at, "it never came"
        time.sleep(0.1)


class Up:
    """A running `outreach up` and all it has written."""

    def __init__(self, process: subprocess.Popen[str], project: Path) -> None:
        self.process = process
        self.project = project
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def written(self) -> str:
        return "\n".join(self.lines)

    def place(self, what: str) -> str:
        """The address it printed for `what`."""
        found = re.search(rf"^{what} +(http://[^ ]+?)/", self.written, re.MULTILINE)
        assert found is not None, self.written
        return found[1]

    def story(self, who: str) -> dict[str, Any]:
        """What `show --json` says of a subscriber."""
        shown = outreach("show", who, "--json", "--project", str(self.project))
        assert shown.returncode == 0, shown.stderr
        story: dict[str, Any] = json.loads(shown.stdout)
        return story

    def end(self) -> int:
        """Its exit code, once it was asked to end and has."""
        self.process.terminate()
        code = self.process.wait(60)
        self._reader.join(10)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(line.rstrip("\n") for line in iter(output.readline, ""))


@contextmanager
def running_up(project: Path, *options: str, **settings: str) -> Iterator[Up]:
    """`outreach up` over this project, ready, on free ports."""
    ports = {"OUTREACH_WEB_PORT": "0", "OUTREACH_WALL_PORT": "0", **settings}
    process = subprocess.Popen(
        [*OUTREACH, "up", "--project", str(project), *options],
        env=clean_env(**ports),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    up = Up(process, project)
    try:
        eventually(lambda: READY in up.lines or process.poll() is not None, 60)
        assert process.poll() is None, up.written
        yield up
    finally:
        if process.poll() is None:
            up.end()


def processes_about(project: Path) -> list[str]:
    """The command lines of those whose command line or environment names this project."""
    found = []
    mark = os.fsencode(project)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
            if mark in words or mark in (entry / "environ").read_bytes():
                found.append(f"{entry.name} " + words.replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
