"""A tree of real processes: started, told apart, started again, ended."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable

from orchestrator.runtime.embedded.child import exists
from orchestrator.runtime.tree import Branch, Tree, planted

READY = "from orchestrator.runtime.notify import tell; tell('READY=1');"


class Said:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))


def python(name: str, code: str) -> Branch:
    return Branch(name, [sys.executable, "-u", "-c", READY + code], dict(os.environ))


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


SLEEPS = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf');"
    "time.sleep(600)"
)


async def test_children_are_told_apart_by_their_lines() -> None:
    said = Said()
    async with planted(said) as tree:
        await tree.grow([python("a", f"print('one\\ntwo'); {SLEEPS}"), python("b", SLEEPS)])
        await until(lambda: len(said.lines) == 2)
    assert said.lines == [("a", "one"), ("a", "two")]


async def test_grow_waits_until_every_child_says_it_is_ready() -> None:
    late = Branch(
        "late", [sys.executable, "-c", f"import time; time.sleep(1); {READY}"], os.environ
    )
    async with planted(Said()) as tree:
        began_at = time.monotonic()
        await tree.grow([late])
        assert time.monotonic() - began_at > 1


async def test_who_is_killed_is_started_again() -> None:
    async with planted(Said()) as tree:
        await tree.grow([python("a", SLEEPS)])
        first = tree.pids["a"]
        os.kill(first, 9)
        await until(lambda: tree.pids.get("a", first) != first)


async def test_who_always_fails_is_started_again_ever_more_rarely() -> None:
    said = Said()
    async with planted(said) as tree:
        await tree.grow([python("a", "import time; print(time.monotonic()); exit(3)")])
        await until(lambda: len(said.lines) >= 3)
    first, second, third = (float(line) for _, line in said.lines[:3])
    assert 0.5 < second - first < third - second


async def test_nobody_outlives_the_tree() -> None:
    async with planted(Said()) as tree:
        await tree.grow([python("a", SLEEPS), python("b", SLEEPS)])
        pids = list(tree.pids.values())
    assert not any(exists(pid) for pid in pids)


async def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    said = Said()
    code = "import sys; sys.stdout.write('x' * 300_000); sys.stdout.flush();" + SLEEPS
    async with planted(said) as tree:
        await tree.grow([python("a", code)])
        await until(lambda: sum(len(line) for _, line in said.lines) > 150_000)


async def test_kill_ends_even_who_does_not_listen() -> None:
    said = Said()
    async with planted(said) as tree:
        await tree.grow([python("a", STUBBORN)])
        await until(lambda: said.lines)
        pid = tree.pids["a"]
        tree.kill()
        await until(lambda: not exists(pid))


async def test_a_tree_can_be_ended_while_it_grows() -> None:
    async with planted(Said()) as tree:
        never_ready = Branch("a", [sys.executable, "-c", SLEEPS], dict(os.environ))
        growing = asyncio.create_task(tree.grow([never_ready]))
        await until(lambda: tree.pids)
        pid = tree.pids["a"]
        growing.cancel()
        await asyncio.wait({growing})
    assert not exists(pid)
    assert isinstance(tree, Tree)
