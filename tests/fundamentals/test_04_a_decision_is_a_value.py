"""4. A decision is a value.

The engine reads no clock, rolls no dice and touches no database: time, ids and chance come in as
arguments, effects go out. So the same question has the same answer, and production, `simulate`,
`test` and `explain` are one piece of code.
"""

from __future__ import annotations

from datetime import timedelta

from orchestrator.core.chance import draw
from orchestrator.core.engine import decide
from orchestrator.core.events import TimerDue
from orchestrator.core.scene import Scene
from orchestrator.project.load import load
from tests.fundamentals.campaign import ACTIVATED, ANN, FILES, MONDAY


def test_the_same_question_has_the_same_answer() -> None:
    scene = Scene(load(FILES), ANN, enrollments={})
    assert decide(scene, ACTIVATED, MONDAY) == decide(scene, ACTIVATED, MONDAY)


def test_asking_changes_nothing() -> None:
    scene = Scene(load(FILES), ANN, enrollments={})
    decide(scene, ACTIVATED, MONDAY)
    assert scene.enrollments == {}


def test_three_days_pass_in_no_time() -> None:
    """The scene after one decision is the scene before the next: a skipped clock is a loop."""
    scene = decide(Scene(load(FILES), ANN, enrollments={}), ACTIVATED, MONDAY).scene
    while (due := scene.enrollments["welcome"].due_at) is not None:
        scene = decide(scene, TimerDue(), due).scene
    ann = scene.enrollments["welcome"]
    assert ann.status == "finished"
    assert ann.ended_at == MONDAY + timedelta(days=2, hours=2)
    assert "needs-help" in scene.subscriber.tags, "she never answered the quiz"


def test_chance_is_a_hash_so_that_nobody_changes_sides() -> None:
    """Who is held out as a control, and who gets which wording, is drawn from who they are."""
    assert draw("control", "welcome", ANN.id) == draw("control", "welcome", ANN.id)
    shares = [draw("control", "welcome", number) < 0.05 for number in range(10_000)]
    assert 400 < sum(shares) < 600
