"""Runs a server as an ordinary user who cannot outlive the program that started it.

    python -I -S tether.py IDENTITY SIGNAL PARENT COMMAND...

IDENTITY is `self` (as we are), `userns` (root here, but user 1000 for the command: PostgreSQL
refuses to run as root) or `UID:GID` (root becomes that user). When process PARENT ends, however it
ends, the command gets SIGNAL (Linux only; elsewhere the next start ends what was left over).

A script on its own, standard library only: between fork and exec of a threaded program nothing of
this may be done safely.
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000  # linux/sched.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
REFUSED = 97
"""The exit code that says: this machine does not allow that identity."""


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _enter_user_namespace(libc: ctypes.CDLL) -> None:
    """We are user and group 1000 in a user namespace of our own; outside nothing changed."""
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    _write("/proc/self/setgroups", "deny")  # user_namespaces(7): before an unprivileged gid_map
    _write("/proc/self/uid_map", f"1000 {uid} 1")
    _write("/proc/self/gid_map", f"1000 {gid} 1")


def _become(identity: str, libc: ctypes.CDLL) -> None:
    if identity == "userns":
        _enter_user_namespace(libc)
    elif identity != "self":
        uid, gid = map(int, identity.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def main(arguments: list[str]) -> None:
    """The command runs in our place; only a failure returns."""
    identity, signal, parent, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _become(identity, libc)
    except (AttributeError, OSError) as error:
        print(f"cannot run as {identity}: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    if sys.platform == "linux":  # after the change of user, which would clear it: prctl(2)
        libc.prctl(PR_SET_PDEATHSIG, int(signal))
        if os.getppid() != int(parent):
            sys.exit("our parent has already ended")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
