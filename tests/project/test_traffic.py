"""A contact policy over messages that really went."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.core.model import Consent, Sent, Subscriber
from orchestrator.project.load import load
from orchestrator.project.traffic import Letter, Replay

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHO = Subscriber(1, "a", 1, "en", "UTC", {}, frozenset(), {"sms": "+861"}, {}, NOON)


def policy(rules: str) -> Mapping[str, str]:
    return {
        "journeys/program/project.yaml": "{name: p, locale: en, timezone: UTC}",
        "journeys/program/contact.yaml": (
            f"classes:\n  news: {{purpose: news, consent: opt_out{rules}}}"
        ),
    }


def judged(
    rules: str, *letters: tuple[float, str, str], who: Subscriber = WHO, **known: Any
) -> Replay:
    """What becomes of letters (hours after noon, journey, why it was withheld)."""
    replay = Replay(load(policy(rules)), NOON, NOON + timedelta(days=30))
    written = [
        Letter(Sent(NOON + hours * HOUR, f"t{number}", journey, "news", number), 1, reason)
        for number, (hours, journey, reason) in enumerate(letters, 1)
    ]
    replay.judge(who, known.get("listed", frozenset()), written)
    return replay


def test_what_nothing_forbids_goes_as_it_went() -> None:
    found = judged("", (0, "a", ""), (1, "b", ""))
    assert (found.sums.messages, found.sums.as_before) == (2, 2)
    assert not found.put_off
    assert not found.withheld


def test_what_is_put_off_goes_later_in_the_order_of_its_time() -> None:
    found = judged(", per_day: 1", (0, "a", ""), (1, "b", ""), (2, "c", ""), (13, "d", ""))
    # b goes at midnight; so c and d, of the next day, go on the two days after that.
    assert (found.sums.as_before, found.sums.later) == (1, 3)
    assert found.put_off == {"per_day": 3}
    assert found.sums.late_h == (12 - 1) + (36 - 2) + (60 - 13)
    assert found.journeys["b"].later == 1


def test_what_went_before_the_span_counts() -> None:
    found = judged(", gap: 4h", (-1, "a", ""), (0, "b", ""))
    assert (found.sums.messages, found.sums.later, found.sums.late_h) == (1, 1, 3.0)


def test_whoever_has_refused_since_gets_nothing() -> None:
    who = replace(WHO, consents={"news": Consent(False, NOON)})
    found = judged("", (0, "a", ""), who=who)
    assert found.withheld == {"opted_out": 1}
    assert found.journeys["a"].never == 1


def test_what_was_withheld_then_may_go_now() -> None:
    found = judged("", (0, "a", "per_campaign"), (1, "b", ""))
    assert (found.sums.withheld_before, found.sums.withheld_now_go) == (1, 1)
    assert found.sums.messages == 1
    # and then it counts like any other
    later = judged(", gap: 4h", (0, "a", "per_campaign"), (1, "b", ""))
    assert later.put_off == {"gap": 1}


@pytest.mark.parametrize("listed", [True, False])
def test_nobody_on_a_list_gets_what_its_class_keeps_from_it(listed: bool) -> None:
    found = judged(
        ", not_on: [dnd], fresh: 1d", (0, "a", ""), listed=frozenset({"dnd"} if listed else ())
    )
    assert found.sums.never == listed
    assert found.sums.as_before == (not listed)
