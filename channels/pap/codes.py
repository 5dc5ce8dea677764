"""The status codes of PAP (WAP-247 §9.13): what they mean for a message."""

from __future__ import annotations

from channels.pap.control import Answer
from orchestrator.core.delivery import Outcome

OK = 1000
ACCEPTED = 1001
BAD_REQUEST = 2000
FORBIDDEN = 2001
ADDRESS_ERROR = 2002
NOT_FOUND = 2004
REPEATED = 2007
"""This push-id was accepted before."""
INTERNAL_ERROR = 3000
SERVICE_FAILURE = 4000
SERVICE_UNAVAILABLE = 4001

LACKING = frozenset({3001, 3002, 3003, 3004, 3005, 3006, 3007, 3011})
"""What the gateway cannot do: not implemented, version, not possible, capabilities, several
addresses, transformation, delivery method, replacement. Asking again does not help."""


def outcome(message_id: int, push_id: str, answer: Answer) -> Outcome:
    """What this answer to a push means for its message: 1xxx and a repeated push-id are accepted,
    2xxx refused; 3xxx (but what the gateway lacks) and 4xxx are to be tried again later."""
    code = answer.code
    if 1000 <= code < 2000 or code == REPEATED:
        return Outcome(message_id, "accepted", push_id)
    named = f"PAP {code}"
    if 4000 <= code < 5000:
        reason = "the gateway cannot take it for now"
        return Outcome(message_id, "unsent", "", named, reason, "later")
    if 3000 <= code < 4000 and code not in LACKING:
        reason = "the gateway failed with it for now"
        return Outcome(message_id, "rejected", "", named, reason, "later")
    return Outcome(message_id, "rejected", "", named, "the gateway refused it")
