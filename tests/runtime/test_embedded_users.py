"""As whom the embedded PostgreSQL runs. Run as root, these cover both ways round its refusal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.embedded import Urls
from orchestrator.runtime.embedded.child import Child
from orchestrator.runtime.embedded.folder import close_folder, open_folder
from orchestrator.runtime.embedded.identity import first_that_works
from orchestrator.runtime.embedded.postgres import Postgres, binaries
from tests.runtime.embedded_folders import another_program, ask

NOBODY = 65534
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root can become somebody else")


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder whose parents anybody may pass: not so the ones that pytest makes for root."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def user_of(child: Child) -> int:
    return Path(f"/proc/{child.popen.pid}").stat().st_uid


async def started(server: Postgres) -> int:
    """The user it ran as; it answered."""
    child = server.start()
    try:
        assert await ask(Urls(server.url, ""), "SELECT 1") == 1
        return user_of(child)
    finally:
        child.end()
        close_folder(server.folder)


async def test_it_runs_as_we_do_and_no_parent_folder_is_opened(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    assert await started(Postgres(open_folder(tmp_path / "closed" / "data"))) == os.geteuid()
    assert (tmp_path / "closed").stat().st_mode & 0o077 == 0
    assert (tmp_path / "closed" / "data").stat().st_mode & 0o077 == 0


@needs_root
async def test_without_user_namespaces_an_ordinary_user_runs_it(reachable: Path) -> None:
    folder = open_folder(reachable / "data")
    (folder.root / "secret").touch(mode=0o600)
    for _ in ("made", "found again"):
        assert await started(Postgres(folder, f"{NOBODY}:{NOBODY}")) == NOBODY
    assert (folder.root / "secret").stat().st_uid == 0
    assert folder.root.stat().st_mode & 0o066 == 0


@needs_root
def test_a_folder_of_another_user_is_refused(reachable: Path) -> None:
    (reachable / "data").mkdir()
    os.chown(reachable / "data", NOBODY, NOBODY)
    with pytest.raises(OutreachError, match="belongs to another user"):
        open_folder(reachable / "data")


@needs_root
def test_where_nobody_can_reach_the_folder_the_ways_out_are_named(reachable: Path) -> None:
    (reachable / "closed").mkdir(mode=0o700)
    folder = open_folder(reachable / "closed" / "data").root
    with pytest.raises(OutreachError, match="user namespaces turned off") as error:
        first_that_works([f"{NOBODY}:{NOBODY}"], binaries() / "postgres", folder)
    assert "DATABASE_URL" in error.value.hint


@needs_root
def test_an_ordinary_user_needs_nothing_but_a_home(reachable: Path) -> None:
    try:
        subprocess.run([sys.executable, "-V"], user=NOBODY, check=True, capture_output=True)
    except PermissionError:
        pytest.skip("this Python is closed to others")
    home = reachable / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    with another_program(home / "data", user=NOBODY, group=NOBODY, extra_groups=[]):
        assert (home / "data" / "postgres" / "PG_VERSION").stat().st_uid == NOBODY
