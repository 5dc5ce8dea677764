"""`python -m tests.simulation --seeds 1000 --from 0`, or `--seed 4711 --trace`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import msgspec

from orchestrator.runtime.embedded import run_servers
from orchestrator.store.migrate import migrate
from tests.simulation.defects import DEFECTS, MOST_SEEDS, seeds_until_found
from tests.simulation.run import Report, theatre

STRETCH = 500
"""Seeds on one database: what they leave behind makes it slower."""


async def fresh(server: str) -> str:
    """The address of a database that is migrated and empty."""
    admin = await asyncpg.connect(server)
    await admin.execute("ALTER SYSTEM SET fsync = off")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.execute("DROP DATABASE IF EXISTS simulation WITH (FORCE)")
    await admin.execute("CREATE DATABASE simulation")
    await admin.close()
    url = server.replace("/outreach?", "/simulation?")
    connection = await asyncpg.connect(url)
    await migrate(connection)
    await connection.close()
    return url


async def play(server: str, seeds: range, trace: bool) -> Report:
    """What these seeds came to, on databases of their own."""
    report = Report()
    for start in range(seeds.start, seeds.stop, STRETCH):
        async with theatre(await fresh(server)) as stage:
            part = range(start, min(start + STRETCH, seeds.stop))
            await stage.play(part, report, keep=trace)
            if trace:
                for lines in stage.traces.values():
                    print("\n".join(lines))
        if len(seeds) > STRETCH:
            print(f"{part.stop} of {seeds.stop}, {len(report.failures)} failed", file=sys.stderr)
            print(report.line(), file=sys.stderr)
    return report


async def find(server: str) -> Report:
    """Each planted defect has been looked for, and a line said how soon it was found."""
    url = await fresh(server)
    report = Report()
    async with theatre(url) as stage:
        for name, plant in DEFECTS.items():
            found = await seeds_until_found(stage, plant)
            if found is None:
                report.add(-1, [f"not found: {name}"])
                print(f"{name}: not found in {MOST_SEEDS} seeds")
            else:
                print(f"{name}: after {found[0]} seeds: {found[1]}", flush=True)
    return report


def main() -> int:
    """0 if every world was as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--defects", action="store_true", help="plant defects, and find each")
    parser.add_argument("--trace", action="store_true", help="print who did what, in which order")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    if given.seed is not None:
        seeds = range(given.seed, given.seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        servers = SimpleNamespace(database_url=None, redis_url=None, data=Path(folder))
        with run_servers(servers) as urls:
            url = urls.database_url
            report = asyncio.run(find(url) if given.defects else play(url, seeds, given.trace))
    if report.failures:
        print(report.line(), file=sys.stderr)
    print(msgspec.json.encode(report).decode())
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
