"""`python -m tests.bench.versions`: a journey edited at random while people are in it, and with
`--million` a plan and its application with a million people in flight. Prints figures for people
and ends with one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

from orchestrator.runtime.embedded import run_servers
from tests.bench.versions import edited, million


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.versions", description=__doc__)
    parser.add_argument("--people", type=int, default=2_000, help="in the journey (2000)")
    parser.add_argument("--edits", type=int, default=10, help="while they are in it (10)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=1500, help="of the clock (1500)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--million", action="store_true", help="measure plan and apply instead")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="outreach-versions-") as folder,
        run_servers(
            SimpleNamespace(database_url=None, redis_url=None, data=Path(folder) / "data")
        ) as urls,
    ):
        if options.million:
            found = asyncio.run(million.run(urls, Path(folder), options.people))
        else:
            found = asyncio.run(
                edited.run(
                    urls, Path(folder), options.people, options.edits, options.seed,
                    options.speed, options.workers,
                )
            )  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
