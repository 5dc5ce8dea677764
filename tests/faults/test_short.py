"""A few faults, small: the long form is `make faults`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [fault.name for fault in CATALOGUE if fault.short])
def test_what_is_promised_is_kept_under(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--short", "--only", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    verdicts = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert [verdict["failed"] for verdict in verdicts] == [[]], ran.stdout + ran.stderr
    assert verdicts[0]["messages"] > 0
    assert ran.returncode == 0
