"""Thousands of PDUs that nobody should send, the same ones every time, and all that the fuzzers
kept: each ends as a value or as an error of ours, soon, and leaves next to nothing behind."""

from __future__ import annotations

import gc
import tracemalloc
from functools import partial

import pytest

from tests.hostile.__main__ import NAMES
from tests.hostile.seeds import mutated, seeds
from tests.hostile.targets import TARGETS
from tests.timely import timely

COUNTS = {"mm7_callback": 500}
"""Inputs of a target beside the honest ones and those that were kept, if not 5,000. An MMS with
pictures takes a millisecond, and `tests/channels/mms/test_incoming.py` draws its 5,000."""
LIMIT_S = 0.5
"""For one input, on a loaded machine; nearly all take a tenth of a millisecond."""
MOST_OCTETS = 8_000_000
"""Left behind by all inputs of one target together: what is remembered of replies and parts."""


@pytest.mark.parametrize("name", TARGETS)
def test_no_octets_are_too_odd(name: str) -> None:
    target = TARGETS[name]
    for octets in [*seeds(name), *mutated(name, COUNTS.get(name, 5_000), seed=1)]:
        try:
            timely(LIMIT_S, partial(target, octets))
        except Exception as error:
            error.add_note(octets.hex())
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_left_behind_is_bounded(name: str) -> None:
    inputs = [*seeds(name), *mutated(name, 200, seed=2)]
    tracemalloc.start()
    try:
        for octets in inputs:
            TARGETS[name](octets)
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < MOST_OCTETS
    assert peak < 3 * MOST_OCTETS


def test_every_target_can_be_fuzzed_by_its_name_and_has_honest_inputs() -> None:
    assert tuple(TARGETS) == NAMES
    assert all(seeds(name) for name in TARGETS)
