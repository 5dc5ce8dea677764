"""The status codes of MM7 (TS 23.140 §8.4.8): what they mean for a message."""

from __future__ import annotations

from channels.mms.letters import Answer, Fault
from orchestrator.core.delivery import Outcome

SUCCESS = 1000
PARTIAL_SUCCESS = 1100
OPERATION_RESTRICTED = 2001
ADDRESS_ERROR = 2002
ID_NOT_FOUND = 2005
FORMAT_CORRUPT = 2007
SERVER_ERROR = 3000
IMPROPER_IDENTIFICATION = 4001
SERVICE_UNAVAILABLE = 4006

LATER = frozenset({SERVER_ERROR, 4000, 4005})
"""The centre failed with it, and may not the next time."""


def outcome(message_id: int, said: Answer | Fault) -> Outcome:
    """What this answer to a SubmitReq means for its message: 1xxx accepted; 2xxx, and what 3xxx and
    4xxx refuse for good, rejected; what the centre cannot for now, to be tried again later."""
    code = said.code
    if isinstance(said, Answer) and 1000 <= code < 2000:
        return Outcome(message_id, "accepted", said.message_id)
    if code in (SERVICE_UNAVAILABLE, IMPROPER_IDENTIFICATION):
        reason = "the MMS centre cannot take it for now"
        return Outcome(message_id, "unsent", "", f"MM7 {code}", reason, "later")
    if code == 0:  # A fault without a status: SOAP 1.1 §4.4.1 says whom to blame.
        reason = "the MMS centre could not read it"
        if isinstance(said, Fault) and said.ours:
            return Outcome(message_id, "rejected", "", "SOAP Client", reason)
        reason = "the MMS centre failed with it for now"
        return Outcome(message_id, "rejected", "", "SOAP Server", reason, "later")
    if code in LATER:
        reason = "the MMS centre failed with it for now"
        return Outcome(message_id, "rejected", "", f"MM7 {code}", reason, "later")
    return Outcome(message_id, "rejected", "", f"MM7 {code}", "the MMS centre refused it")
