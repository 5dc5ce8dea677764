"""Thousands of things near an honest body, the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_ODD = (
    *(b"\0", b"\xff", b"\xed\xa0\x80", b'"', b"{", b"[", b"<", b"&", b"]]>", b"\\ud800", b"null"),
    *(b"-1", b"1e999", b"9" * 40, b"true", b"[]", b"{}", b'""', b"<!DOCTYPE a>", b"%s" * 3),
    b"[" * 2000,
)


def mutations(seeds: Sequence[bytes], count: int, seed: int = 7) -> Iterator[bytes]:
    """`count` bodies: octets changed, cut, doubled, swapped, and odd things put in."""
    chance = random.Random(seed)
    for _ in range(count):
        octets = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            _spoil(octets, chance)
        yield bytes(octets)


def _spoil(octets: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(octets) + 1)
    end = min(len(octets), start + chance.choice((0, 1, 2, 5, 20)))
    match chance.randrange(6):
        case 0:
            octets[start:end] = chance.choice(_ODD)
        case 1:
            octets[start:end] = chance.randbytes(end - start)
        case 2:
            del octets[start:end]
        case 3:
            octets[start:start] = octets[start:end]
        case 4:
            del octets[start:]
        case 5 if octets:
            octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
