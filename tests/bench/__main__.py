"""`python -m tests.bench`: every bench, one after the other. Each can be run by itself."""

from __future__ import annotations

import subprocess
import sys

BENCHES = (
    "tests.bench.authoring",
    "tests.bench.year",
    "tests.bench.simulate",
    "tests.bench.pipeline",
    "tests.bench.replies",
    "tests.bench.smpp",
    "tests.bench.channels",
)


def main() -> int:
    """Each bench has run in a process of its own; the exit code is that of the first to fail."""
    for name in BENCHES:
        print(f"\n== {name}", flush=True)
        if code := subprocess.run([sys.executable, "-m", name, *sys.argv[1:]]).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
