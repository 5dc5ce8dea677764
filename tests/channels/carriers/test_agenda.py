"""What is put into the agenda happens in order, whatever the loop and however soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from channels.carriers.agenda import Agenda


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_things_happen_in_order(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def play() -> list[str]:
        done: list[str] = []
        agenda = Agenda(asyncio.get_running_loop())
        agenda.put(0.02, done.append, "last")
        agenda.put(0.0, done.append, "first")
        agenda.put(0.0, done.append, "second")
        await asyncio.sleep(0.1)
        return done

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(play()) == ["first", "second", "last"]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_a_call_puts_in_for_later_does_not_hold_up_what_is_due_before(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def play() -> list[str]:
        done: list[str] = []
        agenda, soon = Agenda(asyncio.get_running_loop()), asyncio.Event()
        agenda.put(0.0, agenda.put, 600.0, done.append, "in ten minutes")
        agenda.put(0.02, done.append, "soon")
        agenda.put(0.02, soon.set)
        async with asyncio.timeout(20):
            await soon.wait()
        agenda.clear()
        return done

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(play()) == ["soon"]
