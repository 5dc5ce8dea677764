from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from orchestrator.cli.apply import apply_files
from orchestrator.project import shipped
from orchestrator.runtime.settings import Settings
from tests.cli.shell import outreach


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that `outreach init` makes. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("projects") / "shop"
    made = outreach("init", str(folder))
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def servers(database_url: str, redis_url: str, shop: Path) -> Mapping[str, str]:
    """The settings of an installation of its own, over the test's servers."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "OUTREACH_SECRET": "the secret of this test only",
        "OUTREACH_PROJECT": str(shop),
    }


@pytest_asyncio.fixture
async def applied(servers: Mapping[str, str]) -> Mapping[str, str]:
    """The same, with the starter project applied."""
    settings = Settings.from_env(servers, Path())
    await apply_files(settings, servers["DATABASE_URL"], shipped.starter())
    return servers
