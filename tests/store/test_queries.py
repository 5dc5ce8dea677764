"""Every query in the store is one that PostgreSQL understands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pkgutil import walk_packages

import asyncpg
import pytest
import pytest_asyncio

import orchestrator.store as store
from orchestrator.runtime.embedded import Urls
from orchestrator.store.usage import PEOPLE
from tests.conftest import database

_FIRST_WORDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


def _queries() -> Iterator[tuple[str, str]]:
    for module in walk_packages(store.__path__, f"{store.__name__}."):
        for name, value in vars(import_module(module.name)).items():
            if (
                name.isupper()
                and isinstance(value, str)
                and value.lstrip().startswith(_FIRST_WORDS)
            ):
                yield f"{module.name.removeprefix('orchestrator.store.')}.{name}", value


QUERIES = dict(_queries())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connection(
    embedded_urls: Urls, template_database: str
) -> AsyncIterator[asyncpg.Connection]:
    """To a database that nobody writes to."""
    async with database(embedded_urls, template_database) as url:
        connection = await asyncpg.connect(url)
        yield connection
        await connection.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUERIES)
async def test_every_query_is_understood_by_postgresql(
    name: str, connection: asyncpg.Connection
) -> None:
    query = QUERIES[name].replace("{condition}", "true").replace("{people}", PEOPLE)
    query = query.replace("{{", "{").replace("}}", "}")
    await connection.prepare(query)


def test_there_are_queries_to_look_at() -> None:
    assert len(QUERIES) > 30
