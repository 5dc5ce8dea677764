"""How fast a bind may submit: the agreed rate, and less for a while when the carrier throttles."""

from __future__ import annotations

import math

_BURST_S = 0.05
_RECOVERY_PER_S = 1.1
_SLOWER = 0.7
_UNLIMITED_PER_S = 1e6


class Pace:
    """A token bucket. `ceiling` is in messages per second (inf: as fast as the window lets go).

    A throttle answer cuts the rate to seven tenths of what really went out, at most once a second;
    each second without one gives a tenth more, up to the ceiling.
    """

    def __init__(self, ceiling: float, now: float) -> None:
        self.ceiling = ceiling
        self.rate = ceiling
        self._tokens = 0.0
        self._filled_at = now
        self._spent = 0
        self._second_from = now
        self._spent_per_s = 0.0
        self._throttled_at = -math.inf

    def room(self, now: float) -> int:
        """How many messages may go now; a large number when nothing limits them."""
        if now - self._second_from >= 1.0:
            self._new_second(now)
        if self.rate == math.inf:
            return 1 << 30
        burst = max(1.0, self.rate * _BURST_S)
        self._tokens = min(burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        return int(self._tokens + 1e-9)

    def spend(self, messages: int) -> None:
        """So many messages went out."""
        self._spent += messages
        self._tokens -= messages

    def delay_s(self) -> float:
        """How long until there is room again, once `room` gave 0."""
        return max(0.001, (1.0 - self._tokens) / self.rate)

    def throttle(self, now: float) -> None:
        """The carrier said that we are too fast."""
        if now - self._throttled_at < 1.0:
            return
        seen = max(float(self._spent), self._spent_per_s)
        self.rate = max(1.0, _SLOWER * min(self.rate, max(seen, 1.0)))
        self._tokens = 0.0
        self._filled_at = now
        self._throttled_at = now

    def _new_second(self, now: float) -> None:
        elapsed_s = now - self._second_from
        self._spent_per_s = self._spent / elapsed_s
        self._spent = 0
        self._second_from = now
        quiet_s = min(now - self._throttled_at, elapsed_s)
        if self.rate < self.ceiling and quiet_s >= 1.0:
            self.rate = min(self.ceiling, self.rate * _RECOVERY_PER_S ** min(quiet_s, 100.0))
            if self.rate > _UNLIMITED_PER_S:
                self.rate = self.ceiling
