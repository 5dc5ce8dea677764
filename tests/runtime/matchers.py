"""Matchers in processes of their own, to be killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess

from orchestrator.cli.main import main
from tests.cli.forked import FORKS


class Matchers:
    """Runs `outreach matcher`, each in a process that begins with everything imported."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self.running: list[ForkServerProcess] = []

    def start(self) -> None:
        """One more runs."""
        process = FORKS.Process(target=_run, args=(self._env,))
        process.start()
        self.running.append(process)

    def kill(self, which: int) -> None:
        """This one is no more, and was not asked."""
        process = self.running.pop(which)
        process.kill()
        process.join()
        process.close()

    def stop(self, which: int) -> int | None:
        """This one has ended by itself, asked to: its exit code."""
        process = self.running.pop(which)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        process.join(30)
        code = process.exitcode
        process.close()
        return code


@contextmanager
def matchers(env: Mapping[str, str]) -> Iterator[Matchers]:
    """None runs yet, and none does afterwards."""
    some = Matchers(env)
    try:
        yield some
    finally:
        while some.running:
            some.kill(0)


def _run(env: Mapping[str, str]) -> None:
    os.environ.update(env)
    quiet = os.open(os.environ.get("OUTREACH_TEST_LOG", os.devnull), os.O_WRONLY | os.O_APPEND)
    os.environ.pop("OUTREACH_TEST_LOG", None)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    sys.argv = ["outreach", "matcher"]
    main()
