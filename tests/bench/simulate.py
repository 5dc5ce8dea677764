"""`python -m tests.bench.simulate`: how long a whole audience takes through the shipped programme.

What runs is `outreach simulate` without its command line: production's decisions, contact policy,
points and rendering. Ends with one line of JSON: the seconds that passed, and the processor seconds
of all processes, so that what ran beside it can be told from what it cost.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import Progress

from orchestrator.project import shipped
from orchestrator.project.forecast import forecast
from orchestrator.project.likely import likely
from orchestrator.project.load import load, read
from orchestrator.project.simulate import Stage, parts, simulate

BEGIN = datetime(2025, 12, 31, 16, tzinfo=UTC)  # midnight in the programme's zone


def processor_s() -> float:
    """Of this process and of all it has started and seen end."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(it.ru_utime + it.ru_stime for it in both)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    wanted, _ = parser.parse_known_args()
    files = shipped.programme()
    project = load(files)
    form = read(files).audience or likely(project)
    stage = Stage(files, form, BEGIN, wanted.days, 1, "bot.router:answer")
    began_at, began_s = time.monotonic(), processor_s()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulating", total=wanted.subscribers)
        tally = simulate(
            stage,
            parts(wanted.subscribers),
            wanted.jobs,
            lambda people: progress.advance(task, people),
        )
    told = forecast(tally, project, BEGIN, wanted.days, 1)
    took_s, cost_s = time.monotonic() - began_at, processor_s() - began_s
    print(
        f"{told.people:,} people, {told.days} days, {wanted.jobs} processes: {took_s:.1f} s, "
        f"{cost_s:.1f} processor seconds; {told.decisions:,} decisions, {told.messages:,} messages"
    )
    figures = {
        "people": told.people,
        "days": told.days,
        "jobs": wanted.jobs,
        "simulate_s": round(took_s, 1),
        "processor_s": round(cost_s, 1),
        "decisions": told.decisions,
        "messages": told.messages,
        "load_1min": os.getloadavg()[0],
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
