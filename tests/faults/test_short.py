"""A few faults, small: the long form is `make faults`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]


def test_what_is_promised_is_kept_under_a_few_small_faults() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--short"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    verdicts = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    wanted = [fault.name for fault in CATALOGUE if fault.short]
    assert [verdict["name"] for verdict in verdicts] == wanted, ran.stdout + ran.stderr
    assert {verdict["name"]: verdict["failed"] for verdict in verdicts if verdict["failed"]} == {}
    assert sum(verdict["kills"] for verdict in verdicts) > 1
    assert ran.returncode == 0
