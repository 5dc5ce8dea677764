"""`python -m tests.bench.authoring`: what an author waits for: a check, and rows of an import.

Processor seconds of this process, so that what runs beside it does not count. Ends with one line
of JSON.
"""

from __future__ import annotations

import json
import random
import sys
import time
from datetime import UTC, datetime

from orchestrator.cli.rows import Reader
from orchestrator.project import shipped
from orchestrator.project.load import load
from orchestrator.project.source import read_folder

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HEADER = "key,phone,locale,timezone,name,tags,usage.mb_7d,usage.mb_30d,plan,consent.marketing"
ROWS = 20_000


def check_s() -> float:
    """How long the shipped programme takes to be read and checked."""
    began_at = time.process_time()
    load(read_folder(shipped.programme_folder()))
    return time.process_time() - began_at


def rows_per_s() -> float:
    """How many rows a second become subscribers; storing them is not in it."""
    it, dice = Reader(HEADER.split(","), country="", how="import x.csv", now=NOW), random.Random(1)
    rows = [
        f"s{i},+861380{i:07d},zh-CN,Asia/Shanghai,李{i},a;b,{dice.random():.2f},{i},p1,yes".split(
            ","
        )
        for i in range(ROWS)
    ]
    began_at = time.process_time()
    for row in rows:
        it.read(row)
    return ROWS / (time.process_time() - began_at)


def main() -> int:
    found = {"check_s": round(check_s(), 3), "rows_per_s": round(rows_per_s())}
    print(f"The shipped programme is checked in {found['check_s']} s;", end=" ")
    print(f"an import reads {found['rows_per_s']:,} rows a second.")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
