"""What a carrier's answers to the parts of a message come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from channels.sms.batch import UNKNOWN, UNSENT, Answer
from orchestrator.core.delivery import Outcome, Retry


class Verdicts(Struct, frozen=True):
    """How a protocol's statuses are to be taken: `name` is what a status is called, `why` says it
    for people. `slow_down` are those for messages that were not taken because we are too fast,
    `passing` those worth another try later; all others would be refused again."""

    name: Callable[[int], str]
    slow_down: frozenset[int]
    passing: frozenset[int]
    why: Callable[[int], str] = lambda _: ""

    def joined(
        self, message_id: int, answers: Sequence[Answer], kept: Callable[[str], str] = str
    ) -> Outcome:
        """The one outcome that the answers to all parts make. A message that was accepted has the
        id of its last part, as `kept` writes it."""
        parts = len(answers)
        failures = [status for status, _ in answers if status != 0]
        if not failures:
            return Outcome(message_id, "accepted", kept(answers[-1][1]), parts=parts)
        # The gravest comes first: unknown, refused for good, refused for now, never written.
        failures.sort(key=lambda it: (it != UNKNOWN, it == UNSENT, it in self.passing))
        return self.failed(message_id, failures[0], parts)

    def failed(self, message_id: int, status: int, parts: int = 1) -> Outcome:
        """The outcome of a message whose answer was not success."""
        if status == UNKNOWN:
            return Outcome(message_id, "unknown", reason="the carrier gave no answer", parts=parts)
        if status == UNSENT:
            reason = "the connection ended, or was too slow, before it was written"
            return Outcome(message_id, "unsent", reason=reason, retry="later", parts=parts)
        code = self.name(status)
        if status in self.slow_down:
            reason = "the carrier takes no more for now"
            return Outcome(message_id, "unsent", "", code, reason, "later", parts)
        retry: Retry = "later" if status in self.passing else "never"
        why = self.why(status)
        reason = f"the carrier refused it: {why}" if why else "the carrier refused it"
        return Outcome(message_id, "rejected", "", code, reason, retry, parts)
