"""Many small calls become few large ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from orchestrator.runtime.gather import Gathering


async def test_what_comes_while_it_rests_is_one_batch() -> None:
    batches: list[list[int]] = []

    async def work(items: Sequence[int]) -> None:
        batches.append([*items])

    some = Gathering(work, rest_s=10.0, longest_rest_s=2.0)
    await some.add([1])
    adding = []
    for number in (2, 3, 4):
        adding.append(asyncio.create_task(some.add([number])))
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.gather(*adding)
    assert batches == [[1], [2, 3, 4]]


async def test_whoever_gave_up_while_it_rested_is_not_worked_on() -> None:
    batches: list[list[int]] = []

    async def work(items: Sequence[int]) -> None:
        batches.append([*items])

    some = Gathering(work, rest_s=10.0, longest_rest_s=2.0)
    await some.add([1])
    gone = asyncio.create_task(some.add([2]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    await some.add([3])
    assert batches == [[1], [3]]


async def test_who_adds_one_thing_after_the_other_does_not_wait_for_others_for_ever() -> None:
    async def work(items: Sequence[int]) -> None:
        pass

    some = Gathering(work, rest_s=10.0, longest_rest_s=0.1)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30):
        for _ in range(2):  # it tries again and again
            at_once = False
            while not at_once:
                began = loop.time()
                await some.add([1])
                await some.add([2])
                at_once = loop.time() - began < 0.1
            await asyncio.sleep(0.1)
