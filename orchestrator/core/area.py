"""Where somebody is: areas of cells, and of points inside an outline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct


class Area(Struct, frozen=True):
    """A part of the map: the `cells` in it, and, for an outline, whether it `covers` a longitude
    and latitude."""

    cells: frozenset[str] = frozenset()
    covers: Callable[[float, float], bool] | None = None

    def has(self, place: Any) -> bool | None:
        """Whether a place lies in it: a cell, by its text or number, or a `[longitude, latitude]`.
        None if it is no place, or a point and this area has no outline."""
        kind = type(place)
        if kind is str:
            return place in self.cells
        if kind is int:
            return str(place) in self.cells
        if kind in (list, tuple) and len(place) == 2 and self.covers is not None:
            lon, lat = place
            if type(lon) in (int, float) and type(lat) in (int, float):
                return self.covers(lon, lat)
        return None
