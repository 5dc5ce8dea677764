"""The simulation finds what it is there to find: defects are planted, and it must notice."""

from __future__ import annotations

import pytest

from tests.simulation.defects import DEFECTS, seeds_until_found
from tests.simulation.run import theatre

QUICK = (
    "a claim that others can claim as well",
    "an opt-out that does not reach the queue",
    "a source id taken in twice",
    "a lapse that sends again under hold",
)
"""Those that a few seeds find; `python -m tests.simulation --defects` plants them all."""


@pytest.mark.parametrize("name", QUICK)
async def test_a_planted_defect_is_found(database_url: str, name: str) -> None:
    async with theatre(database_url) as stage:
        assert await seeds_until_found(stage, DEFECTS[name], 60)
