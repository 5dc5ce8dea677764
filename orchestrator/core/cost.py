"""What messages cost, as the project's price list says. Amounts are exact decimals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from orchestrator.core import short_message
from orchestrator.core.errors import GrammarError
from orchestrator.core.model import Content, word_of

_FREE = Decimal(0)


class Price(Struct, frozen=True):
    """`0.05`: what one costs, in the project's currency."""

    amount: Decimal = _FREE

    @classmethod
    def parse(cls, text: str) -> Price:
        if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text.strip()):
            raise GrammarError(f"{text!r} is not a price", "write an amount: 0.05")
        return cls(Decimal(text.strip()))


class Prices(Struct, frozen=True):
    """What one message costs by channel word: `sms` each part, `desk` each person a colleague
    speaks to. What has no price is free. `currency` is how amounts are named: `CNY`."""

    currency: str = ""
    sms: Price = Price()
    mms: Price = Price()
    wap_push: Price = Price()
    chat: Price = Price()
    desk: Price = Price()

    def of(self, channel: str, content: Content, languages: Sequence[str] = ()) -> Decimal:
        """What sending this once costs, over a channel or for a channel word; see `parts`."""
        word = word_of(channel)
        price: Price = getattr(self, word)
        return price.amount * parts(word, content, languages)


def parts(channel: str, content: Content, languages: Sequence[str] = ()) -> int:
    """How many units of its channel a message takes: parts of an SMS, else 1. An SMS that cannot
    be encoded takes none. It may be written in the national tables of one of these `languages`,
    which the installation's channel knows."""
    if word_of(channel) != "sms":
        return 1
    try:
        return len(short_message.split(content.text, languages=languages).parts)
    except short_message.TextError:
        return 0
