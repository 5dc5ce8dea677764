"""The real command line in processes of its own that begin with everything imported: of a short
command, most of the time would go into importing."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import bot
import channels
import orchestrator
from orchestrator.cli.main import main

WITHIN_S = 60


def _modules() -> list[str]:
    """The names of all modules of the program but of what runs it."""
    found = []
    for package in (orchestrator, channels, bot):
        root = Path(package.__path__[0])
        places = (file.relative_to(root.parent).with_suffix("") for file in root.rglob("*.py"))
        found += [".".join(it.parts) for it in places if not it.name.startswith("__")]
    return sorted(found)


FORKS = multiprocessing.get_context("forkserver")
"""Makes processes that have all of them imported, out of one that does nothing else; there is one
in each process, whatever asks for it."""

FORKS.set_forkserver_preload([__name__, "pytest", *_modules()])


def run(
    arguments: Sequence[str], env: Mapping[str, str], folder: Path | None, *, apart: bool = True
) -> subprocess.CompletedProcess[str]:
    """One command has run in this folder, with this environment only. What it wrote to stderr is
    `apart`, or in its place between what it wrote to stdout."""
    with tempfile.TemporaryDirectory() as kept:
        files = [Path(kept, "stdout"), Path(kept, "stderr" if apart else "stdout")]
        process = FORKS.Process(
            target=_run,
            args=(list(arguments), dict(env), str(folder or Path.cwd()), list(map(str, files))),
        )
        process.start()
        process.join(WITHIN_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"outreach {' '.join(arguments)} went on for {WITHIN_S} s")
        code = process.exitcode
        process.close()
        out, err = (file.read_text(encoding="utf-8") for file in files)
    return subprocess.CompletedProcess(list(arguments), code, out, err if apart else "")


def _run(arguments: list[str], env: dict[str, str], folder: str, files: list[str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    written = (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace"))
    for file, (name, number, errors) in zip(files, written, strict=True):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
        stream = open(number, "w", 1, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
    sys.argv = ["outreach", *arguments]
    main()
