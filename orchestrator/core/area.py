"""Where somebody is: areas of cells, and of points inside an outline."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from orchestrator.core.telephone import whole

Point = tuple[float, float]
"""Longitude and latitude, in degrees."""

Edge = tuple[float, float, float, float]
"""From one point to the next."""

EAST, NORTH = 180, 90
"""Degrees that a longitude and a latitude have at most."""

LEAST = 1e-12
"""Degrees that are as good as none."""

_NUMBERS = (int, float, Decimal)


class Outline(Struct, frozen=True, dict=True):
    """A polygon on the map: straight lines from each of its `points` to the next, and from the last
    to the first. One that crosses the 180th meridian is not meant."""

    points: tuple[Point, ...]

    def __call__(self, lon: float, lat: float) -> bool:
        """Whether the point lies inside: a line from it to the east crosses an odd number of edges.
        `expression.sql` has the same sums, in the same order, so that both agree to the bit."""
        inside = False
        for x1, y1, x2, y2 in self.edges:
            if (y1 > lat) != (y2 > lat) and lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1:
                inside = not inside
        return inside

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Its lines, but for those from west to east, which decide nothing."""
        following = (*self.points[1:], *self.points[:1])
        return tuple(
            (x1, y1, x2, y2)
            for (x1, y1), (x2, y2) in zip(self.points, following, strict=True)
            if y1 != y2
        )


class Area(Struct, frozen=True):
    """A part of the map: the `cells` in it, and, where it has an outline, which points that
    `covers`."""

    cells: frozenset[str] = frozenset()
    covers: Outline | None = None

    def has(self, place: Any) -> bool | None:
        """Whether a place lies in it: a cell, by its text or its number, or a point
        `[longitude, latitude]`. None if it is no place, or a point and this area has no outline."""
        if type(place) is str:
            return place in self.cells
        if type(place) in (list, tuple):
            point = point_of(place)
            return None if point is None or self.covers is None else self.covers(*point)
        number = whole(place)
        return None if number is None else str(number) in self.cells


NOWHERE: Mapping[str, Area] = MappingProxyType({})
"""No areas."""


def point_of(place: Any) -> Point | None:
    """The point that a list of two numbers is, or None."""
    if len(place) != 2:
        return None
    lon, lat = place
    if type(lon) not in _NUMBERS or type(lat) not in _NUMBERS:
        return None
    if not (-EAST <= lon <= EAST and -NORTH <= lat <= NORTH):
        return None
    return _degrees(lon), _degrees(lat)


def _degrees(number: Any) -> float:
    return 0.0 if abs(number) < LEAST else float(number)


class Cells(Struct, frozen=True, dict=True):
    """Where each cell stands, by its name."""

    points: Mapping[str, Point]

    @cached_property
    def _in_order(self) -> Sequence[tuple[float, float, str]]:
        """From south to north."""
        return sorted((lat, lon, name) for name, (lon, lat) in self.points.items())

    def passed(self, outline: Outline) -> int:
        """How many cells its edges pass, to the west or the east: what `within` has to look at."""
        every = self._in_order
        return sum(
            bisect_left(every, (max(y1, y2),)) - bisect_left(every, (min(y1, y2),))
            for _, y1, _, y2 in outline.edges
        )

    def within(self, outline: Outline) -> frozenset[str]:
        """The cells inside an outline, as it says of each of them.

        Each edge turns over the cells to its west between the latitudes of its ends, which are
        found by halving: what an outline costs is the cells in it, not the cells on the map."""
        longitudes = [lon for lon, _ in outline.points]
        west, east = min(longitudes), max(longitudes)
        south, north = min(lat for _, lat in outline.points), max(lat for _, lat in outline.points)
        every = self._in_order
        near = every[bisect_left(every, (south,)) : bisect_left(every, (north,))]
        near = [it for it in near if west <= it[1] < east]
        inside: set[str] = set()
        for x1, y1, x2, y2 in outline.edges:
            low, high = min(y1, y2), max(y1, y2)
            for lat, lon, name in near[bisect_left(near, (low,)) : bisect_left(near, (high,))]:
                if lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1:
                    inside ^= {name}
        return frozenset(inside)
