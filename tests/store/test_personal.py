"""No table and no column is forgotten when somebody asks for their data, or to be forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from orchestrator.store.personal import TABLES, Treatment

COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
"""


@pytest_asyncio.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_every_table_of_the_database_has_its_treatment(
    connection: asyncpg.Connection,
) -> None:
    found = {row["table_name"] for row in await connection.fetch(COLUMNS)}
    assert found == TABLES.keys(), "say in store/personal.py what becomes of it, and see to that"


async def test_what_names_a_subscriber_is_exported_and_erased_or_says_why_not(
    connection: asyncpg.Connection,
) -> None:
    for table, column in await connection.fetch(COLUMNS):
        if column == "subscriber_id" and table != "erasures":
            assert TABLES[table].exported, table
            assert TABLES[table].erased or TABLES[table].kept, table


async def test_every_column_of_what_is_exported_is_in_it_or_says_why_not(
    connection: asyncpg.Connection,
) -> None:
    columns: dict[str, set[str]] = {}
    for table, column in await connection.fetch(COLUMNS):
        columns.setdefault(table, set()).add(column)
    for table, treatment in TABLES.items():
        if not treatment.exported:
            continue
        query = await connection.prepare(treatment.exported)
        told = {it.name for it in query.get_attributes()} | treatment.left_out.keys()
        assert columns[table] <= told, f"{table}: {sorted(columns[table] - told)}"
        assert treatment.left_out.keys() <= columns[table], table
        assert all(treatment.left_out.values()), table


@pytest.mark.parametrize("table", TABLES)
def test_a_treatment_says_what_happens_or_why_nothing_does(table: str) -> None:
    it: Treatment = TABLES[table]
    assert bool(it.exported) != bool(it.because)
    assert bool(it.erased) != bool(it.kept)
