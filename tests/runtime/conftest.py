"""An installation per test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from orchestrator.runtime.context import Context
from tests.runtime.installation import installed


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    """A process of an installation with a small campaign; its clock stands at noon."""
    async with installed(database_url, redis_url) as context:
        yield context
