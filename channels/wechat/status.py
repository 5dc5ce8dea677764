"""What the API's `errcode` says of a message (WeChat, "Global Return Code")."""

from __future__ import annotations

from orchestrator.core.delivery import Outcome

STALE_TOKEN = frozenset({40001, 40014, 42001})
"""The access token is no longer good; a new one is."""

REST_S = {"-1": 5.0, "45011": 60.0, "45009": 600.0}
"""After these errcodes, how long the API is not called: it would count that too."""

GONE = "43004"
"""The errcode of those who do not follow the account, until they do again."""

PICTURE = frozenset({"40004", "40005", "40006", "40007", "40009", "41005", "44001", "45001"})
"""The errcodes of pictures that WeChat does not take."""

_LATER = {
    -1: "WeChat is busy",
    45009: "the account's calls of today are used up",
    45011: "too many calls in a minute",
    40164: "our address is not in the account's list of addresses",
    40125: "the account's secret is wrong",
    40013: "the account's app_id is wrong",
    61024: "the account's token is somebody else's to fetch",
}

_NEVER = {
    40003: "nobody of this account has this address",
    40004: "WeChat takes no such pictures",
    40005: "WeChat takes no such pictures",
    40006: "WeChat finds the picture too large",
    40007: "WeChat does not know the picture",
    40009: "WeChat finds the picture too large",
    40032: "nobody of this account has this address",
    41005: "WeChat misses the picture",
    43004: "they do not follow the account",
    43019: "they do not want to hear from the account",
    44001: "WeChat misses the picture",
    44004: "it has no words",
    45001: "WeChat finds the picture too large",
    45002: "its text is too long",
    45015: "they have not written for 48 hours",
    45047: "twenty messages since they last wrote",
    48001: "the account may not send customer-service messages",
    50002: "they or the account are blocked",
}


def judged(message_id: int, errcode: int, carrier_id: str) -> Outcome:
    """The outcome that this errcode means."""
    code = str(errcode)
    if errcode == 0:
        return Outcome(message_id, "accepted", carrier_id)
    if errcode in _LATER or errcode in STALE_TOKEN:
        reason = _LATER.get(errcode, "the access token is not good")
        return Outcome(message_id, "unsent", code=code, reason=reason, retry="later")
    reason = _NEVER.get(errcode, "WeChat refused it")
    return Outcome(message_id, "rejected", code=code, reason=reason)
