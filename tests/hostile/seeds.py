"""Octets to begin with: what honest carriers send, and thousands of things near it, the same ones
for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tests.channels.mutations import mutations
from tests.hostile.targets import SEEDS, WRITTEN

CORPUS = Path(__file__).parent / "corpus"

_ODD_OCTETS = bytes((0x00, 0x01, 0x04, 0x1B, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0xD8, 0xFE, 0xFF))
_ODD_LENGTHS = (0, 1, 15, 16, 17, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x11000, 0x11001, 0x7FFFFFFF)


def seeds(target: str) -> list[bytes]:
    """Inputs of a target to begin with: honest ones, and those that the fuzzers kept."""
    return SEEDS[target]() + kept(target)


def kept(target: str) -> list[bytes]:
    """What the fuzzers found worth keeping: one input per line, in hexadecimal."""
    file = CORPUS / f"{target}.hex"
    return [bytes.fromhex(line) for line in file.read_text().split("\n") if line] \
        if file.exists() else []  # fmt: skip


def mutated(target: str, count: int, seed: int) -> Iterator[bytes]:
    """So many inputs near those of `seeds`, drawn from `seed`."""
    if target in WRITTEN:
        yield from mutations(seeds(target), count, seed)
        return
    chance = random.Random(f"{target} {seed}")
    begun = seeds(target)
    for _ in range(count):
        octets = bytearray(chance.choice(begun))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            _change(octets, chance, begun)
        yield bytes(octets)


def _change(octets: bytearray, chance: random.Random, others: list[bytes]) -> None:
    """One change in place, of a kind that parsers have stumbled over."""
    at = chance.randrange(len(octets) + 1)
    kind = chance.randrange(9)
    if kind == 0 and at < len(octets):
        octets[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and at < len(octets):
        octets[at] = chance.choice(_ODD_OCTETS)
    elif kind == 2:
        octets[at:at] = bytes((chance.choice(_ODD_OCTETS),)) * chance.choice((1, 2, 9, 300))
    elif kind == 3:
        del octets[at : at + chance.choice((1, 2, 4, 16))]
    elif kind == 4:
        del octets[at:]
    elif kind == 5:
        octets[at:at] = octets[at : at + chance.randrange(1, 64)]
    elif kind == 6:
        other = chance.choice(others)
        octets[at:] = other[chance.randrange(len(other) + 1) :]
    elif kind == 7:
        octets[at : at + 2] = chance.choice(_ODD_LENGTHS).to_bytes(4, "big")[2:]
    else:
        octets[0:4] = chance.choice(_ODD_LENGTHS).to_bytes(4, "big")
