"""What messages cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orchestrator.core.cost import Price, Prices, parts
from orchestrator.core.errors import GrammarError
from orchestrator.core.model import Content

PRICES = Prices("CNY", sms=Price.parse("0.05"), mms=Price.parse("0.3"))


@pytest.mark.parametrize(
    ("channel", "text", "cost"),
    [
        ("sms", "short", "0.05"),
        ("sms", "long " * 40, "0.10"),
        ("sms", "您好" * 36, "0.10"),
        ("mms", "long " * 400, "0.3"),
        ("telegram", "long " * 400, "0"),
        ("calls", "Say this.", "0"),
    ],
)
def test_an_sms_costs_by_its_parts_and_what_has_no_price_is_free(
    channel: str, text: str, cost: str
) -> None:
    assert PRICES.of(channel, Content(text=text)) == Decimal(cost)


def test_what_cannot_be_encoded_is_never_sent_and_costs_nothing() -> None:
    assert parts("sms", Content(text="\x1b")) == 0


@pytest.mark.parametrize("text", ["-1", "0,05", "1e3", "free", "", "NaN"])
def test_a_price_is_a_plain_amount(text: str) -> None:
    with pytest.raises(GrammarError, match="not a price"):
        Price.parse(text)
