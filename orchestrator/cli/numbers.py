"""Files of telephone numbers, one a line, read by the million."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from orchestrator.cli.rows import Bad, phone_number

CHUNK_OCTETS = 1 << 14
"""Read and judged at once. One line in it that is not plain makes all of it slower."""

LONGEST_LINE = 1 << 16

_BESIDE = re.compile(r"[0-9].*[,;\t]|[,;\t].*[0-9]")

_SHORTENED = re.compile(r"[0-9][.,]?[0-9]*[Ee]\+?[0-9]+")

Told = Callable[[int, str], None]
"""Hears of a line that holds no number, and why."""


class Reader:
    """Reads a file of numbers. `country` completes national ones. `read` counts the lines that are
    neither empty nor remarks, `bad` those of them that hold no number."""

    def __init__(self, country: str, tell: Told) -> None:
        self.read = 0
        self.bad = 0
        self._country = country
        self._tell = tell
        self._line = 0
        self._plain = [re.compile(rb"(?:\+[1-9][0-9]{6,14}\r?\n)+")]
        self._national: re.Pattern[bytes] | None = None
        if country:
            own, less = country.encode(), len(country)
            # As `phone_number` does: what begins with the code has it if it is long enough.
            complete = rb"(?:%b[0-9]{%d,%d}\r?\n)+" % (own, 11 - less, 15 - less)
            self._plain.append(re.compile(complete))
            self._national = re.compile(
                rb"(?:(?!0|%b)[0-9]{%d,%d}\r?\n)+" % (own, max(7 - less, 1), 15 - less)
            )

    def numbers(self, octets: BinaryIO) -> Iterator[list[int]]:
        """The numbers, some hundred at a time. What is no number is told by its line, not by what
        it says."""
        rest = b""
        while chunk := octets.read(CHUNK_OCTETS):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                yield self._judged(whole + newline)
            elif len(rest) > LONGEST_LINE:  # no file of numbers: it is told of, and not kept
                rest = rest[:LONGEST_LINE]
        if rest:
            yield self._judged(rest + b"\n")

    def _judged(self, lines: bytes) -> list[int]:
        if any(plain.fullmatch(lines) for plain in self._plain):
            numbers = [*map(int, lines.split())]
        elif self._national and self._national.fullmatch(lines):
            own = self._country.encode()
            numbers = [int(own + line) for line in lines.split()]
        else:
            return [*self._one_by_one(lines)]
        self.read += len(numbers)
        self._line += len(numbers)
        return numbers

    def _one_by_one(self, lines: bytes) -> Iterator[int]:
        for raw in lines[:-1].split(b"\n"):
            self._line += 1
            text = (
                raw.decode("utf-8-sig", errors="replace").partition("#")[0].strip().strip("\",;'")
            )
            if not text:
                continue
            self.read += 1
            try:
                yield int(phone_number(_alone(text), self._country))
            except Bad as reason:
                self.bad += 1
                self._tell(self._line, str(reason))


def _alone(text: str) -> str:
    """The text, with nothing beside its number. Raises Bad."""
    if _SHORTENED.fullmatch(text):
        raise Bad("a spreadsheet shortened this number: make its column a text")
    if _BESIDE.search(text):
        raise Bad("one number a line, with nothing beside it")
    return text
