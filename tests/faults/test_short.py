"""A few faults, small: the long form is `make faults`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.catalogue import CATALOGUE

SHORT = [fault.name for fault in CATALOGUE if fault.short]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def verdicts() -> Mapping[str, dict[str, Any]]:
    """What came of each, by its name."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--short"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == len(SHORT), ran.stdout + ran.stderr
    return {line["name"]: line for line in lines}


@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("name", SHORT)
def test_what_is_promised_is_kept_under(name: str, verdicts: Mapping[str, dict[str, Any]]) -> None:
    verdict = verdicts[name]
    assert verdict["failed"] == [], verdict
    assert verdict["messages"] > 0
