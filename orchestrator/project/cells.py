"""Where a project's cells stand: the rows of the table that program/areas.yaml names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import isfinite

from orchestrator.core.area import EAST, NORTH, Cells, Point
from orchestrator.project.findings import Finding, Mark, did_you_mean

COLUMNS = ("cell", "lon", "lat")
MOST_FINDINGS = 20
"""Bad rows of one table that are told one by one."""


@lru_cache(maxsize=4)
def read(path: str, text: str) -> tuple[Cells, Sequence[Finding]]:
    """The cells of a table, and what is wrong in it. Its first line names the columns, of which
    `cell`, `lon` and `lat` are read; a semicolon or a tab may stand for the comma."""
    lines = text.splitlines()
    head = _split(lines[0]) if lines else []
    missing = [name for name in COLUMNS if name not in head]
    if missing:
        hint = did_you_mean(missing[0], head, f"its first line is: {','.join(COLUMNS)}")
        return Cells({}), [Finding(Mark(path), f"there is no column {missing[0]!r}", hint)]
    places = [head.index(name) for name in COLUMNS]
    separator = _separator(lines[0])
    points: dict[str, Point] = {}
    findings: list[Finding] = []
    first: dict[str, int] = {}
    for number, row in enumerate(csv.reader(lines[1:], delimiter=separator), 2):
        if not row:
            continue
        fields = [row[place].strip() if place < len(row) else "" for place in places]
        wrong = _wrong(fields, first)
        if wrong:
            place, message, hint = wrong
            column = sum(len(it) + 1 for it in row[: places[place]]) + 1
            findings.append(Finding(Mark(path, number, column), message, hint))
            continue
        first[fields[0]] = number
        points[fields[0]] = (float(fields[1]), float(fields[2]))
    return Cells(points), _told(path, findings)


def _told(path: str, findings: Sequence[Finding]) -> Sequence[Finding]:
    more = len(findings) - MOST_FINDINGS
    if more <= 0:
        return findings
    mark = findings[MOST_FINDINGS].mark
    rest = Finding(mark, f"{more} more rows of {path.rpartition('/')[2]} cannot be read")
    return [*findings[:MOST_FINDINGS], rest]


def _wrong(fields: Sequence[str], first: dict[str, int]) -> tuple[int, str, str] | None:
    """Which field of a row is wrong, how, and what to do about it."""
    cell, lon, lat = fields
    if not cell or not cell.isprintable():
        return 0, f"{cell!r} is no cell", "write the cell as events name it"
    if cell in first:
        return 0, f"the cell {cell!r} is there already", f"it is in line {first[cell]}"
    for place, (name, written, most) in enumerate((("lon", lon, EAST), ("lat", lat, NORTH)), 1):
        if not _is_within(written, most):
            hint = "write degrees with a decimal point"
            if name == "lat" and _is_within(written, EAST):
                hint = "the longitude comes first: are the columns' names the wrong way round?"
            return place, f"{written!r} is no {name}: {-most} to {most}", hint
    return None


def _is_within(text: str, most: int) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return isfinite(number) and -most <= number <= most


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _split(line: str) -> list[str]:
    return [it.strip() for it in next(_rows(line))]


def _rows(line: str) -> Iterator[list[str]]:
    return csv.reader([line], delimiter=_separator(line))
