"""The results of CMPP 3.0 §8.4.1.2 and §8.4.3.2, and what they mean for a retry."""

from __future__ import annotations

from typing import Final

from channels.sms.outcomes import Verdicts

OK, WRONG_STRUCTURE, TOO_FAST, OTHER = 0, 1, 8, 9
WRONG_PHONE: Final = 13
VERSION_TOO_HIGH: Final = 4
"""Of CONNECT_RESP."""

CONNECT: Final = {
    1: "the message is malformed",
    2: "it does not know this sp_id, or not from this IP address",
    3: "the secret is wrong, or our clock is",
    4: "it does not speak this version",
}

_RESULTS: Final = {
    1: "the message is malformed",
    2: "it does not know the command",
    3: "the sequence number came twice",
    4: "the length is wrong",
    5: "the fee is wrong",
    6: "the text is too long",
    7: "the service_id is wrong",
    8: "too fast",
    9: "it does not serve the number that pays",
    10: "the sender (Src_Id) is wrong",
    11: "the sp_id (Msg_src) is wrong",
    12: "the number that pays is wrong",
    13: "the phone number is wrong",
}

SLOW_DOWN: Final = frozenset({TOO_FAST})


def name(result: int) -> str:
    """How a result stands in reports; numbers from 100 on are the vendor's own."""
    return f"CMPP-{result}"


VERDICTS: Final = Verdicts(name, SLOW_DOWN, SLOW_DOWN, lambda it: _RESULTS.get(it, ""))
