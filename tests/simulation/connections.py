"""PostgreSQL as the code in a world sees it: a pool whose every statement is a yield point."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import asyncpg

import orchestrator.store
from orchestrator.store.now import REAL_NOW
from tests.simulation.schedule import Schedule

# Plans must not change with the tables' size, nor rows come in an order that depends on where in
# the file they lie or how an id hashes: a seed would not do the same again.
SETTINGS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_hashagg": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "on",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "synchronous_commit": "off",
    "deadlock_timeout": "1h",
}


def _names() -> dict[str, str]:
    """The name of every query of the store, for the trace."""
    found: dict[str, str] = {}
    for module in iter_modules(orchestrator.store.__path__):
        if module.ispkg:
            continue
        room = import_module(f"orchestrator.store.{module.name}")
        for name, value in vars(room).items():
            if isinstance(value, str) and name.isupper():
                found.setdefault(value, f"{module.name}.{name}")
    return found


NAMES = _names()

Witness = Callable[[str, tuple[Any, ...]], None]
"""Sees each statement and its parameters."""


class Stock:
    """Raw connections, lent to whoever opens a transaction; as many as are needed at once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._free: list[asyncpg.Connection] = []
        self._all: list[asyncpg.Connection] = []

    async def grow(self, count: int) -> None:
        """So many connections wait to be lent."""
        while len(self._free) < count:
            raw = await asyncpg.connect(
                self._url,
                server_settings=SETTINGS,
                statement_cache_size=500,
                max_cached_statement_lifetime=0,
            )
            self._all.append(raw)
            self._free.append(raw)

    def lend(self) -> asyncpg.Connection:
        """A connection that nobody else has."""
        return self._free.pop()

    def take_back(self, raw: asyncpg.Connection) -> None:
        """The connection may be lent again."""
        self._free.append(raw)

    async def close(self) -> None:
        """No connection is left, whatever was open on it."""
        for raw in self._all:
            raw.terminate()
        self._all, self._free = [], []


class Pool:
    """What `Context.pool` needs to be, for one life."""

    def __init__(self, schedule: Schedule, stock: Stock, witness: Witness | None = None) -> None:
        self._schedule, self._stock, self._witness = schedule, stock, witness

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        raw = self._stock.lend()
        try:
            yield Connection(self._schedule, raw, self._witness)
        finally:
            self._stock.take_back(raw)

    async def fetchval(self, query: str, *values: Any) -> Any:
        if query == REAL_NOW:
            return await self._schedule.real_now()
        async with self.acquire() as connection:
            return await connection.fetchval(query, *values)

    async def fetchrow(self, query: str, *values: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *values)


class Connection:
    """A connection of which each statement is a yield point."""

    def __init__(self, schedule: Schedule, raw: asyncpg.Connection, see: Witness | None) -> None:
        self.raw = raw
        self._schedule, self._see = schedule, see

    async def fetch(self, query: str, *values: Any) -> list[Any]:
        rows: list[Any] = await self._ask(query, values, lambda: self.raw.fetch(query, *values))
        return rows

    async def fetchrow(self, query: str, *values: Any) -> Any:
        return await self._ask(query, values, lambda: self.raw.fetchrow(query, *values))

    async def fetchval(self, query: str, *values: Any) -> Any:
        return await self._ask(query, values, lambda: self.raw.fetchval(query, *values))

    async def execute(self, query: str, *values: Any) -> str:
        status: str = await self._ask(query, values, lambda: self.raw.execute(query, *values))
        return status

    @asynccontextmanager
    async def transaction(self, **_: Any) -> AsyncIterator[None]:
        """One transaction; if it fails, or its process is killed, rolled back."""
        schedule, raw = self._schedule, self.raw
        await schedule.ask("BEGIN", raw, self, lambda: raw.execute("BEGIN"))
        try:
            yield
            await schedule.park("COMMIT", self)
        except BaseException:
            await schedule.tell(raw, lambda: raw.execute("ROLLBACK"))
            schedule.ended()
            raise
        await schedule.tell(raw, lambda: raw.execute("COMMIT"))
        if self._see is not None:
            self._see("COMMIT", ())
        schedule.committed()
        schedule.ended()

    async def _ask(self, query: str, values: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        name = NAMES.get(query) or " ".join(query.split()[:4])
        answer = await self._schedule.ask(name, self.raw, self, call)
        if self._see is not None:
            self._see(query, values)
        count = len(answer) if isinstance(answer, list) else answer
        if isinstance(count, int | str):
            self._schedule.note(f"    {count}")
        return answer
