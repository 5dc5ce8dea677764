"""Recordings of events: CSV or NDJSON files, line by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.cli.properties import nested, typed
from orchestrator.cli.rows import Bad, phone_number
from orchestrator.cli.table import Row, opened
from orchestrator.core.errors import OutreachError
from orchestrator.core.feed import Feed
from orchestrator.runtime.feeding import Recorded
from orchestrator.runtime.reports import EventShape, read_lines

CHUNK_LINES = 2_000
LONGEST_LINE = 1 << 20
WHO = {"number": True, "phone": True, "subscriber": False, "key": False}
"""Columns that say whom an event happened to, and whether they hold telephone numbers."""

Told = Callable[[int, str], None]
"""Hears of a line that holds no event, and why."""


def recorded(
    file: Path, feed: Feed, country: str, first: int, tell: Told, progress: Callable[[int], None]
) -> Iterator[Recorded]:
    """The events of a recording from line `first` on (1 is the first); `progress` hears how far we
    are, in octets. A file named *.csv is CSV, with what a cell holds as `feed` declares it; any
    other NDJSON, as `POST /v1/events` takes it. Raises OutreachError if it cannot be read."""
    if file.suffix.lower() == ".csv":
        return _of_table(file, feed, country, first, tell, progress)
    return _of_lines(file, first, tell, progress)


def _of_lines(
    file: Path, first: int, tell: Told, progress: Callable[[int], None]
) -> Iterator[Recorded]:
    last = 0.0
    try:
        with file.open("rb") as octets:
            for _ in range(first - 1):
                octets.readline(LONGEST_LINE)
            number = first
            rest = iter(lambda: octets.readline(LONGEST_LINE), b"")
            while lines := [*islice(rest, CHUNK_LINES)]:
                found, broken = read_lines(b"".join(lines).removeprefix(b"\xef\xbb\xbf"), number)
                for one in broken:
                    tell(one.position, one.reason)
                for line, shape in found:
                    last = shape.at.timestamp() if shape.at is not None else last
                    yield _of_shape(line, shape, last)
                number += len(lines)
                progress(octets.tell())
    except OSError as error:
        raise OutreachError(f"cannot read {file}: {error.strerror}") from None


def _of_shape(line: int, it: EventShape, at: float) -> Recorded:
    who = int(it.telephone) if it.telephone else str(it.subscriber)
    return Recorded(line, it.name, who, at, it.source_id, it.properties)


def _of_table(
    file: Path, feed: Feed, country: str, first: int, tell: Told, progress: Callable[[int], None]
) -> Iterator[Recorded]:
    with opened(file) as table:
        columns = {name: place for place, name in enumerate(table.header) if name}
        whom = next((name for name in WHO if name in columns), None)
        if "name" not in columns or "at" not in columns or whom is None:
            raise OutreachError(
                f"{file} lacks a column",
                "its first line must name the columns: name,at,number,source_id,… (or subscriber)",
            )
        reader = _Rows(columns, whom, feed, country, file.stem)
        for row in table:
            if row.line < first:
                continue
            try:
                yield reader.read(row)
            except Bad as reason:
                tell(row.line, str(reason))
            progress(table.read_octets)


class _Rows:
    """Reads rows under one header."""

    def __init__(
        self, columns: dict[str, int], whom: str, feed: Feed, country: str, stem: str
    ) -> None:
        self._columns = columns
        self._whom = whom
        self._feed = feed
        self._country = country
        self._stem = stem
        told = {"name", "at", "source_id", whom}
        self._properties = [it for it in columns.items() if it[0] not in told]

    def read(self, row: Row) -> Recorded:
        """The event of this row. Raises Bad."""
        if row.trouble:
            raise Bad(row.trouble)
        cells = [it.strip() for it in row.cells]
        name, whose = cells[self._columns["name"]], cells[self._columns[self._whom]]
        if not name or not whose:
            raise Bad("it does not say what happened, or to whom")
        who = int(phone_number(whose, self._country)) if WHO[self._whom] else whose
        place = self._columns.get("source_id")
        source_id = cells[place] if place is not None else ""
        return Recorded(
            row.line,
            name,
            who,
            _moment(cells[self._columns["at"]]),
            source_id or f"{self._stem}:{row.line}",
            self._said(name, cells),
        )

    def _said(self, name: str, cells: list[str]) -> dict[str, Any]:
        declared = self._feed.events.get(name)
        kinds = declared.properties if declared is not None else {}
        said = []
        for column, place in self._properties:
            if cell := cells[place]:
                bare = column.removesuffix(":text")
                text = bare != column or kinds.get(bare) == "text"
                said.append((bare, cell if text else typed(cell)))
        return nested(said)


def _moment(text: str) -> float:
    """Unix seconds, of `2026-03-02T10:00:00+08:00` or of themselves."""
    if re.fullmatch(r"[0-9]{1,10}(\.[0-9]+)?", text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Bad("`at` is not a time like 2026-03-02T10:00:00+08:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
