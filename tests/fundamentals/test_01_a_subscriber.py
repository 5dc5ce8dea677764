"""1. A subscriber is a person, not a phone number.

They have a name of the operator's own (`key`), attributes and tags that authors may look at, a
time zone, a language, consents that say what we may write about, and addresses: one for each
channel that reaches them. Like every value in the core a subscriber is frozen: nothing changes
behind anybody's back.
"""

from __future__ import annotations

import pytest

from orchestrator.core.expression import Condition, subscriber_scope
from tests.fundamentals.campaign import ANN


def test_a_channel_reaches_them_at_an_address() -> None:
    assert ANN.reach("sms") == ("sms", "+8613800138000")
    assert ANN.reach("mms") is None


def test_chat_is_whichever_chat_they_use() -> None:
    """Authors write `via: [chat, sms]` and need not know that Ann is on Telegram, and Bob not."""
    assert ANN.reach("chat") == ("telegram", "42")


def test_a_condition_looks_at_them_and_holds_or_does_not() -> None:
    """Conditions are the expressions that authors know from templates."""
    on_campus = Condition.parse(
        "'student' in subscriber.tags and subscriber.network in ['3g','4g']"
    )
    assert on_campus.holds(subscriber_scope(ANN))


def test_they_cannot_be_changed_only_replaced() -> None:
    with pytest.raises(AttributeError):
        ANN.locale = "zh"  # type: ignore[misc]
