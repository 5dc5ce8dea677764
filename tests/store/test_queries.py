"""Every query in the store is one that PostgreSQL understands."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import asyncpg
import pytest

import orchestrator.store as store
from orchestrator.store.usage import PEOPLE

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


@pytest.mark.parametrize("name", QUERIES)
async def test_every_query_is_understood_by_postgresql(name: str, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        query = QUERIES[name].replace("{condition}", "true").replace("{people}", PEOPLE)
        query = query.replace("{{", "{").replace("}}", "}")
        await connection.prepare(query)
    finally:
        await connection.close()


def test_there_are_queries_to_look_at() -> None:
    assert len(QUERIES) > 30
