"""Chance by hash: even, independent, and the same whenever it is asked again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from orchestrator.core.chance import draw
from orchestrator.core.effects import MoveTo, SendMessage
from orchestrator.core.engine import decide
from orchestrator.core.events import Entered
from orchestrator.core.scene import Scene
from tests.core.world import World, ann, journey_text, project_of

PEOPLE = 4000
FOUR_SIGMA = 4 * (PEOPLE * 0.25) ** 0.5
"""How far a count of people at even odds may be off; at other odds it is off by less."""


def test_a_draw_lies_between_0_and_1_and_is_even() -> None:
    drawn = [draw("control", "seven-days", number) for number in range(PEOPLE)]
    assert all(0 <= number < 1 for number in drawn)
    tenths = Counter(int(number * 10) for number in drawn)
    assert all(abs(count - PEOPLE / 10) < FOUR_SIGMA for count in tenths.values())
    assert len(tenths) == 10


def test_draws_about_different_things_have_nothing_to_do_with_each_other() -> None:
    both = sum(
        draw("control", "one", n) < 0.5 and draw("control", "two", n) < 0.5 for n in range(PEOPLE)
    )
    assert abs(both - PEOPLE / 4) < FOUR_SIGMA
    assert draw("a", "bc") != draw("ab", "c")


def test_a_draw_is_the_same_in_another_process_with_another_hash_seed() -> None:
    code = "from orchestrator.core.chance import draw; print(draw('control', 'seven-days', 7))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert seen == {str(draw("control", "seven-days", 7))}


@pytest.mark.parametrize("share", ["5%", "50%"])
def test_the_control_group_has_about_its_share(share: str) -> None:
    project = project_of({"demo": journey_text("demo", [{"id": "a", "send": "hi"}], control=share)})
    now = World(project).now
    held_out = 0
    for number in range(PEOPLE):
        scene = Scene(project, ann(id=number), {})
        effects = decide(scene, Entered("demo", now), now).effects
        first = effects[0]
        assert isinstance(first, MoveTo)
        if first.enrollment.status == "control":
            held_out += 1
            assert not any(isinstance(effect, SendMessage) for effect in effects)
    expected = PEOPLE * float(share[:-1]) / 100
    assert abs(held_out - expected) < FOUR_SIGMA


def test_nobody_changes_sides_when_the_journey_is_edited_or_entered_again() -> None:
    """A larger share keeps those it had; a new version and a new run draw the same."""

    def held_out(share: str, message: str) -> set[int]:
        steps = [{"id": "a", "send": message}]
        text = journey_text("demo", steps, control=share, again="always")
        project = project_of({"demo": text})
        now = World(project).now
        found = set()
        for number in range(500):
            scene = Scene(project, ann(id=number), {})
            decision = decide(scene, Entered("demo", now), now)
            if decision.scene.enrollments["demo"].status == "control":
                found.add(number)
        return found

    assert held_out("10%", "hi") == held_out("10%", "hello")
    assert held_out("5%", "hi") < held_out("10%", "hi") < held_out("50%", "hi")
    assert held_out("0%", "hi") == set()
    assert held_out("100%", "hi") == set(range(500))


def test_the_ways_of_a_split_are_taken_by_their_weights() -> None:
    ways = [
        {"name": "one", "weight": 1, "do": [{"leave": "one"}]},
        {"name": "three", "weight": 3, "do": [{"leave": "three"}]},
    ]
    project = project_of({"demo": journey_text("demo", [{"id": "s", "split": {"ways": ways}}])})
    now = World(project).now
    taken = Counter(
        decide(Scene(project, ann(id=number), {}), Entered("demo", now), now)
        .scene.enrollments["demo"]
        .reason
        for number in range(PEOPLE)
    )
    assert abs(taken["one"] - PEOPLE / 4) < FOUR_SIGMA
    assert taken["one"] + taken["three"] == PEOPLE
