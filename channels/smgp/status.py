"""The results of SMGP 3.0.3 §6.2.6, and what they mean for a retry."""

from __future__ import annotations

from typing import Final

from channels.sms.outcomes import Verdicts

OK, BUSY, WRONG_STRUCTURE = 0, 1, 10
WRONG_LENGTH, WRONG_PHONE = 36, 47

_RESULTS: Final = {
    1: "the gateway is busy",
    2: "too many connections",
    10: "the message is malformed",
    11: "it does not know the command",
    12: "the sequence number came twice",
    20: "not from this IP address",
    21: "the secret is wrong, or our clock is",
    22: "it does not speak this version",
    30: "the MsgType is wrong",
    31: "the priority is wrong",
    32: "the fee_type is wrong",
    33: "the fee_code is wrong",
    34: "the MsgFormat is wrong",
    35: "a time is wrong",
    36: "the text is too long",
    37: "its time is over",
    39: "it has no route",
    40: "the fixed_fee is wrong",
    43: "the service_id is wrong",
    44: "the ValidTime is wrong",
    45: "the AtTime is wrong",
    46: "the sender (SrcTermID) is wrong",
    47: "the phone number is wrong",
    48: "the number that pays is wrong",
    49: "the SP's service code is wrong",
    58: "it has no route",
    69: "the SP's company code is wrong",
    73: "the m_service_id is wrong",
    74: "nothing may be sent at this time of day",
    75: "more than the account may send in a day",
    76: "the account has expired",
}

SLOW_DOWN: Final = frozenset({BUSY})
PASSING: Final = frozenset({BUSY, 74, 75})


def name(result: int) -> str:
    """How a result stands in reports; numbers from 128 on are the vendor's own."""
    return f"SMGP-{result}"


def why(result: int) -> str:
    """What a result says, for people; empty for those nobody told us of."""
    return _RESULTS.get(result, "")


VERDICTS: Final = Verdicts(name, SLOW_DOWN, PASSING, why)
