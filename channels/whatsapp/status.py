"""What the Cloud API's error code says of a message (Cloud API, "Error codes")."""

from __future__ import annotations

from orchestrator.core.delivery import Outcome

OUTSIDE_WINDOW = 131047
"""More than 24 hours have passed since they last wrote: only templates may go."""

PICTURE = frozenset({"100", "131008", "131009", "131051", "131052", "131053"})
"""The errors of a message that may go once its picture is left out."""

SLOW_DOWN = frozenset({4, 80007, 130429, 131048})
"""The number, or the app, is over a limit."""

_LATER = {
    4: "too many calls of the app",
    80007: "too many calls of the account",
    130429: "too many messages of the number",
    131048: "too many of the number's messages were blocked or reported",
    131056: "too many messages to this person",
    131016: "WhatsApp is not available for the moment",
    131057: "the account is in maintenance",
    0: "the access token is not good",
    190: "the access token has expired",
    3: "the app may not do this",
    10: "the app may not do this",
    200: "the app may not do this",
    368: "the account is blocked for a breach of policy",
    131031: "the account is locked",
    131042: "the account has not been paid for",
    133010: "the number is not registered",
}

_NEVER = {
    100: "WhatsApp finds something wrong in it",
    131008: "WhatsApp misses something in it",
    131009: "WhatsApp finds something wrong in it",
    131021: "they are ourselves",
    131026: "they have no WhatsApp, or cannot be reached",
    131030: "they are not on the test number's list",
    131047: "they have not written for 24 hours",
    131049: "WhatsApp holds back marketing to them",
    131050: "they do not want marketing",
    131051: "WhatsApp has no such kind of message",
    131052: "WhatsApp cannot fetch the picture",
    131053: "WhatsApp cannot use the picture",
    132000: "the template has another number of parameters",
    132001: "there is no such template, or not in this language",
    132005: "the text is too long for the template",
    132007: "the template breaks WhatsApp's policy",
    132012: "the template's parameter is of another kind",
    132018: "the template's parameter holds what it may not",
    132015: "the template is paused",
    132016: "the template is disabled",
}


def judged(message_id: int, code: int) -> Outcome:
    """The outcome that this error code means."""
    if code in _LATER:
        reason = _LATER[code]
        return Outcome(message_id, "unsent", code=str(code), reason=reason, retry="later")
    if code == 131000:
        reason = "something went wrong at WhatsApp"
        return Outcome(message_id, "unknown", code=str(code), reason=reason)
    reason = _NEVER.get(code, "WhatsApp refused it")
    return Outcome(message_id, "rejected", code=str(code), reason=reason)
