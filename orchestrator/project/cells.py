"""Where a project's cells stand: the rows of the table that program/areas.yaml names."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile

from orchestrator.core.area import EAST, NORTH, Cells, Point
from orchestrator.project.findings import Finding, Mark

COLUMNS = ("cell", "lon", "lat")
MOST_FINDINGS = 20
"""Bad rows of one table that are told one by one."""

_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]+)?")


@lru_cache(maxsize=4)
def read(path: str, text: str) -> tuple[Cells, Sequence[Finding]]:
    """The cells of a table, and what is wrong in it. Its first line, below those that begin with #,
    names the columns, of which `cell`, `lon` and `lat` are read; a semicolon or a tab may stand for
    the comma."""
    lines = text.split("\n")
    above = sum(1 for _ in takewhile(lambda line: line.startswith("#"), lines))
    head = lines[above] if above < len(lines) else ""
    separator = max(",;\t", key=head.count)
    names = [name.lower() for name in _fields(head, separator)]
    if missing := [name for name in COLUMNS if name not in names]:
        hint = f"its first line names the columns: {','.join(COLUMNS)}"
        mark = Mark(path, above + 1)
        return Cells({}), [Finding(mark, f"there is no column {missing[0]!r}", hint)]
    places = [names.index(name) for name in COLUMNS]
    points: dict[str, Point] = {}
    findings: list[Finding] = []
    first: dict[str, int] = {}
    for number, line in enumerate(lines[above + 1 :], above + 2):
        if not line.strip():
            continue
        row = _fields(line, separator)
        cell, lon, lat = (row[place] if place < len(row) else "" for place in places)
        if wrong := _wrong(cell, lon, lat, first):
            which, message, hint = wrong
            before = [] if '"' in line else line.split(separator)[: places[which]]
            column = sum(len(it) + 1 for it in before) + 1
            findings.append(Finding(Mark(path, number, column), message, hint))
        else:
            first[cell] = number
            points[cell] = (float(lon), float(lat))
    if not first and not findings:
        findings.append(
            Finding(Mark(path, above + 1), "no cell stands here", "write a line for each")
        )
    return Cells(points), _told(path, findings)


def _fields(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return [it.strip() for it in line.split(separator)]
    try:
        (row,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
    except csv.Error:  # a return in the middle, or a field without an end
        row = line.split(separator)
    return [it.strip() for it in row]


def _told(path: str, findings: Sequence[Finding]) -> Sequence[Finding]:
    more = len(findings) - MOST_FINDINGS
    if more <= 0:
        return findings
    mark = findings[MOST_FINDINGS].mark
    rest = Finding(mark, f"{more} more rows of {path.rpartition('/')[2]} cannot be read")
    return [*findings[:MOST_FINDINGS], rest]


def _wrong(cell: str, lon: str, lat: str, first: dict[str, int]) -> tuple[int, str, str] | None:
    """Which field of a row is wrong, how, and what to do about it."""
    if not cell or not cell.isprintable():
        return 0, f"{cell!r} is no cell", "write the cell as events name it"
    if cell in first:
        return 0, f"the cell {cell!r} is there already", f"it is in line {first[cell]}"
    if not _is_within(lon, EAST):
        return 1, f"{lon!r} is no longitude", _FORM.format(EAST)
    if not _is_within(lat, NORTH):
        swapped = _is_within(lat, EAST) and _is_within(lon, NORTH)
        hint = "are longitude and latitude the wrong way round?" if swapped else _FORM.format(NORTH)
        return 2, f"{lat!r} is no latitude", hint
    return None


_FORM = "write degrees from -{0} to {0}, with a point: 39.91"


def _is_within(text: str, most: int) -> bool:
    return _DEGREES.fullmatch(text) is not None and -most <= float(text) <= most
