"""Where the embedded servers keep their files, and how their sockets stay reachable."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from orchestrator.core.errors import OutreachError

MAX_SOCKET_OCTETS = 103
"""`sun_path` holds 108 octets on Linux and 104 on macOS, with a closing zero (unix(7))."""
SHORT = Path("/tmp")
"""Where sockets go if the path of the data will not do; not TMPDIR, in which programs may
differ."""
LONGEST_SOCKET = ".s.PGSQL.5432.lock"
MAX_LOG_OCTETS = 8 * 1024 * 1024


class Folder(Struct, frozen=True):
    """The files of one project's servers: data under `root`, sockets in `sockets` (0700, ours)."""

    root: Path
    sockets: Path

    def lock(self, server: str) -> Path:
        return self.root / f"{server}.lock"

    def log(self, server: str) -> Path:
        return self.root / f"{server}.log"


def open_folder(root: Path) -> Folder:
    """`root` is open to us (see `open_root`), with a place for sockets."""
    root = root.resolve()
    open_root(root)
    return Folder(root, _open_sockets(root))


def open_root(root: Path) -> None:
    """The folder exists, closed to others and ignored by git.

    Raises OutreachError if it cannot be made, or belongs to somebody else.
    """
    make_folder(root)
    _demand_ours(root, root.stat())
    if stat.S_IMODE(root.stat().st_mode) & 0o066:
        root.chmod(0o700)
    ignore = root / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def make_folder(folder: Path) -> None:
    """`folder` is there; if it was not, nobody else may enter it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutreachError(
            f"Cannot make the folder {folder}: {error.strerror}",
            "Set OUTREACH_DATA to a folder that you may write to.",
        ) from None


def _demand_ours(folder: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
        return
    raise OutreachError(
        f"{folder} is a link, or belongs to another user (uid {found.st_uid})",
        "Run as that user, or set OUTREACH_DATA to a folder of your own.",
    )


def _open_sockets(root: Path) -> Path:
    """A private folder whose socket paths will do, for every program the same one.

    Under `SHORT` somebody else may have taken its name: that is an error, a link is one too.
    """
    own = root / "run"
    if _will_do(own):
        make_folder(own)
        return own
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    sockets = SHORT / f"outreach-{os.geteuid()}-{digest}"
    make_folder(sockets)
    _demand_ours(sockets, sockets.lstat())
    sockets.chmod(0o700)
    return sockets


def close_folder(folder: Folder) -> None:
    """Under `SHORT` no empty folder of ours is left. Whoever starts a server opens it again."""
    if folder.sockets.parent == SHORT:
        with suppress(OSError):  # gone, or still in use
            folder.sockets.rmdir()


def _will_do(folder: Path) -> bool:
    """Short enough, and without a comma, where asyncpg takes it for two hosts."""
    short = len(os.fsencode(folder / LONGEST_SOCKET)) <= MAX_SOCKET_OCTETS
    return short and "," not in str(folder)


def roll_log(log: Path) -> None:
    """The log is small: a large one has been put aside as `.old`."""
    if log.exists() and log.stat().st_size > MAX_LOG_OCTETS:
        log.replace(log.with_suffix(".log.old"))


def last_lines(log: Path, since: int = 0, count: int = 5) -> Iterator[str]:
    """The last lines written to `log` after octet `since`, for an error a person will read."""
    if log.exists():
        with log.open("rb") as file:
            file.seek(since)
            yield from file.read().decode(errors="replace").splitlines()[-count:]
