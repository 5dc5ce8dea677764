"""`python -m tests.bench.smpp`: what a message costs an SMPP client, by window, with and without
receipts.

The carrier is a process of its own that answers and does nothing else; its cost is nobody's. CPU is
user and system time of the client between the bind and the last answer or receipt. Ours is the
whole channel (texts, numbers, pace, deadlines, outcomes, receipts matched and handed in); the peers
get octets and give back what the library gives. Ends with one line of JSON: the medians at a
window of 100 with receipts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

from msgspec import Struct

from tests.bench.smpp.clients import CONTENDERS

WINDOWS = (10, 100, 500)
SHARES = {"floor": 4, "ours": 4, "smpp34": 1, "smpplib": 1}
"""Times so many messages: who is quick gets more, so that all run about as long."""


class Measured(Struct, frozen=True):
    """One run of one contender."""

    per_s: float
    cpu_us: float


def measure(name: str, messages: int, window: int, receipts: bool) -> Measured:
    """One contender against a carrier of its own."""
    serving = [sys.executable, "-m", "tests.bench.smpp.carrier", *["--receipts"] * receipts]
    with subprocess.Popen(serving, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as carrier:
        assert carrier.stdout is not None
        port = carrier.stdout.readline().decode().strip()
        numbers = [port, str(messages), str(window), str(int(receipts))]
        ran = subprocess.run(
            [sys.executable, "-m", "tests.bench.smpp.clients", name, *numbers],
            capture_output=True,
            timeout=300,
        )
        carrier.kill()
    if ran.returncode:
        why = ran.stderr.decode().strip().rpartition("\n")[2]
        print(f"{name} gave up, and is run again: {why}", flush=True)
        return measure(name, messages, window, receipts)
    said = json.loads(ran.stdout.splitlines()[-1])
    return Measured(messages / said["seconds"], said["cpu_s"] / messages * 1e6)


def median(name: str, messages: int, window: int, receipts: bool, runs: int) -> Measured:
    """The middle of several runs, each figure for itself."""
    ran = [measure(name, messages * SHARES[name], window, receipts) for _ in range(runs)]
    return Measured(
        statistics.median(it.per_s for it in ran), statistics.median(it.cpu_us for it in ran)
    )


def main() -> None:
    """All contenders, then the line of JSON."""
    parser = argparse.ArgumentParser(prog="tests.bench.smpp")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--windows", type=int, nargs="+", default=WINDOWS)
    asked = parser.parse_args()
    found: dict[tuple[str, int, bool], Measured] = {}
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, median of {asked.runs}")
    print(f"{'':10} {'window':>6} {'receipts':>8} {'messages/s':>10} {'CPU µs/message':>14}")
    for receipts in (False, True):
        for window in asked.windows:
            for name in CONTENDERS:
                it = median(name, asked.messages, window, receipts, asked.runs)
                found[name, window, receipts] = it
                yes = "yes" if receipts else "no"
                figures = f"{it.per_s:>10,.0f} {it.cpu_us:>14.1f}"
                print(f"{name:10} {window:>6} {yes:>8} {figures}", flush=True)
    window = 100 if 100 in asked.windows else asked.windows[0]
    us = {name: found[name, window, True].cpu_us for name in CONTENDERS}
    print(
        json.dumps(
            {
                **{f"{name}_us": round(value, 1) for name, value in us.items()},
                "ratio_to_smpp34": round(us["smpp34"] / us["ours"], 1),
                "ratio_to_smpplib": round(us["smpplib"] / us["ours"], 1),
                "ratio_to_floor": round(us["floor"] / us["ours"], 2),
                "load": round(os.getloadavg()[0], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
