"""As whom PostgreSQL runs: it refuses root, and we neither make users nor open folders."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.embedded.child import tethered


def choose_identity(binary: Path, folder: Path) -> str:
    """The `tether` identity that can run `binary` on `folder`.

    Not root: ourselves. Root: a user namespace of our own; else an existing ordinary user who can
    reach both. Raises OutreachError if there is none.
    """
    if os.geteuid() != 0:
        return "self"
    return first_that_works(("userns", *_ordinary_users(folder)), binary, folder)


def first_that_works(identities: Iterable[str], binary: Path, folder: Path) -> str:
    """The first of `identities` that can run `binary` on `folder`; OutreachError if none can."""
    for identity in identities:
        if _works(identity, binary, folder):
            return identity
    raise OutreachError(
        "PostgreSQL does not run as root, this machine has user namespaces turned off, and no "
        f"ordinary user can reach both {binary} and {folder}",
        "Run as an ordinary user, or give DATABASE_URL, or install Outreach and set OUTREACH_DATA "
        "where others may enter (such as /opt and /var/lib).",
    )


def _ordinary_users(folder: Path) -> Iterator[str]:
    """Who might run it, most fitting first: who called sudo, the folder's owner, service users."""
    if caller := os.environ.get("SUDO_UID"):
        yield f"{caller}:{os.environ.get('SUDO_GID', caller)}"
    owner = folder.stat()
    if owner.st_uid:
        yield f"{owner.st_uid}:{owner.st_gid}"
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        yield f"{user.pw_uid}:{user.pw_gid}"


def _works(identity: str, binary: Path, folder: Path) -> bool:
    """Whether `identity` can run `binary` and enter the folder that `folder` stands in."""
    look = 'cd "$1" && "$2" --version'
    command = ["/bin/sh", "-c", look, "sh", str(folder.parent), str(binary)]
    tether = tethered(identity, signal.SIGKILL, command)
    return subprocess.run(tether, capture_output=True, check=False).returncode == 0


def hand_over(identity: str, root: Path, *folders: Path) -> None:
    """The `folders` belong to the user of `identity`, who may pass through `root`, if that is
    another user than ourselves."""
    if ":" not in identity:
        return
    uid, gid = map(int, identity.split(":"))
    root.chmod(0o711)
    for folder in folders:
        os.chown(folder, uid, gid)
