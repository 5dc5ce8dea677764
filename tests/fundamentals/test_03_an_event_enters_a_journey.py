"""3. Something happens, and the subscriber enters a journey.

`decide(scene, event, now)` is the whole engine. The scene is all that one decision needs: the
subscriber, the project, where they stand in which journey, what they were sent. What comes out are
effects: what to do.
"""

from __future__ import annotations

from datetime import timedelta

from orchestrator.core.effects import MoveTo, SendMessage
from orchestrator.core.engine import decide
from orchestrator.core.events import SubscriberEvent, TimerDue
from orchestrator.core.scene import Scene
from orchestrator.project.load import load
from tests.fundamentals.campaign import ACTIVATED, ANN, FILES, MONDAY


def test_an_event_enters_the_journeys_that_wait_for_it() -> None:
    scene = Scene(load(FILES), ANN, enrollments={})
    decision = decide(scene, ACTIVATED, MONDAY)

    ann = decision.scene.enrollments["welcome"]
    assert (ann.status, ann.step) == ("active", "hello")
    assert ann.due_at == MONDAY + timedelta(hours=2), "10:00 where Ann lives"
    assert all(isinstance(effect, MoveTo) for effect in decision.effects), "nothing is sent yet"


def test_when_the_time_has_come_the_message_goes() -> None:
    """Nobody waits in memory: a wait, of hours or of years, is a time at which to look again."""
    scene = decide(Scene(load(FILES), ANN, enrollments={}), ACTIVATED, MONDAY).scene
    decision = decide(scene, TimerDue(), MONDAY + timedelta(hours=2))

    (message,) = [e.message for e in decision.effects if isinstance(e, SendMessage)]
    assert message.address == "+8613800138000"
    assert message.content.text == "Welcome, Ann! Reply STOP to end."
    assert decision.scene.enrollments["welcome"].step == "quiz"


def test_an_event_that_no_journey_waits_for_changes_nothing() -> None:
    scene = Scene(load(FILES), ANN, enrollments={})
    rained = SubscriberEvent("rain.started", MONDAY, {}, source_id="sky:1")
    assert decide(scene, rained, MONDAY).effects == ()
