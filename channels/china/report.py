"""The words in which gateways say what became of a message."""

from __future__ import annotations

from typing import Literal

FinalState = Literal["delivered", "undelivered", "expired", "rejected"]

_STATES: dict[str, FinalState | None] = {
    "DELIVRD": "delivered",
    "EXPIRED": "expired",
    "DELETED": "undelivered",
    "UNDELIV": "undelivered",
    "UNKNOWN": "undelivered",
    "REJECTD": "rejected",
    "ACCEPTD": None,
    "": None,
}


def read_state(stat: str) -> FinalState | None:
    """What a Stat means (CMPP 3.0 §8.4.5.1 table 1, SMGP 3.0.3 §6.2.63.1); None if nothing more is
    known of the message than before: it is under way (ACCEPTD), or whoever should have reported
    did not (MC:xxxx, IC:xxxx). All other codes, vendors' own too, mean that it was not delivered.
    """
    stat = stat.upper()
    if stat in _STATES:
        return _STATES[stat]
    return None if stat[1:3] == "C:" else "undelivered"
