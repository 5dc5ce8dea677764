"""The real command line in processes of its own that begin with everything imported: of many short
commands, most of the time would go into importing."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

from orchestrator.cli.main import COMMANDS, main

WITHIN_S = 60


class Forks:
    """Runs `outreach` commands, each in a process that knows nothing of the others. `names` are
    those whose modules are imported beforehand, once."""

    def __init__(self, names: Collection[str]) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        modules = sorted({COMMANDS[name][0].partition(":")[0] for name in names})
        self._context.set_forkserver_preload(
            [__name__, *(f"orchestrator.cli.{module}" for module in modules)]
        )

    def output(
        self, arguments: Sequence[str], folder: Path, env: Mapping[str, str], file: Path
    ) -> str:
        """What this command wrote to stdout and stderr, in its order; `file` has held it."""
        process = self._context.Process(
            target=_run, args=(list(arguments), str(folder), dict(env), str(file))
        )
        process.start()
        process.join(WITHIN_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"outreach {' '.join(arguments)} went on for {WITHIN_S} s")
        process.close()
        return file.read_text(encoding="utf-8")


def _run(arguments: list[str], folder: str, env: dict[str, str], file: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.close(out)
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["outreach", *arguments]
    main()
