"""6. The contact policy says when we may write, and if not, why not.

Authors plan messages; the policy has the last word, for every message, at the moment it would go.
Its verdicts are three: go; later, and when; never, for a reason. Every message that did not go is
recorded with that reason, so that `explain` can answer the question that people really ask.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from orchestrator.core.effects import Suppress
from orchestrator.core.engine import decide
from orchestrator.core.events import TimerDue
from orchestrator.core.model import Consent, Sent, Subscriber
from orchestrator.core.scene import Scene
from orchestrator.core.verdict import GO, Later, Never, may_go
from orchestrator.project.load import load
from tests.fundamentals.campaign import ACTIVATED, ANN, FILES, MONDAY

RULES = load(FILES).contact.classes["promotion"]
TEN = MONDAY + timedelta(hours=2)
"""10:00 in Shanghai."""


def asked(subscriber: Subscriber, now: datetime, *recent: Sent) -> object:
    return may_go(RULES, subscriber, recent, "hello", "welcome", now)


def test_go() -> None:
    assert asked(ANN, TEN) == GO


def test_later_when_it_is_night_where_they_are() -> None:
    night = TEN + timedelta(hours=12)
    assert asked(ANN, night) == Later(MONDAY + timedelta(hours=25), "outside_hours")


def test_later_when_they_had_one_today() -> None:
    breakfast = Sent(TEN - timedelta(hours=1), "news", "newsletter", "promotion")
    assert asked(ANN, TEN, breakfast) == Later(MONDAY + timedelta(hours=25), "per_day")


def test_never_when_they_said_no_or_never_said_yes() -> None:
    refused = replace(ANN, consents={"marketing": Consent(granted=False, at=MONDAY)})
    assert asked(refused, TEN) == Never("opted_out")
    assert asked(replace(ANN, consents={}), TEN) == Never("no_consent")


def test_never_when_we_cannot_know_what_time_it_is_for_them() -> None:
    assert asked(replace(ANN, timezone=None), TEN) == Never("unknown_zone")


def test_a_message_that_did_not_go_leaves_its_reason() -> None:
    stranger = replace(ANN, consents={})
    scene = decide(Scene(load(FILES), stranger, enrollments={}), ACTIVATED, MONDAY).scene
    effects = decide(scene, TimerDue(), TEN).effects
    assert Suppress("welcome", "hello", "hello", "no_consent") in effects
