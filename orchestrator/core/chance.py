"""Chance that does not change sides: drawn by a hash, so the same question has the same answer."""

from __future__ import annotations

from hashlib import blake2b


def draw(*about: str | int) -> float:
    """A number in [0, 1), evenly spread over subjects and always the same for the same one."""
    digest = blake2b("\0".join(map(str, about)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
