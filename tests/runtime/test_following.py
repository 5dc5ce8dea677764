"""A newly applied project is read beside what goes on, not before it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest

from orchestrator.core.delivery import Reply
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.projects import Projects, apply
from tests.runtime.installation import (
    FILES,
    do,
    installed,
    number,
    people,
    rows,
    until,
    until_found,
    value,
)

RENAMED = {**FILES, "journeys/program/project.yaml": FILES[
    "journeys/program/project.yaml"
].replace("small", "renamed")}  # fmt: skip


class OneThread(ThreadPoolExecutor):
    """What an event loop gives to threads, one at a time, counted."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self.given = 0

    def submit(self, work: Callable[..., Any], *given: Any, **named: Any) -> Future[Any]:
        self.given += 1
        return super().submit(work, *given, **named)


@asynccontextmanager
async def busy_thread() -> AsyncIterator[OneThread]:
    """The loop's only thread has something else to do, until the block ends."""
    thread, free = OneThread(), Event()
    asyncio.get_running_loop().set_default_executor(thread)
    thread.submit(free.wait)
    try:
        yield thread
    finally:
        free.set()


async def renamed(context: Context) -> None:
    """Somebody else has applied a newer project."""
    async with context.pool.acquire() as connection:
        await apply(connection, RENAMED, context.clock.now())


async def follow(context: Context) -> None:
    async with context.pool.acquire() as connection:
        await context.projects.follow(connection)


async def test_a_reply_is_answered_while_a_newer_project_is_read(office: Context) -> None:
    await people(office, [1])
    await renamed(office)
    ingest = Ingest(office)
    async with busy_thread() as thread:
        following = asyncio.create_task(follow(office))
        await until(lambda: thread.given == 2)
        await ingest.inbox.replies([Reply("sms", number(1), "points", "a", to="10086")])
        await ingest.answered()
        assert await rows(office, "SELECT template FROM messages") == [("bot/balance",)]
        assert not following.done()
        assert office.projects.project.name == "small"
    await following
    assert office.projects.project.name == "renamed"


async def test_who_needs_it_waits_for_it_and_it_is_read_once(
    database_url: str, redis_url: str
) -> None:
    """Events count what the newest project says; those who report them hold no connection while
    they wait, so that replies find one."""
    async with installed(database_url, redis_url, connections=2) as office:
        await people(office, [1])
        await renamed(office)
        ingest = Ingest(office)
        async with busy_thread() as thread:
            reports = [
                asyncio.create_task(ingest.events([EventIn("1", "a.b", str(n))], "switch"))
                for n in range(5)
            ]
            await until(lambda: thread.given == 2)
            await ingest.inbox.replies([Reply("sms", number(1), "points", "a", to="10086")])
            await ingest.answered()
            assert await value(office, "SELECT count(*) FROM messages") == 1
            assert not any(it.done() for it in reports)
        counts = await asyncio.gather(*reports)
        assert sum(it.stored for it in counts) == 5
        assert thread.given == 2, "it was read once"
        assert office.projects.project.name == "renamed"


async def test_threads_give_way_as_before_once_all_projects_are_read(office: Context) -> None:
    before_s = sys.getswitchinterval()
    await renamed(office)
    office_too = Projects()
    async with busy_thread() as thread:
        one = asyncio.create_task(follow(office))
        await until(lambda: thread.given == 2)
        another = asyncio.create_task(office_too.follow(office.pool))
        await until(lambda: thread.given == 3)
        assert sys.getswitchinterval() < before_s
    await asyncio.gather(one, another)
    assert sys.getswitchinterval() == before_s


async def test_one_that_cannot_be_read_is_not_tried_again(office: Context) -> None:
    """It costs seconds each time, and only another one can be better."""
    await renamed(office)
    await do(office, "UPDATE projects SET files = '{}' WHERE id = (SELECT max(id) FROM projects)")
    async with busy_thread() as thread:
        pass
    for tries in range(3):
        with pytest.raises(OutreachError):
            await follow(office)
        assert thread.given == 2, tries
        assert office.projects.project.name == "small"
    await people(office, [1])
    counts = await Ingest(office).events([EventIn("1", "a.b", "1")], "switch")
    assert counts.stored == 1
    async with office.pool.acquire() as connection:
        await apply(connection, FILES, office.clock.now())
    await follow(office)
    assert office.projects.project.name == "small"
    assert office.projects.number == 3


async def test_a_newer_project_that_comes_while_older_versions_are_read_stays(
    office: Context,
) -> None:
    await do(office, "INSERT INTO versions SELECT 'older', journey, path, text, applied_at"
             " FROM versions LIMIT 1")  # fmt: skip
    async with office.pool.acquire() as reader, office.pool.acquire() as holder:
        async with holder.transaction():
            await holder.execute("LOCK TABLE versions IN ACCESS EXCLUSIVE MODE")
            reading = asyncio.create_task(office.projects.with_versions(reader, {"older"}))
            await until_found(office, 1, "SELECT count(*) FROM pg_locks WHERE NOT granted")
            await do(
                office, "INSERT INTO projects (hash, applied_at, files) SELECT 'newer', applied_at,"
                " replace(files::text, 'small', 'renamed')::jsonb FROM projects",
            )  # fmt: skip
            await follow(office)
        found = await reading
    assert "older" in found.versions
    assert "older" in office.projects.project.versions
    assert (office.projects.number, office.projects.project.name) == (2, "renamed")
