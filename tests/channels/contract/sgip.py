"""SMS over SGIP 1.2, logged in to a simulated gateway with a handset for every number."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.channels.china.worlds import contract
from tests.channels.contract.rig import Rig


@asynccontextmanager
async def rig(deadline_s: float) -> AsyncIterator[Rig]:
    async with contract("sgip", deadline_s) as made:
        yield made
