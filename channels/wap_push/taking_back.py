"""What comes of taking a push back from the phone, whichever way it went there."""

from __future__ import annotations

from orchestrator.core.delivery import Fate, Outcome, Word

TOO_LATE = ("delivered", "refused", "missing", "cannot")
"""What a carrier says of a push that it has brought, or may have."""


def withdrawn(outcome: Outcome) -> Fate:
    """The fate of a message that a push deletes from the phone, by what became of that push."""
    number = outcome.message_id
    if outcome.result == "accepted":
        return Fate(number, "withdrawn", reason="the phone is told to delete it")
    word: Word = "refused" if outcome.result == "rejected" else "silent"
    return Fate(number, word, outcome.code, outcome.reason)
