"""Areas that are asked for exist, and somebody can be in them."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.area import EAST, LEAST, NORTH, Outline, Point, point_of
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, did_you_mean
from orchestrator.project.forms import LEAST_CORNERS, MOST_CORNERS, AreaForm
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.conditions import conditions


class UnknownArea(Rule):
    """there is no area {name!r}

    Areas stand in journeys/program/areas.yaml.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        if draft.map is None:
            return
        for condition, mark, _ in conditions(draft):
            for name in sorted(condition.areas()):
                if name not in draft.map.areas:
                    hint = did_you_mean(name, draft.map.areas, "write it in program/areas.yaml")
                    yield self.at(mark, hint, name=name)


class BadOutline(Rule):
    """this is no outline: {why}

    A polygon has at least three corners, each `[longitude, latitude]` in degrees, in the order in
    which one walks around it.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        late = draft.map.too_much(draft.cells) if draft.map else ()
        for name, form in draft.map.areas.items() if draft.map else ():
            wrong = _wrong(form)
            if name in late and not wrong:
                why = "its edges, and those above it, pass too many cells"
                wrong = 0, why, "draw them with fewer corners, or list their cells"
            if wrong:
                number, why, hint = wrong
                yield self.at(draft.places.mark(form, "polygon", number), hint, why=why)


def _wrong(form: AreaForm) -> tuple[int, str, str] | None:
    """Which of its corners is none, why, and what to do about it."""
    corners = form.polygon
    for number, corner in enumerate(corners):
        if point_of(corner) is None:
            hint = "write the longitude first: [116.58, 40.07]"
            if len(corner) == 2 and abs(corner[0]) <= NORTH and abs(corner[1]) <= EAST:
                return number, f"no latitude is {corner[1]:g}", "the longitude comes first"
            return number, f"{[*corner]} is no longitude and latitude", hint
    if corners and len(corners) < LEAST_CORNERS:
        return 0, f"it has {len(corners)} corners", "write three or more"
    if len(corners) > MOST_CORNERS:
        why = f"it has more than {MOST_CORNERS} corners"
        return 0, why, "draw it with fewer, or list its cells"
    return None


class OddOutline(Rule):
    """the outline of {name!r} {why}

    From corner to corner one walks around the area. Where the way crosses itself, part of what is
    meant lies outside. It never crosses the 180th meridian, but goes round the other way.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        for name, form in draft.map.areas.items() if draft.map else ():
            outline = None if _wrong(form) else form.outline()
            if outline is not None and (odd := _odd(outline)):
                number, why, hint = odd
                yield self.at(draft.places.mark(form, "polygon", number), hint, name=name, why=why)


def _odd(outline: Outline) -> tuple[int, str, str] | None:
    """The corner from which it goes where nobody means it to, why, and what to do about it."""
    points = outline.points
    lines = [*zip(points, (*points[1:], *points[:1]), strict=True)]
    for number, ((lon, _), (other, _)) in enumerate(lines):
        if abs(lon - other) > EAST:
            return number, "goes round the world", "at the 180th meridian list its cells"
    for number, line in enumerate(lines if len(lines) <= BY_HAND else ()):
        if any(_cross(*line, *other) for other in lines[:number]):
            hint = "write its corners in the order in which one walks around it"
            return number, "crosses itself", hint
    return None


BY_HAND = 50
"""Corners of an outline that somebody may have written; programs walk around theirs."""


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the line from `a` to `b` crosses that from `c` to `d`; to touch is not to cross."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, c: Point) -> int:
    """On which side of the line from `a` to `b` is `c`: 1 to its left, -1 to its right, or 0."""
    turn = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return 0 if abs(turn) < LEAST else 1 if turn > 0 else -1


class EmptyArea(Rule):
    """nobody is ever in the area {name!r}

    It has no cells, and none of those that stand on the map lies inside its polygon.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        late = draft.map.too_much(draft.cells) if draft.map else ()
        for name, form in draft.map.areas.items() if draft.map else ():
            area = draft.areas[name]
            known = draft.cells.points or not form.polygon
            if not area.cells and known and not _wrong(form) and name not in late:
                hint = "write its `cells`, or its `polygon` with the longitudes first"
                yield self.at(draft.places.mark(form), hint, name=name)


class UnknownCell(Rule):
    """the cell {name!r} is not on the map

    Where program/areas.yaml names a table of cells, every cell should stand in it.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        known = draft.cells.points
        for form in draft.map.areas.values() if draft.map and known else ():
            for number, name in enumerate(form.cells):
                if name not in known:
                    mark = draft.places.mark(form, "cells", number)
                    yield self.at(mark, did_you_mean(name, known, "is it spelt so?"), name=name)
