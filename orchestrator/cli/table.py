"""A CSV file: its encoding and delimiter found, its rows read one by one."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from orchestrator.core.errors import OutreachError

DELIMITERS = ",;\t"
LONGEST_ROW_LINES = 100
"""A quote that is open for longer was never meant to be one."""
_BROKEN = "\ufffd"


class Row(Struct, frozen=True):
    """One row: the line on which it begins, its cells, and in `trouble` why they cannot be
    used."""

    line: int
    cells: list[str]
    trouble: str = ""


class Table:
    """An open file. Iterating gives the rows after the header; blank ones are passed over. What
    is wrong with a line is that row's trouble alone."""

    def __init__(self, octets: BinaryIO, encoding: str) -> None:
        self._octets = octets
        self._text = io.TextIOWrapper(octets, encoding, errors="replace", newline="")
        self._ahead: deque[str] = deque()
        self._line = 0
        head = self._text.readline()
        self._text.seek(0)
        self._delimiter = max(DELIMITERS, key=head.count)
        first = self._next_row()
        self.header = [cell.strip() for cell in first.cells] if first else []

    @property
    def read_octets(self) -> int:
        """How far we are, for a progress bar."""
        return self._octets.tell()

    def __iter__(self) -> Iterator[Row]:
        while row := self._next_row(len(self.header)):
            if any(row.cells) or row.trouble:
                yield row

    def _next_row(self, width: int | None = None) -> Row | None:
        """The next row, or None at the end. A quote that is never closed, or that makes of
        several lines no proper row, spoils the line on which it was opened, not the rest."""
        taken: list[str] = []
        number = self._line + 1
        try:
            cells = next(csv.reader(self._lines(taken), delimiter=self._delimiter), None)
        except _UnclosedError:
            return self._spoilt(number, taken)
        except csv.Error as error:
            self._put_back(taken)
            return Row(number, [], f"a quote is not closed, or: {error}")
        if cells is None:
            return None
        wrong = width is not None and len(cells) != width and any(cells)
        if len(taken) > 1 and (wrong or not self._proper(taken)):
            return self._spoilt(number, taken)
        if any(_BROKEN in cell for cell in cells):
            return Row(number, cells, "its text is broken: save the file as UTF-8")
        return Row(number, cells, f"{len(cells)} columns, but the header has {width}" * wrong)

    def _lines(self, taken: list[str]) -> Iterator[str]:
        """Lines for one row, kept in `taken`; the reader asks for another while a quote is open.
        At the end of the file, or of our patience, the row is none."""
        while len(taken) < LONGEST_ROW_LINES:
            line = self._ahead.popleft() if self._ahead else self._text.readline()
            if not line:
                break
            self._line += 1
            taken.append(line)
            yield line
        if taken:
            raise _UnclosedError

    def _proper(self, taken: list[str]) -> bool:
        """Whether these lines are one row by the letter: quotes only at cells' ends."""
        try:
            next(csv.reader(taken, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return False
        return True

    def _spoilt(self, number: int, taken: list[str]) -> Row:
        self._put_back(taken)
        cells = next(csv.reader(taken[:1], delimiter=self._delimiter), [])
        return Row(number, cells, "a quote is not closed")

    def _put_back(self, taken: list[str]) -> None:
        """All but the first line are still to be read."""
        self._ahead.extendleft(reversed(taken[1:]))
        self._line -= len(taken) - 1


class _UnclosedError(Exception):
    """A quote is still open after as many lines as a row may have, or at the end of the file."""


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """The table in the file at `path`, in UTF-8 or GB18030. Raises OutreachError."""
    try:
        encoding = _encoding(path)
        with path.open("rb") as octets:
            table = Table(octets, encoding)
            if any(_BROKEN in name for name in table.header):
                raise OutreachError(
                    f"{path} is neither UTF-8 nor GB18030", "save it as UTF-8 and try again"
                )
            yield table
    except OSError as error:
        raise OutreachError(f"cannot read {path}: {error.strerror}") from None


def _encoding(path: Path) -> str:
    """The encoding of most lines that say which it is: a line that is broken does not make the
    others so."""
    utf8 = gb18030 = 0
    with path.open("rb") as file:
        for line in file:
            if line.isascii():
                continue
            if _valid(line, "utf-8"):
                utf8 += 1
            elif _valid(line, "gb18030"):
                gb18030 += 1
    return "gb18030" if gb18030 > utf8 else "utf-8-sig"


def _valid(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
