"""Domain time (when subscribers live) beside real time (when processes run)."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from orchestrator.core.errors import GrammarError

_FORM = re.compile(r"(?P<domain>[^@]+)@(?P<real>\d+(?:\.\d+)?)x(?P<speed>\d+(?:\.\d+)?)")


class Clock(Struct, frozen=True):
    """At real time `epoch_real` (Unix seconds) it was `epoch_domain`; since then domain time runs
    `speed` times as fast. 1 is the real clock, 0 stands still, 10080 is a week in a minute.

    `str(clock)` and `Clock.parse` carry it to other processes, which then show the same time.
    """

    epoch_domain: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    epoch_real: float = 0.0
    speed: float = 1.0

    @classmethod
    def starting(cls, domain: datetime, speed: float) -> Clock:
        """A clock that shows `domain` now."""
        return cls(domain, time.time(), speed)

    @classmethod
    def parse(cls, text: str) -> Clock:
        """The clock that `str` wrote (`2026-03-02T00:00:00Z@1760000000.123x10080`), or the real
        one for `real`. Raises GrammarError."""
        if text == "real":
            return cls()
        match = _FORM.fullmatch(text)
        try:
            domain = datetime.fromisoformat(match["domain"]) if match else None
        except ValueError:
            domain = None
        if match is None or domain is None or domain.tzinfo is None:
            raise GrammarError(
                f"{text!r} is not a clock",
                "Write `real`, or DOMAIN@UNIXxSPEED, as in 2026-03-02T00:00:00Z@1760000000x10080.",
            )
        return cls(domain.astimezone(UTC), float(match["real"]), float(match["speed"]))

    def __str__(self) -> str:
        if self == Clock():
            return "real"
        domain = self.epoch_domain.isoformat().replace("+00:00", "Z")
        return f"{domain}@{_plain(self.epoch_real)}x{_plain(self.speed)}"

    def now(self) -> datetime:
        """Domain time: aware UTC. Everything that subscribers can notice goes by it."""
        return self.domain_at(time.time())

    def real_now(self) -> datetime:
        """Real time: aware UTC. Leases and time-outs go by it at any speed."""
        return datetime.now(UTC)

    def domain_at(self, real: float) -> datetime:
        """Domain time at Unix time `real`."""
        return self.epoch_domain + timedelta(seconds=(real - self.epoch_real) * self.speed)

    def real_seconds_until(self, domain: datetime) -> float:
        """How long to sleep until `domain`: 0 if it is past, infinite if the clock stands still."""
        ahead_s = (domain - self.now()).total_seconds()
        if ahead_s <= 0:
            return 0.0
        return ahead_s / self.speed if self.speed else math.inf


def _plain(number: float) -> str:
    """Exactly, and without an exponent."""
    return format(Decimal(repr(number)), "f").removesuffix(".0")
