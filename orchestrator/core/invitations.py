"""Codes that join an address to a person: made from chance, said where they are not yet known.

A short one (40 bits, lives for minutes) is typed; a long one (80 bits) stands in a link.
"""

from __future__ import annotations

import hmac
from datetime import timedelta

from orchestrator.core.codes import LENGTH, LETTERS, make_code

SHORT_LENGTH = 8
SHORT_LIFE = timedelta(minutes=10)
LONG_LIFE = timedelta(days=7)

_SHOWN_SHORT = SHORT_LENGTH + 1
_LOOKALIKES = str.maketrans("OIL", "011")


def short_code(chance: bytes, purpose: str) -> str:
    """A code to be typed, shown like `7Q2M-0RXA`."""
    return make_code(chance, f"invitation {purpose}")[:_SHOWN_SHORT]


def long_code(chance: bytes) -> str:
    """A code for a link: sixteen letters and digits."""
    return make_code(chance, "invitation").replace("-", "")


def read_invitation(words: str) -> str | None:
    """The code that these words are, letters only, or None if they can be none. Case, spaces and
    dashes do not matter; O is 0, I and L are 1."""
    letters = words.upper().translate(_LOOKALIKES).replace(" ", "").replace("-", "")
    right = len(letters) in (SHORT_LENGTH, LENGTH) and set(letters) <= set(LETTERS)
    return letters if right else None


def hash_invitation(code: str, secret: bytes) -> bytes:
    """What is stored of a code: its HMAC-SHA256 under the installation's `secret`."""
    if not secret:
        raise ValueError("codes are hashed with a secret, and there is none")
    letters = code.replace("-", "")
    return hmac.digest(secret, f"outreach invitation 1\0{letters}".encode(), "sha256")
