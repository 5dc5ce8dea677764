"""The results of SGIP §5.2, and what they mean for a retry."""

from __future__ import annotations

from typing import Final

from channels.sms.outcomes import Verdicts

OK, WRONG_LOGIN, LOGIN_TWICE, TOO_MANY, WRONG_LOGIN_TYPE, WRONG_FORMAT = 0, 1, 2, 3, 4, 5
WRONG_PHONE, WRONG_LENGTH, BUSY = 6, 8, 11

_RESULTS: Final = {
    1: "the login or its password is wrong",
    2: "we are logged in already",
    3: "too many connections",
    4: "the login type is wrong",
    5: "a parameter is malformed",
    6: "the phone number is wrong",
    7: "it does not know the command",
    8: "the length is wrong",
    9: "the sequence number is wrong",
    11: "the gateway is busy",
    21: "what lies behind it cannot be reached",
    22: "the route is wrong",
    23: "there is no route",
    24: "the number that pays is wrong",
    25: "the phone cannot be reached",
    26: "the phone's memory is full",
    27: "the phone takes no messages",
    28: "the phone had an error",
    29: "nobody has this number",
    30: "it does not offer this",
    31: "the device is not allowed",
    32: "the system failed",
    33: "the message centre is full",
}

SLOW_DOWN: Final = frozenset({BUSY, 33})
PASSING: Final = frozenset({*SLOW_DOWN, 21, 32})


def name(result: int) -> str:
    """How a result stands in reports."""
    return f"SGIP-{result}"


def why(result: int) -> str:
    """What a result says, for people; empty for those nobody told us of."""
    return _RESULTS.get(result, "")


VERDICTS: Final = Verdicts(name, SLOW_DOWN, PASSING, why)
