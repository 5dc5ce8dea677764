"""Which words are another by a slip of one key."""

from __future__ import annotations

import pytest

from orchestrator.project.slips import slips


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("order.placed", "oder.placed"),
        ("order.placed", "order.placde"),
        ("order.placed", "order_placed"),
        ("order.placed", "orderPlaced"),
        ("order.placed", "order.plaxed"),
        ("needs-help", "need-help"),
    ],
)
def test_one_key_is_a_slip(word: str, other: str) -> None:
    assert slips([word, other, "something.else"]) == {word: (other,), other: (word,)}


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("order.placed", "order.paid"),
        ("stage-1", "stage-2"),
        ("usage.mb_7d", "usage.mb_30d"),
        ("mb", "mv"),
        ("vip", "vipa"),
        ("data.used", "data.unusual"),
    ],
)
def test_what_differs_more_or_by_a_digit_is_another_word(word: str, other: str) -> None:
    assert slips([word, other]) == {}
