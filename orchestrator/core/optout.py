"""Addresses that are remembered without being kept: as keyed hashes."""

from __future__ import annotations

import hmac


def hash_address(channel: str, address: str, secret: bytes) -> bytes:
    """What is kept of an address of somebody who was erased: its HMAC-SHA256 under the
    installation's `secret`. A telephone number is the same one on every channel."""
    if not secret:
        raise ValueError("addresses are hashed with a secret, and there is none")
    number = address.startswith("+") and address[1:].isdigit()
    named = f"address:tel:{address}" if number else f"address:{channel}:{address}"
    return hmac.digest(secret, named.encode(), "sha256")
