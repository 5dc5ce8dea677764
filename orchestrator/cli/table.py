"""A CSV file: its encoding and delimiter found, its rows read one by one."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from orchestrator.core.errors import OutreachError

ENCODINGS = ("utf-8-sig", "gb18030")
DELIMITERS = ",;\t"
_CHUNK_OCTETS = 1 << 20


class Row(Struct, frozen=True):
    """One row: the line on which it ends, its cells, and in `trouble` why they cannot be used."""

    line: int
    cells: list[str]
    trouble: str = ""


class Table:
    """An open file. Iterating gives the rows after the header; blank ones are passed over."""

    def __init__(self, octets: BinaryIO, encoding: str) -> None:
        self._octets = octets
        text = io.TextIOWrapper(octets, encoding, newline="")
        head = text.readline()
        text.seek(0)
        delimiter = max(DELIMITERS, key=head.count)
        self._rows = csv.reader(text, delimiter=delimiter)
        self.header = [cell.strip() for cell in next(self._rows, [])]

    @property
    def read_octets(self) -> int:
        """How far we are, for a progress bar."""
        return self._octets.tell()

    def __iter__(self) -> Iterator[Row]:
        width = len(self.header)
        while True:
            try:
                cells = next(self._rows, None)
            except csv.Error as error:
                yield Row(self._rows.line_num, [], f"a quote is not closed, or: {error}")
                continue
            if cells is None:
                return
            if not any(cells):
                continue
            wrong = f"{len(cells)} columns, but the header has {width}"
            yield Row(self._rows.line_num, cells, "" if len(cells) == width else wrong)


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """The table in the file at `path`. Raises OutreachError if it is neither UTF-8 nor GB18030."""
    try:
        with path.open("rb") as octets:
            yield Table(octets, _encoding(path))
    except OSError as error:
        raise OutreachError(f"cannot read {path}: {error.strerror}") from None


def _encoding(path: Path) -> str:
    """The first encoding that the whole file is valid in."""
    for encoding in ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_OCTETS):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise OutreachError(f"{path} is neither UTF-8 nor GB18030", "save it as UTF-8 and try again")
