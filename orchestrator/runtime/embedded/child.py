"""A server process that we started: begun, waited for, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.embedded import tether
from orchestrator.runtime.embedded.folder import last_lines, roll_log

POLL_S = 0.01


def tethered(identity: str, parting: signal.Signals, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` as `identity` and ends it with us by `parting`."""
    python = [sys.executable, "-I", "-S", tether.__file__]
    return [*python, identity, str(int(parting)), str(os.getpid()), *command]


class Child:
    """One running server. `parting` is the signal that makes it end cleanly.

    The kernel ties it to the *thread* that starts it, so that must be one that lives on: call
    from the main thread, not from a pool. It has a session of its own, so that Ctrl-C reaches
    only us and we end it last.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        identity: str,
        parting: signal.Signals,
        log: Path,
        folder: Path,
    ) -> None:
        roll_log(log)
        self.name, self.log, self.parting = Path(command[0]).name, log, parting
        with log.open("ab") as output:
            self.log_began_at = output.tell()
            self.popen = subprocess.Popen(
                tethered(identity, parting, command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """It is ready, or has ended and an OutreachError says its last words."""
        give_up_at = time.monotonic() + timeout_s
        try:
            while not ready():
                if self.popen.poll() is not None:
                    raise self._failure(f"ended with exit code {self.popen.returncode}")
                if time.monotonic() > give_up_at:
                    raise self._failure(f"was not ready after {timeout_s:.0f} s")
                time.sleep(POLL_S)
        except BaseException:
            self.end()
            raise

    def _failure(self, what: str) -> OutreachError:
        words = "\n".join(last_lines(self.log, self.log_began_at))
        return OutreachError(f"The embedded {self.name} {what}.\n{words}", f"Its log: {self.log}")

    def end(self, patience_s: float = 60.0) -> None:
        """It has ended: cleanly, or after `patience_s` by force, which both servers survive."""
        for parting, wait_s in ((self.parting, patience_s), (signal.SIGQUIT, 5.0)):
            if self.popen.poll() is None:
                self.popen.send_signal(parting)
            try:
                self.popen.wait(wait_s)
                return
            except subprocess.TimeoutExpired:
                continue
        self.popen.kill()
        self.popen.wait()


def end_orphan(pid: int, marker: str, parting: signal.Signals, patience_s: float = 30.0) -> None:
    """Process `pid` of an earlier start no longer runs, if its command line names `marker`.

    What a killed program left behind is ending by itself on Linux; elsewhere it still serves.
    """
    if not _runs(pid, marker):
        return
    give_up_at = time.monotonic() + patience_s
    _signal(pid, parting)
    while _runs(pid, marker):
        if time.monotonic() > give_up_at:
            _signal(pid, signal.SIGKILL)
        time.sleep(POLL_S)


def exists(pid: int) -> bool:
    """Whether some process has this pid."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise OutreachError(
            f"Process {pid} of another user serves this folder",
            "Stop it, or run as that user.",
        ) from None


def _runs(pid: int, marker: str) -> bool:
    """Whether `pid` is a live process with `marker` in its command line (a pid may be reused)."""
    entry = Path(f"/proc/{pid}/cmdline")
    try:
        if Path("/proc/self").exists():
            return os.fsencode(marker) in entry.read_bytes()
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False
        )
        return os.fsencode(marker) in shown.stdout
    except (FileNotFoundError, ProcessLookupError):
        return False
