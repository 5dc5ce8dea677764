"""Thousands of bodies that nobody should send, the same ones every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random


def mutated(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """So many neighbours of these: octets changed, taken out, put in, cut off, said twice."""
    chance = Random(seed)
    for _ in range(count):
        octets = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(octets) + 1)
            match chance.randrange(5):
                case 0 if at < len(octets):
                    octets[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
                case 1:
                    del octets[at : at + chance.randrange(1, 40)]
                case 2:
                    octets[at:at] = chance.randbytes(chance.randrange(1, 40))
                case 3:
                    del octets[at:]
                case _:
                    octets += octets[at : at + 60]
        yield bytes(octets)


def survive(read: Callable[[bytes], object], seeds: list[bytes], error: type[Exception]) -> None:
    """5,000 neighbours are read, or refused with this error; any other error is raised."""
    for octets in mutated(seeds, 5_000, seed=1):
        with suppress(error):
            read(octets)
