"""Redemption codes: made from chance, shown to people, read back from what they type, and kept
only as a keyed hash. Sixteen letters of Crockford's base 32 carry 80 bits."""

from __future__ import annotations

import hmac
import unicodedata
from hashlib import blake2b

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 16
MIN_CHANCE_OCTETS = 10

_LOOKALIKES = str.maketrans("OIL", "011")


def make_code(chance: bytes, purchase: str) -> str:
    """A code nobody can guess, shown like `7Q2M-0RXA-9KTV-C4HE`. `chance` is at least 80 fresh
    random bits; it may serve several purchases, which `purchase` tells apart."""
    if len(chance) < MIN_CHANCE_OCTETS:
        raise ValueError(f"a code needs {MIN_CHANCE_OCTETS} random octets, not {len(chance)}")
    number = int.from_bytes(blake2b(purchase.encode(), key=chance[:64], digest_size=10).digest())
    letters = "".join(LETTERS[number >> 5 * place & 31] for place in reversed(range(LENGTH)))
    return "-".join(letters[start : start + 4] for start in range(0, LENGTH, 4))


def read_code(typed: str) -> str | None:
    """The code that somebody typed, as `make_code` shows it, or None if it cannot be one. Case,
    width, spaces and dashes do not matter; O is 0, I and L are 1."""
    folded = unicodedata.normalize("NFKC", typed[:200]).upper().translate(_LOOKALIKES)
    letters = "".join(letter for letter in folded if letter.isalnum())
    if len(letters) != LENGTH or not set(letters) <= set(LETTERS):
        return None
    return "-".join(letters[start : start + 4] for start in range(0, LENGTH, 4))


def hash_code(code: str, secret: bytes) -> bytes:
    """What is stored of a code: its HMAC-SHA256 under the installation's `secret`."""
    if not secret:
        raise ValueError("codes are hashed with a secret, and there is none")
    return hmac.digest(secret, code.encode(), "sha256")
