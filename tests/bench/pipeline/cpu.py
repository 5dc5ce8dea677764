"""CPU seconds of process trees, from /proc: ours, PostgreSQL's, Valkey's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()


def _tree(roots: Iterable[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except (OSError, IndexError):
                continue
    found: set[int] = set()
    waiting = [*roots]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """User and system seconds of these processes, their descendants, and those already reaped."""
    total = 0
    for pid in _tree(roots):
        try:
            fields = _stat(pid)
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total * _TICK_S


def servers(program: str, folder: Path) -> list[int]:
    """The processes of programs so named that were given a path in `folder`; not those of others
    that were, such as a client that was told where its server is."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            named = Path(line.partition(" ")[0]).name.startswith(program)
            if named and str(folder) in line:
                found.append(int(entry.name))
    return found
