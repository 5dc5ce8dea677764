"""What goes wrong at a simulated carrier, on purpose and repeatably."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from channels.sms import status


class Faults:
    """Change any of these while the carrier runs.

    `throttle_per_s`: over so many submits in a second, ESME_RTHROTTLED. `delay_s`: how long every
    answer waits. `drop_responses`, `drop_receipts`: how likely an answer or receipt is lost,
    though the message was taken. `reject`: the command_status for a number, 0 to take it.
    `undeliverable`: true for numbers whose messages are taken, then reported UNDELIV.
    """

    def __init__(self, seed: int = 0) -> None:
        self.throttle_per_s: float | None = None
        self.delay_s = 0.0
        self.drop_responses = 0.0
        self.drop_receipts = 0.0
        self.reject: Callable[[str], int] | None = None
        self.undeliverable: Callable[[str], bool] | None = None
        self._chance = Random(seed)
        self._second = 0.0
        self._taken = 0

    def refusal(self, number: str, now_s: float) -> int:
        """The command_status with which a submit to this number is refused, 0 if it is not."""
        if self.throttle_per_s is not None and self._over_limit(self.throttle_per_s, now_s):
            return status.THROTTLED
        return self.reject(number) if self.reject is not None else status.OK

    def loses_response(self) -> bool:
        """Drawn anew for each response."""
        return self.drop_responses > 0 and self._chance.random() < self.drop_responses

    def loses_receipt(self) -> bool:
        """Drawn anew for each receipt."""
        return self.drop_receipts > 0 and self._chance.random() < self.drop_receipts

    def _over_limit(self, limit_per_s: float, now_s: float) -> bool:
        if now_s - self._second >= 1.0:
            self._second, self._taken = now_s, 0
        self._taken += 1
        return self._taken > limit_per_s
