"""Whether a gateway knows the secret it shares with us."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable
from typing import Literal

from channels.sms.line import RefusedError

log = logging.getLogger("outreach.sms")

Proof = Literal["warn", "require", "ignore"]
"""What to do about a gateway that cannot show it."""


def check(given: bytes, expected: Iterable[bytes], proof: Proof, protocol: str) -> None:
    """The digest was one of those expected, or that does not matter. Raises RefusedError."""
    if proof == "ignore" or any(hmac.compare_digest(given, it) for it in expected):
        return
    if proof == "require":
        raise RefusedError(
            "the gateway could not show that it knows our secret",
            "Check whose host it is; `gateway_proof: warn` connects all the same.",
        )
    log.warning("gateway_unproven protocol=%s", protocol)
