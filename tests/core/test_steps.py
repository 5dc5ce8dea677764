"""Every step type does what its table in `steps/` says, and every one has a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.model import Consent
from orchestrator.core.steps import STEP_TYPES
from tests.core.world import DAY_ONE, World, ann, journey_text, lived, plain_yaml, project_of

TABLES = Path(__file__).parent / "steps"


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['it']}")
        for path in sorted(TABLES.glob("*.yaml"))
        for case in plain_yaml(path.name, path.read_text("utf-8"))
    ]


def subscriber_of(written: dict[str, Any]) -> Any:
    changes = dict(written)
    if "tags" in changes:
        changes["tags"] = frozenset(changes["tags"])
    if "consents" in changes:
        born = ann().created_at
        changes["consents"] = {
            name: Consent(granted, born) for name, granted in changes["consents"].items()
        }
    return ann(**changes)


@pytest.mark.parametrize("case", cases())
def test_a_step(case: dict[str, Any]) -> None:
    journeys = {"demo": journey_text("demo", case["steps"], **case.get("journey", {}))}
    for name, other in case.get("others", {}).items():
        journeys[name] = journey_text(name, **other)
    world = World(
        project_of(journeys, case.get("templates")),
        subscriber_of(case.get("subscriber", {})),
        str(case.get("day_one", DAY_ONE)),
    )
    assert lived(world, case["happens"].items()) == case["transcript"].splitlines()


@pytest.mark.parametrize("word", STEP_TYPES)
def test_every_step_type_has_its_table(word: str) -> None:
    path = TABLES / f"{word}.yaml"
    assert path.exists(), f"write {path.name}: what does `{word}` do, as a transcript?"
    for case in plain_yaml(path.name, path.read_text("utf-8")):
        assert f'"{word}": ' in json.dumps(case["steps"]), f"{case['it']!r} has no such step"


def test_every_table_is_of_a_step_type() -> None:
    assert {path.stem for path in TABLES.glob("*.yaml")} == set(STEP_TYPES)
