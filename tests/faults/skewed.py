"""The command line of a machine whose clock is wrong: by as many seconds as the file named first
says, which may change at any time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from orchestrator.cli.main import main
from orchestrator.runtime import clock


def shifted(true: Callable[[], float], said: Path) -> Callable[[], float]:
    """A clock that is wrong by what `said` says."""
    return lambda: true() + float(said.read_text() or 0)


class Skewed(datetime):
    """What `datetime.now` is on that machine."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(time.time(), tz or UTC)


if __name__ == "__main__":
    time.time = shifted(time.time, Path(sys.argv.pop(1)))
    clock.datetime = Skewed  # type: ignore[attr-defined]
    main()
