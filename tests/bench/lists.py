"""`python -m tests.bench.lists`: a million numbers from a file into a list, and lists in memory.

Loads a file of random mobile numbers as `outreach list load` does (read, COPY, swap), then once
more over itself; asks PostgreSQL for the segment of all who are on it; and holds ten such lists in
memory, as every worker does, following them from the database. Prints what it measured and ends
with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import asyncpg

from orchestrator.cli.numbers import Reader
from orchestrator.core.expression import Condition
from orchestrator.runtime.embedded import run_servers
from orchestrator.runtime.lists import Lists
from orchestrator.store import lists
from orchestrator.store.migrate import migrate

FIRST, SPAN = 8613000000000, 6_999_999_999
"""Mobile numbers of one country: 130 0000 0000 to 199 9999 9999."""

SIZES = "SELECT pg_total_relation_size('listed'), (SELECT sum(length(bitmap)) FROM lists)"
PEOPLE = """
INSERT INTO subscribers (key, shard, locale, addresses, created_at)
SELECT n::text, n % 64, 'en', jsonb_build_object('sms', '+' || n), now()
FROM (SELECT DISTINCT unnest($1::bigint[]) AS n) AS numbers
"""
SEGMENT = """
SELECT count(*) FROM (SELECT s.*, 0 AS balance_points, 0 AS earned_points FROM subscribers s) s
WHERE {condition}
"""


def held_mb() -> float:
    """What this process holds in memory."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def some(seed: int, count: int) -> Iterator[int]:
    """So many random numbers; a few stand twice."""
    dice = random.Random(seed)
    return (FIRST + int(dice.random() * SPAN) for _ in range(count))


async def loaded(connection: asyncpg.Connection, name: str, file: Path) -> tuple[float, float]:
    """The list is this file's: seconds of reading, and of writing."""
    began_at = time.perf_counter()
    async with lists.loading(connection, name) as version:
        with file.open("rb") as octets:
            for numbers in Reader("86", lambda line, reason: None).numbers(octets):
                version.add(numbers)
        read_at = time.perf_counter()
        await version.put_in_force(file.name, datetime.now(UTC))
    return read_at - began_at, time.perf_counter() - read_at


async def measure(url: str, count: int, folder: Path) -> dict[str, float]:
    connection = await asyncpg.connect(url)
    await migrate(connection)
    file = folder / "numbers.txt"
    file.write_text("".join(f"{n}\n" for n in some(1, count)))
    found: dict[str, float] = {}
    began_at = time.process_time()
    found["read_s"], found["write_s"] = await loaded(connection, "list-1", file)
    found["load_cpu_s"] = time.process_time() - began_at
    found["table_mb"], found["bitmap_mb"] = (it / 1e6 for it in await connection.fetchrow(SIZES))
    found["again_s"] = sum(await loaded(connection, "list-1", file))

    await connection.execute(PEOPLE, [*some(1, count // 2), *some(99, count // 2)])
    condition = Condition.parse("in_list('list-1')").sql()
    began_at = time.perf_counter()
    people = await connection.fetchval(
        SEGMENT.format(condition=condition.text), *condition.parameters
    )
    found["segment_s"] = time.perf_counter() - began_at
    found["segment_people"] = people

    for k in range(2, 11):
        async with lists.loading(connection, f"list-{k}") as version:
            version.add(some(k, count))
            await version.put_in_force("random", datetime.now(UTC))
    await connection.close()
    return found


async def hold(url: str) -> dict[str, float]:
    """What a process holds once it follows the lists, and what asking costs."""
    connection = await asyncpg.connect(url)
    held, before = Lists(), held_mb()
    began_at = time.perf_counter()
    await held.follow(connection, datetime.now(UTC))
    found = {"follow_s": time.perf_counter() - began_at}
    asked = [*some(1, 50_000), *some(99, 50_000)]
    began_at = time.perf_counter()
    for number in asked:
        number in held["list-1"]  # noqa: B015 - what is measured
    found["ask_ns"] = (time.perf_counter() - began_at) / len(asked) * 1e9
    began_at = time.perf_counter()
    for _ in range(100):
        await held.follow(connection, datetime.now(UTC))
    found["poll_ms"] = (time.perf_counter() - began_at) * 10
    found["lists_mb"], found["process_mb"] = held_mb() - before, held_mb()
    await connection.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, default=1_000_000)
    parser.add_argument("--hold", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.hold:
        print(json.dumps(asyncio.run(hold(given.hold))))
        return
    with tempfile.TemporaryDirectory() as folder:
        where = SimpleNamespace(database_url=None, redis_url=None, data=Path(folder) / "data")
        with run_servers(where) as urls:
            found = asyncio.run(measure(urls.database_url, given.numbers, Path(folder)))
            found |= asyncio.run(_apart(urls.database_url))
    figures = {name: round(value, 3) for name, value in found.items()}
    print(json.dumps({"numbers": given.numbers, **figures}))


async def _apart(url: str) -> dict[str, float]:
    """`hold` in a process of its own, that has loaded nothing."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.lists", "--hold", url, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    found: dict[str, float] = json.loads(said)
    return found


if __name__ == "__main__":
    main()
