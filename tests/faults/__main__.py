"""The installation is hurt in every way we know, and its handsets say what came of it.

    python -m tests.faults                      # everything; a quarter of an hour or so
    python -m tests.faults --short              # a few faults, small
    python -m tests.faults --only kill-hold --messages 100000 --seed 7

A line for people and a line of JSON per fault; exit code 1 if a promise is broken. The seed draws
who is killed, and at which points of the run (as shares of what has arrived): the same seed does
the same again, as far as two runs of an operating system are alike.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec
import uvloop

from tests.faults.catalogue import CATALOGUE
from tests.faults.judge import Verdict
from tests.faults.servers import serving
from tests.faults.world import World


def told(verdict: Verdict) -> str:
    """One line for people."""
    counts = {
        "replies": verdict.replies,
        "answers unknown": verdict.answers_unknown,
        "unknown": verdict.unknown,
        "refused": verdict.refused,
        "duplicates": verdict.duplicates,
        "flagged": verdict.flagged,
        "kills": verdict.kills,
    }
    shown = "".join(f", {count:,} {what}" for what, count in counts.items() if count)
    good = "BROKEN: " + ", ".join(verdict.failed) if verdict.failed else "kept"
    return (
        f"{verdict.name:>24}  {good}. {verdict.messages:,} messages, {verdict.lost} lost"
        f"{shown}{measured(verdict)}; {verdict.seconds:.0f} s"
    )


def measured(verdict: Verdict) -> str:
    """How late and how soon, where that was looked at."""
    late = "" if verdict.late_s is None else f"; late by {verdict.late_s:.1f} s at most"
    if verdict.late_hurt_s is not None:
        late += f", {verdict.late_hurt_s} s from when all was well, {verdict.late_calm_s} s else"
    if verdict.recovered_pct is None:
        return late
    soon = "never" if verdict.recovered_s is None else f"after {verdict.recovered_s:.1f} s"
    return f"{late}; the rate again {soon}, {verdict.recovered_pct} % of it"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--short", action="store_true", help="a few faults, small")
    parser.add_argument("--seed", type=int, default=1, help="draws who, when and what (1)")
    parser.add_argument("--only", action="append", choices=[fault.name for fault in CATALOGUE])
    parser.add_argument("--messages", type=int, help="in each run")
    parser.add_argument("--keep", type=Path, help="a folder for the processes' logs")
    options = parser.parse_args()
    chosen = [
        fault
        for fault in CATALOGUE
        if (fault.name in options.only if options.only else fault.short or not options.short)
    ]
    broken = 0
    with (
        tempfile.TemporaryDirectory(prefix="outreach-faults-") as folder,
        serving(options.keep or Path(folder)) as servers,
    ):
        for fault in chosen:
            usual = fault.short or fault.messages if options.short else fault.messages
            world = World(fault, options.seed, options.messages or usual, servers)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                verdict = runner.run(world.run())
            broken += bool(verdict.failed)
            print(told(verdict), flush=True)
            print(msgspec.json.encode(verdict).decode(), flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
