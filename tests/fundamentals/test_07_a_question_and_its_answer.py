"""7. A question waits for its answer.

`ask` sends a message and holds its place. The answer may come in any case, width or punctuation;
nothing that was said before the question counts. Without an answer, `silence` is an answer too.
"""

from __future__ import annotations

from datetime import timedelta

from orchestrator.core.effects import PostEntry
from orchestrator.core.engine import decide
from orchestrator.core.events import ReplyReceived, TimerDue
from orchestrator.core.scene import Scene
from orchestrator.project.load import load
from tests.fundamentals.campaign import ACTIVATED, ANN, FILES, MONDAY

TUESDAY_TEN = MONDAY + timedelta(days=1, hours=2)


def asked() -> Scene:
    """Ann on Tuesday at 10:00, the quiz just sent."""
    scene = decide(Scene(load(FILES), ANN, enrollments={}), ACTIVATED, MONDAY).scene
    for now in (MONDAY + timedelta(hours=2), TUESDAY_TEN):
        scene = decide(scene, TimerDue(), now).scene
    return scene


def reply(text: str, after: timedelta) -> ReplyReceived:
    at = TUESDAY_TEN + after
    return ReplyReceived(text, "sms", "+8613800138000", at, source_id=f"{text}@{at}")


def test_the_enrollment_waits_for_a_reply() -> None:
    waiting = asked().enrollments["welcome"].waiting
    assert waiting is not None
    assert (waiting.kind, waiting.since) == ("reply", TUESDAY_TEN)


def test_the_answer_is_taken_however_it_is_typed() -> None:
    for text in ("1", "yes", "YES!", " ｙｅｓ "):
        decision = decide(asked(), reply(text, timedelta(minutes=5)), TUESDAY_TEN)
        (entry,) = [e for e in decision.effects if isinstance(e, PostEntry)]
        assert (entry.points, entry.reason) == (20, "quiz")


def test_what_was_said_before_the_question_is_no_answer() -> None:
    early = reply("yes", -timedelta(minutes=5))
    assert decide(asked(), early, TUESDAY_TEN).effects == ()


def test_silence_is_an_answer_too() -> None:
    scene = decide(asked(), TimerDue(), TUESDAY_TEN + timedelta(hours=24)).scene
    assert "needs-help" in scene.subscriber.tags
